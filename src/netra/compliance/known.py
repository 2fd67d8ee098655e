"""Which content the files of a tree have: the hash of each, known from the last time unless its size or times changed.

Nothing of the checker is loaded for it: when these hashes are those of a report that was kept, that report is the
answer (see `remember`).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4
from zlib import crc32

import msgspec
from msgspec import Struct

from .walk import Tree

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it, and how much there is."""
Signature = tuple[int, int, int, int]
"""Size, times of change of content and of inode, and inode."""

_RACY_NS: Final = 2_000_000_000
"""A file changed this shortly before it was looked at may change again without its times showing it."""
_MOST_KNOWN: Final = 1_000_000
_KNOWN: Final = msgspec.msgpack.Decoder(dict[str, tuple[Signature, bytes]])
_STATE: Final = "files"
_THREADED: Final = 200
"""Files; fewer are hashed without threads."""


class SeenTree(Struct):
    """A tree as it was when it was looked at.

    Args:
        directory: where things are kept for the next time; None for nowhere.
        paths: of the tree's Python files, in its order, as the system knows them.
        signatures: None where a file could not be looked at, or changed meanwhile.
        keys: the hash of the content of each; empty where it cannot be read.
        known: what was known of each file before.
        began: when, in nanoseconds.
        opened: whether any file was.
    """

    tree: Tree
    directory: Path | None
    paths: list[str]
    signatures: list[Signature | None]
    keys: list[bytes]
    known: dict[str, tuple[Signature, bytes]]
    began: int
    opened: bool

    def save(self) -> None:
        """Let what was found out be known the next time."""
        if self.directory is None or not self.opened:
            return
        known, newest = self.known, self.began - _RACY_NS
        found = dict(known) if len(known) < min(2 * len(self.paths) + 50_000, _MOST_KNOWN) else {}
        for name, signature, key in zip(self.tree.python, self.signatures, self.keys, strict=True):
            if signature and key and signature[1] < newest and signature[2] < newest and _is_text(name):
                found[name] = (signature, key)
            else:
                found.pop(name, None)
        if found == known:
            return
        data = msgspec.msgpack.encode(found)
        temporary = self.directory / f"{_STATE}.{uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            temporary.write_bytes(crc32(data).to_bytes(4, "little") + data)
            temporary.replace(self.directory / _STATE)


def look(tree: Tree, progress: Progress, *, cache: Path | None = None) -> SeenTree:
    """Find out what the files of a tree hold.

    Args:
        cache: directory where things are kept for the next time; relative to the root; None for nowhere.
    """
    began = time.time_ns()
    directory = None if cache is None else tree.root / cache
    root = os.fspath(tree.root)
    paths = [f"{root}/{each}" for each in tree.python]
    signatures = [_signature(each) for each in paths]
    known = _load(directory)
    keys: list[bytes] = [b""] * len(paths)
    unknown: list[int] = []
    for number, (name, signature) in enumerate(zip(tree.python, signatures, strict=True)):
        seen = known.get(name)
        if seen is not None and seen[0] == signature:
            keys[number] = seen[1]
        else:
            unknown.append(number)
    if unknown:
        _hash(paths, unknown, keys, progress)
    return SeenTree(tree, directory, paths, signatures, keys, known, began, bool(unknown))


def _hash(paths: list[str], unknown: list[int], keys: list[bytes], progress: Progress) -> None:
    from .source import key_of

    if len(unknown) < _THREADED:
        for number in unknown:
            keys[number] = key_of(paths[number])
        return
    from concurrent.futures import ThreadPoolExecutor

    from .pool import cores

    with ThreadPoolExecutor(cores()) as threads:
        for at, (number, key) in enumerate(
            zip(unknown, threads.map(key_of, [paths[each] for each in unknown], chunksize=64), strict=True)
        ):
            keys[number] = key
            if at % 1000 == 0:
                progress("look at files", at, len(unknown))


def _signature(path: str) -> Signature | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of thousands of them
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _load(directory: Path | None) -> dict[str, tuple[Signature, bytes]]:
    if directory is None:
        return {}
    try:
        data = (directory / _STATE).read_bytes()
        if crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return {}
        return _KNOWN.decode(data[4:])
    except (OSError, msgspec.MsgspecError):
        return {}


def _is_text(name: str) -> bool:
    """Whether a path has no bytes that are not UTF-8; those that have are looked at each time."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
