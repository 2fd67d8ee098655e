"""The one rule for text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netra.errors import InvalidInput
from netra.text import clean_id, clean_text


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50))
def test_text_that_can_be_stored_comes_back_unchanged(text: str) -> None:
    assert clean_text(text, field="title", max_chars=50) == text


@pytest.mark.parametrize(
    "text",
    ["a\0b", "\ud800", "x\udfffy", "x" * 51, "", 5, None, b"bytes"],
    ids=lambda value: ascii(value)[:20],
)
def test_other_text_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        clean_text(text, field="title", max_chars=50, min_chars=1)
    assert refusal.value.field == "title"


def test_length_is_counted_in_characters() -> None:
    assert clean_text("🙂" * 50, field="title", max_chars=50) == "🙂" * 50


def test_ids_are_short() -> None:
    assert clean_id("thr_1") == "thr_1"
    for text in ("", "x" * 65, "\0"):
        with pytest.raises(InvalidInput):
            clean_id(text)
