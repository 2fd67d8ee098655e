"""Facts as bytes that are decoded table by table, when a rule first asks: most runs need few of them.

A record is the tables of one file behind each other, each followed by its checksum. `PackedFacts` looks like
`FileFacts` to rules. Tables that rules walk through once (reads, calls, functions) are given back in the order they
were decoded, so that the facts of ten million lines need not be in memory at the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from sys import intern
from typing import Any, Final, cast
from zlib import crc32

import msgspec
from msgspec import structs

from .facts import Assignment, Class, FileFacts, Import

TABLES: Final = ("imports", "classes", "functions", "assignments", "calls", "reads")
"""Each is decoded by itself; everything else of a file is its head."""
PASSING: Final = frozenset({"calls", "reads", "functions"})
MOST_PASSING: Final = 1024 * 1024
"""Bytes, packed, of passing tables that are kept decoded (about ten times as much in memory)."""

_FIELDS = {each.name: each.type for each in structs.fields(FileFacts)}
HEAD: Final = tuple(name for name in _FIELDS if name not in TABLES)
_HEAD: Final = msgspec.msgpack.Decoder(tuple[tuple(_FIELDS[name] for name in HEAD)])  # type: ignore[misc]
_DECODERS: Final = {name: msgspec.msgpack.Decoder(_FIELDS[name]) for name in TABLES}
_ENCODER: Final = msgspec.msgpack.Encoder()
_CHECKSUM: Final = 4
PARTS: Final = len(TABLES) + 1

Read = Callable[[int], bytes]
"""Gives part `n` of a record: 0 is the head, then the tables. Empty when it cannot."""


class DamagedError(Exception):
    """A part of a record is not what was written."""


def pack(facts: FileFacts) -> list[bytes]:
    """The parts of a record."""
    parts = [_ENCODER.encode([getattr(facts, name) for name in HEAD])]
    parts.extend(_ENCODER.encode(getattr(facts, name)) for name in TABLES)
    return [each + crc32(each).to_bytes(_CHECKSUM, "little") for each in parts]


def unpack(parts: list[bytes]) -> FileFacts:
    """The facts of a record, all of them.

    Raises:
        DamagedError: they are not what was written.
    """
    values = dict(zip(HEAD, _decode(parts[0], _HEAD), strict=True))
    for at, name in enumerate(TABLES, 1):
        values[name] = _decode(parts[at], _DECODERS[name])
    return FileFacts(**values)


def whole(facts: FileFacts) -> FileFacts:
    """The facts themselves, for who wants to compare or keep them."""
    return FileFacts(**{name: getattr(facts, name) for name in _FIELDS})


def lazy(read: Read, again: Callable[[], FileFacts]) -> FileFacts:
    """Facts that are decoded when asked for.

    Args:
        again: makes them anew, should the record be damaged.
    """
    return cast(FileFacts, PackedFacts(read, again))


class PackedFacts:
    """See the module. Its attributes are those of `FileFacts`."""

    __slots__ = (*_FIELDS, "_again", "_read")

    def __init__(self, read: Read, again: Callable[[], FileFacts]) -> None:
        self._read = read
        self._again = again

    def __getattr__(self, name: str) -> Any:
        """Called for what is not decoded yet."""
        if name not in _FIELDS:
            raise AttributeError(f"facts have no {name!r}")
        try:
            if name not in _DECODERS:
                for each, value in zip(HEAD, _decode(self._read(0), _HEAD), strict=True):
                    setattr(self, each, value)
                return getattr(self, name)
            data = self._read(1 + TABLES.index(name))
            value = _decode(data, _DECODERS[name])
        except DamagedError:
            made = self._again()
            for each in _FIELDS:
                setattr(self, each, getattr(made, each))
            return getattr(made, name)
        if name in _SHARED:
            _SHARED[name](value)
        setattr(self, name, value)
        if name in PASSING and len(data) > 1 + _CHECKSUM:
            _passing.add(self, name, len(data))
        return value


def _share_imports(rows: list[Import]) -> None:
    """One string for each name, however many modules import it: a third of the memory of a large tree's imports."""
    for row in rows:
        bound = intern(row.bound)
        _set(row, "bound", bound)
        _set(row, "module", intern(row.module))
        _set(row, "name", bound if row.name == bound else intern(row.name))
        if row.end == row.line:
            _set(row, "end", row.line)


def _share_members(rows: list[Class]) -> None:
    for row in rows:
        if row.qualname == row.name:
            _set(row, "qualname", row.name)
        for name in ("keywords", "decorators", "writes"):
            if not getattr(row, name):
                _set(row, name, _NOTHING)
        for member in row.members:
            for name in ("name", "kind", "signature", "type"):
                _set(member, name, intern(getattr(member, name)))


def _share_assignments(rows: list[Assignment]) -> None:
    for row in rows:
        for name in ("name", "kind", "value"):
            _set(row, name, intern(getattr(row, name)))


_NOTHING: Final[list[Any]] = []
"""Stands for all empty lists of rows, which nobody changes."""
_set: Final = structs.force_setattr  # rows are frozen for everybody who has seen them
_SHARED: Final[dict[str, Callable[[Any], None]]] = {
    "imports": _share_imports,
    "classes": _share_members,
    "assignments": _share_assignments,
}


class _Passing:
    """The passing tables that are decoded, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[tuple[PackedFacts, str, int]] = deque()
        self._bytes = 0

    def add(self, facts: PackedFacts, name: str, size: int) -> None:
        self._kept.append((facts, name, size))
        self._bytes += size
        while self._bytes > MOST_PASSING and len(self._kept) > 1:
            old, name, size = self._kept.popleft()
            self._bytes -= size
            delattr(old, name)


_passing = _Passing()


def _decode(data: bytes, decoder: msgspec.msgpack.Decoder[Any]) -> Any:
    content = memoryview(data)[:-_CHECKSUM]
    if len(data) <= _CHECKSUM or crc32(content) != int.from_bytes(data[-_CHECKSUM:], "little"):
        raise DamagedError
    try:
        return decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise DamagedError from error
