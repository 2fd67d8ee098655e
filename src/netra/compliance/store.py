"""Where packed facts are kept: a few segment files that are written once and never changed.

Every run that made facts leaves one segment: records, then an index with their keys, then where the index begins. A
segment appears under its name when it is complete, so any number of processes may read and write at once; one that is
damaged, or vanishes because another process has merged it, only means that some facts are made again.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final
from uuid import uuid4
from zlib import crc32

import msgspec

from .pack import PARTS, Read

MAGIC: Final = b"SSOTFCT1"
_TRAILER: Final = 8 + 4 + 4 + len(MAGIC)
"""Where the index begins, its length, its checksum, and the magic again."""
MOST_SEGMENTS: Final = 8
MOST_BYTES: Final = 1024 * 1024 * 1024
"""In a cache directory."""
FORGOTTEN_SECONDS: Final = 14 * 24 * 3600
"""After which a segment of another version, or one that was never finished, is removed."""

_INDEX: Final = msgspec.msgpack.Decoder(list[tuple[bytes, int, list[int]]])


class Segment:
    """A segment that is open for reading."""

    def __init__(self, file: BinaryIO, rows: dict[bytes, tuple[int, list[int]]], path: Path | None = None) -> None:
        self.path = path
        self.rows = rows
        self._file = file
        self._lock = Lock()
        weakref.finalize(self, _close, file)  # with the last facts that are read from it

    @classmethod
    def open(cls, path: Path) -> Segment | None:
        """The segment of a path; None when there is none or it is damaged, and then it is removed."""
        try:
            file = path.open("rb")
        except OSError:
            return None
        segment = cls(file, {}, path)
        size = os.fstat(file.fileno()).st_size
        trailer = segment._at(max(0, size - _TRAILER), _TRAILER)
        begin, length = int.from_bytes(trailer[:8], "little"), int.from_bytes(trailer[8:12], "little")
        if trailer.endswith(MAGIC) and begin + length + _TRAILER == size:
            index = segment._at(begin, length)
            if crc32(index) == int.from_bytes(trailer[12:16], "little"):
                with contextlib.suppress(msgspec.MsgspecError):
                    segment.rows = {key: (at, lengths) for key, at, lengths in _INDEX.decode(index)}
                    return segment
        file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def read(self, key: bytes) -> Read:
        """Gives the parts of a record."""
        begin, lengths = self.rows[key]

        def part(number: int) -> bytes:
            return self._at(begin + sum(lengths[:number]), lengths[number]) if number < len(lengths) else b""

        return part

    def record(self, key: bytes) -> list[bytes]:
        """All parts of a record."""
        read = self.read(key)
        return [read(number) for number in range(PARTS)]

    def size(self, key: bytes) -> int:
        """Bytes of a record."""
        return sum(self.rows[key][1])

    def _at(self, offset: int, length: int) -> bytes:
        try:
            if hasattr(os, "pread"):
                return os.pread(self._file.fileno(), length, offset)
            with self._lock:
                self._file.seek(offset)
                return self._file.read(length)
        except (OSError, ValueError):
            return b""


def _close(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):  # what could not be written is written again when a file is closed
        file.close()


class SegmentWriter:
    """A segment under construction; its records can be read at once.

    Args:
        directory: where the segment appears in the end; None for nowhere.
    """

    def __init__(self, directory: Path | None, tag: str) -> None:
        self._directory = directory
        self._name = f"facts-{tag}-{uuid4().hex[:12]}.segment"
        self._temporary: Path | None = None
        if directory is None:
            file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as facts are read from it
        else:
            self._temporary = directory / f"{self._name}.part"
            file = self._temporary.open("w+b")
        self._file = file
        self._end = file.write(MAGIC)
        self.segment = Segment(file, {})

    def add(self, key: bytes, parts: Iterable[bytes]) -> None:
        """Write a record."""
        lengths = []
        begin = self._end
        for part in parts:
            self._file.write(part)
            lengths.append(len(part))
        self._end = begin + sum(lengths)
        self.segment.rows[key] = begin, lengths

    def flush(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary.unlink()

    def finish(self) -> None:
        """Let the segment appear."""
        self.flush()
        if self._temporary is None or self._directory is None:
            return
        index = msgspec.msgpack.encode([(key, begin, lengths) for key, (begin, lengths) in self.segment.rows.items()])
        self._file.seek(self._end)
        self._file.write(index)
        self._file.write(self._end.to_bytes(8, "little") + len(index).to_bytes(4, "little"))
        self._file.write(crc32(index).to_bytes(4, "little") + MAGIC)
        self._file.flush()
        path = self._directory / self._name
        self._temporary.replace(path)
        self.segment.path = path


class Store:
    """The segments of a cache directory.

    Args:
        directory: is made, and told to git to be ignored; None to keep nothing.
        tag: what made the facts; others are not read.

    A directory that cannot be written to is read only.
    """

    def __init__(self, directory: Path | None, tag: str) -> None:
        self._tag = tag
        self._is_full = False
        self._writer: SegmentWriter | None = None
        self._segments: list[Segment] = []
        self._directory = directory if directory is not None and _prepared(directory) else None
        if directory is not None:
            for path in sorted(directory.glob(f"facts-{tag}-*.segment")):
                if (segment := Segment.open(path)) is not None:
                    self._segments.append(segment)

    def find(self, key: bytes) -> Segment | None:
        """The segment that has a record."""
        for segment in self._everything():
            if key in segment.rows:
                return segment
        return None

    def keys(self) -> set[bytes]:
        """Of all records."""
        return {key for segment in self._everything() for key in segment.rows}

    def add(self, key: bytes, parts: Iterable[bytes]) -> None:
        """Keep a record. Where there is no room for it, its facts are made again when they are asked for."""
        if self._is_full:
            return
        try:
            if self._writer is None:
                try:
                    self._writer = SegmentWriter(self._directory, self._tag)
                except OSError:
                    self._directory = None
                    self._writer = SegmentWriter(None, self._tag)
            self._writer.add(key, parts)
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        self._is_full = True
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def finish(self, used: set[bytes]) -> None:
        """Let what was added appear, and merge segments when there are many or much of them is not used.

        Args:
            used: keys of this run.
        """
        try:
            if self._writer is not None:
                self._writer.flush()
        except OSError:
            self._give_up()
        if self._directory is None or self._is_full:
            return
        with contextlib.suppress(OSError):
            if self._writer is not None:
                self._writer.finish()
            self._merge(used)
            self._tidy()

    def _everything(self) -> Iterator[Segment]:
        if self._writer is not None:
            yield self._writer.segment
        yield from self._segments

    def _merge(self, used: set[bytes]) -> None:
        named = [each for each in self._everything() if each.path is not None]
        live = sum(each.size(key) for each in named for key in each.rows if key in used)
        total = sum(each.size(key) for each in named for key in each.rows)
        # Twice what is used: two branches, between which one goes back and forth, both fit.
        if total <= max(2.5 * live, 16 * 1024 * 1024):
            if len(named) <= MOST_SEGMENTS:
                return
            largest = max(named, key=lambda each: len(each.rows))
            named.remove(largest)  # is not worth to be written again
        assert self._directory is not None
        keep_unused = 2 * live < MOST_BYTES
        writer = SegmentWriter(self._directory, self._tag)
        unused = 0
        for segment in named:
            for key in segment.rows:
                if key in writer.segment.rows:
                    continue
                if key not in used:
                    unused += segment.size(key)
                    if not keep_unused or unused > live:
                        continue
                writer.add(key, segment.record(key))
        writer.finish()
        for segment in named:
            if segment.path is not None:
                segment.path.unlink(missing_ok=True)  # what is open stays readable

    def _tidy(self) -> None:
        assert self._directory is not None
        now = time.time()
        for path in self._directory.glob("facts-*"):
            if path.name.startswith(f"facts-{self._tag}-") and path.suffix == ".segment":
                continue
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > FORGOTTEN_SECONDS:
                    path.unlink()


def _prepared(directory: Path) -> bool:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        ignore = directory / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError:
        return False
    return os.access(directory, os.W_OK)
