"""Facts of a file, from its bytes.

`extract` never raises: a file that does not parse is read as far as it can be, and what cannot be read is said.
"""

from __future__ import annotations

import re
import sys
import threading

import msgspec

from netra.compliance import text as source_text
from netra.compliance.facts import FileFacts, Trouble
from netra.compliance.source import MOST_BYTES

from .parse import parse, parse_deep
from .statements import Statements

__all__ = ["extract", "too_large"]

_DEEP_FRAMES = 20_000
_DEEP_BYTES = 256 * 1024 * 1024
"""Of the stack on which a file is read that is nested too deeply for an ordinary one."""
_SURROGATE = re.compile(r"\\(?:u|U0000)[dD][89a-fA-F]")
"""A character that UTF-8 does not have, written as an escape."""


def extract(data: bytes) -> FileFacts:
    """The facts of a file from its bytes. Raises nothing."""
    if len(data) > MOST_BYTES:
        return too_large(data.count(b"\n") + 1)
    text = source_text.decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", " ")
    try:
        facts = Statements(text, (found := parse(text))[1]).run(found[0])
    except (RecursionError, MemoryError):
        facts = _deep(text)
    return _writable(facts) if _SURROGATE.search(text) else facts


def too_large(lines: int) -> FileFacts:
    """The facts of a file that nobody wrote by hand."""
    return _nothing(lines, f"larger than {MOST_BYTES // 1024 // 1024} MiB")


def _deep(text: str) -> FileFacts:
    """The facts of a file that is nested too deeply for the stack that is left.

    It is read on a stack of its own, which is large, and the same whoever asks: what is found does not depend on how
    deep the caller stands.
    """
    found: list[FileFacts] = []

    def read() -> None:
        try:
            found.append(Statements(text, (parsed := parse(text))[1]).run(parsed[0]))
        except (RecursionError, MemoryError):
            try:
                found.append(Statements(text, (parsed := parse_deep(text))[1]).run(parsed[0]))
            except (RecursionError, MemoryError):
                found.append(_nothing(text.count("\n") + 1, "nested too deeply"))

    with _DEEP_LOCK:
        limit, size = sys.getrecursionlimit(), threading.stack_size(_DEEP_BYTES)
        sys.setrecursionlimit(_DEEP_FRAMES)
        try:
            thread = threading.Thread(target=read, name="deep source", daemon=True)
            thread.start()
            thread.join()
        finally:
            threading.stack_size(size)
            sys.setrecursionlimit(limit)
    return found[0] if found else _nothing(text.count("\n") + 1, "nested too deeply")


_DEEP_LOCK = threading.Lock()


def _writable(facts: FileFacts) -> FileFacts:
    """Facts without the characters that cannot be written down."""

    def clean(value: object) -> object:
        if isinstance(value, str):
            return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, (list, tuple)):
            return [clean(each) for each in value]
        return value

    return msgspec.convert(clean(msgspec.to_builtins(facts)), FileFacts)


def _nothing(lines: int, why: str) -> FileFacts:
    return FileFacts(lines, [], [], [], [], [], [], [], None, False, [], [Trouble(1, why)], "", [])
