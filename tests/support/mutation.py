"""Source files that somebody might have broken, and what must be true of the facts of any file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from netra.compliance import pack
from netra.compliance.extract import extract
from netra.compliance.facts import FileFacts

_TOKEN = re.compile(rb"\w+|\s+|[^\w\s]+")
_SPICE: tuple[bytes, ...] = (
    *(b"\0", b"\r", b"\f", b"\xff", b"\xed\xa0\x80", b"\\\n", b'"""', b"'", b"(", b")", b"[", b"]", b"{", b"}", b":"),
    *(b"\n", b"\t", b"    ", b"@", b"*", b"**", b",", b"=", b":=", b"->", b"async ", b"await ", b"lambda: ", b"yield "),
    *(b"global x\n", b"nonlocal x\n", b"class A(B):\n", b"def f(self):\n", b"try:\n", b"except ImportError:\n"),
    *(b"finally:\n", b"import a\n", b"from . import *\n", b"with a as b:\n", b"match x:\n", b"case _:\n", b"..."),
    *(b"type X = int\n", b"# coding: utf-7\n", b"# coding: shift_jis\n", b"# ssot: allow[SSOT101] why\n", b"del "),
    *(b"__all__ = ['a']\n", b"self.", b"\\ud800", b"\\N{DASH}", b"f'{x!r:>{y}}'", b"0777", b"1e999", b"del self\n"),
    *(b"return ", b"raise ", b"print 'x'\n"),
)


def mutated(data: bytes, chance: random.Random, others: Callable[[], bytes], most_bytes: int = 20_000) -> bytes:
    """A file that is like `data`, but for a few mutations."""
    if len(data) > most_bytes:
        begin = data.rfind(b"\n", 0, chance.randrange(len(data) - most_bytes) + 1) + 1
        data = data[begin : begin + most_bytes]
    for _ in range(chance.choice((1, 1, 2, 3, 5, 10))):
        data = chance.choice(_MUTATIONS)(data, chance, others)
    return data


def _lines(data: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join(_changed(lines, chance))


def _tokens(data: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    return b"".join(_changed(_TOKEN.findall(data), chance))


def _changed(parts: list[bytes], chance: random.Random) -> list[bytes]:
    if not parts:
        return [chance.choice(_SPICE)]
    at, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    count = chance.choice((1, 1, 1, 2, 8))
    match chance.randrange(5):
        case 0:
            del parts[at : at + count]
        case 1:
            parts[at:at] = parts[at : at + count] * chance.choice((1, 1, 3, 300))
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[at] = chance.choice(_SPICE)
        case _:
            parts.insert(at, chance.choice(_SPICE))
    return parts


def _bytes(data: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(4):
        case 0:
            return data[:at] + data[at + chance.randrange(1, 4) :]
        case 1:
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at]
        case _:
            return data[:at] + bytes([chance.randrange(256)]) + data[at:]


def _indents(data: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    for number in range(at, min(len(lines), at + chance.randrange(1, 30))):
        lines[number] = chance.choice((b"    ", b" ", b"\t")) + lines[number]
    return b"\n".join(lines)


def _spliced(data: bytes, chance: random.Random, others: Callable[[], bytes]) -> bytes:
    other = others()[:20_000]
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


_MUTATIONS = (_lines, _lines, _tokens, _tokens, _tokens, _bytes, _indents, _spliced)


def proved(data: bytes) -> FileFacts:
    """The facts of a file, after what must be true of all facts was found to be.

    Raises:
        AssertionError: it is not.
    """
    facts = extract(data)
    assert pack.unpack(pack.pack(facts)) == facts, "facts change when they are packed"
    assert facts == extract(data), "facts change when they are made again"
    lines = facts.lines + 1
    classes, functions, guards = len(facts.classes), len(facts.functions), len(facts.guards)
    for row in (*facts.imports, *facts.classes, *facts.functions, *facts.calls, *facts.reads, *facts.assignments):
        assert 1 <= row.line <= lines, f"line {row.line} of {lines}"
    for each in facts.imports:
        assert -1 <= each.function < functions, "an import of no function"
        assert -1 <= each.guard < guards, "an import of no guard"
    for kind in facts.classes:
        assert -1 <= kind.function < functions, "a class of no function"
        assert -1 <= kind.outer < classes, "a class in no class"
        assert kind.line <= kind.end <= lines, "a class that ends before it begins"
    for function in facts.functions:
        assert -1 <= function.owner < classes, "a method of no class"
        assert -1 <= function.outer < functions, "a function in no function"
    for point in (*facts.calls, *facts.reads):
        assert -1 <= point.function < functions, "a row of no function"
    return facts
