"""Ids say what they name, sort by time and never repeat."""

from __future__ import annotations

import re
import time

import pytest

from netra.ids import new_id

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def _value(made: str) -> int:
    value = 0
    for character in made.partition("_")[2]:
        value = value << 5 | _ALPHABET.index(character)
    return value


def test_an_id_is_its_prefix_and_26_characters_of_base_32() -> None:
    assert re.fullmatch(rf"thr_[{_ALPHABET}]{{26}}", new_id("thr"))


def test_an_id_is_a_uuid_of_version_7_that_holds_the_time() -> None:
    before = time.time_ns() // 1_000_000
    value = _value(new_id("x"))
    after = time.time_ns() // 1_000_000
    assert value >> 128 == 0
    assert value >> 76 & 0xF == 7
    assert value >> 62 & 0b11 == 0b10
    assert before <= value >> 80 <= after


def test_ids_never_repeat() -> None:
    assert len({new_id("evt") for _ in range(20_000)}) == 20_000


def test_a_later_id_sorts_after_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1, 2, 31, 32, 33, 1023, 1024, 1_700_000_000_000, 1_700_000_000_001, 2**48 - 1]
    made = []
    for moment in moments:
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(new_id("evt"))
    assert made == sorted(made)
