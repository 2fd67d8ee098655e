"""Titles, names and frames: the small rules everything else relies on."""

from __future__ import annotations

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameDecoder, Opcode

from netra.chat.files import NAME_CHARS, clean_name
from netra.chat.messages import title_of
from netra.errors import InvalidInput
from netra.gateway.socket.transport import text_frame
from netra.text import clean_text, too_deep


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("", ""),
        ("  \n\n ", ""),
        ("Where does my spend go?", "Where does my spend go?"),
        ("\n\n  First line  \nsecond", "First line"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 60 + "…"),
        ("word " * 20, "word " * 11 + "word…"),
    ],
)
def test_a_title_is_the_first_line_cut_at_a_word(content: str, title: str) -> None:
    assert title_of(content) == title


@given(st.text())
def test_a_title_is_short_and_one_line(content: str) -> None:
    title = title_of(content)
    assert len(title) <= 61
    assert len(title.splitlines()) <= 1


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("usage.csv", "usage.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\usage.csv", "usage.csv"),
        ("a\r\nb\0c\u202e.csv", "abc.csv"),
        ("...hidden", "hidden"),
        ("x." + "a" * 300, "a" * NAME_CHARS),
        ("x" * 50 + "." + "a" * (NAME_CHARS - 1), "a" * (NAME_CHARS - 1)),
        ("Übersicht 2026 🎉.csv", "Übersicht 2026 🎉.csv"),
    ],
)
def test_a_file_keeps_the_last_part_of_its_name(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


@given(st.text(st.characters()))
def test_a_name_is_safe_or_refused(given_name: str) -> None:
    try:
        name = clean_name(given_name)
    except InvalidInput:
        return
    assert 0 < len(name) <= NAME_CHARS
    assert not {"/", "\\", "\0", "\r", "\n"} & set(name)
    assert not name.startswith((".", " "))
    assert not name.endswith(" ")
    name.encode()


@pytest.mark.parametrize("name", ["", "...", "/", "a/", "\0\x01", " . "])
def test_a_file_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        clean_name(name)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
def test_a_text_frame_is_read_by_another_implementation(size: int) -> None:
    payload = b"x" * size
    decoder = FrameDecoder(client=True)
    decoder.receive_bytes(text_frame(payload) + text_frame(b"next"))
    received = b""
    while True:
        frame = decoder.process_buffer()
        assert frame is not None
        assert frame.opcode in (Opcode.TEXT, Opcode.CONTINUATION)
        received += frame.payload.encode() if isinstance(frame.payload, str) else bytes(frame.payload)
        if frame.message_finished and frame.frame_finished:
            break
    assert received == payload
    following = decoder.process_buffer()
    assert following is not None
    assert following.payload in ("next", b"next")
    assert wsproto.__version__


@pytest.mark.parametrize("value", ["\0", "a\0b", "\ud800", "x" * 11, "", 7])
def test_text_that_cannot_be_stored_is_refused_with_its_field(value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        clean_text(value, field="content", max_chars=10, min_chars=1)
    assert refused.value.field == "content"


def test_depth_counts_lists_and_objects() -> None:
    value: object = "leaf"
    for level in range(64):
        value = [value] if level % 2 else {"x": value}
    assert not too_deep(value)
    assert too_deep([value])
