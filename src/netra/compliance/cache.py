"""The facts of a tree, as fast as they can be had: what has been read before is not read again.

`read_tree` is what the command line gives to `check.run`. A file whose size and times are those of the last run is not
opened; one whose content was seen before, under any path, is not parsed; the rest is parsed by several processes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache as once
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Final
from uuid import uuid4
from zlib import crc32

import msgspec

from . import pool
from .facts import VERSION, FileFacts
from .pack import lazy
from .source import key_of, make
from .store import Store
from .text import content_key
from .walk import Tree

Progress = Callable[[str, int, int], None]
Signature = tuple[int, int, int, int]
"""Size, times of change of content and of inode, and inode."""

_RACY_NS: Final = 2_000_000_000
"""A file changed this shortly before it was looked at may change again without its times showing it."""
_MOST_KNOWN: Final = 1_000_000
_KNOWN: Final = msgspec.msgpack.Decoder(dict[str, tuple[Signature, bytes]])
_THREADED: Final = 200
"""Files; fewer are hashed without threads."""


@dataclass(frozen=True)
class ReadTree:
    """A tree, and the hash of the content of each of its files, empty where unreadable."""

    tree: Tree
    keys: list[bytes]
    store: Store

    @cached_property
    def files(self) -> list[tuple[str, FileFacts]]:
        """The facts of each file, in the tree's order."""
        root = os.fspath(self.tree.root)
        return _facts(self.tree.python, [f"{root}/{each}" for each in self.tree.python], self.keys, self.store)


def read_tree(
    tree: Tree, progress: Progress, *, jobs: int = 0, cache: Path | None = None
) -> list[tuple[str, FileFacts]]:
    """The facts of every file of a tree, in its order. Its arguments are those of `look`."""
    return look(tree, progress, jobs=jobs, cache=cache).files


def look(tree: Tree, progress: Progress, *, jobs: int = 0, cache: Path | None = None) -> ReadTree:
    """Read a tree.

    Args:
        jobs: processes; 0 for one for each processor.
        cache: directory where facts are kept for the next time; relative to the root; None to keep nothing.
    """
    began = time.time_ns()
    directory = None if cache is None else tree.root / cache
    store = Store(directory, tag())
    known = _load_known(directory)
    root = os.fspath(tree.root)
    paths = [f"{root}/{each}" for each in tree.python]
    signatures = [_signature(each) for each in paths]
    keys, looked = _keys(tree.python, paths, signatures, known, progress)
    in_store = store.keys()
    wanted: dict[bytes, int] = {}
    for number, key in enumerate(keys):
        if key and key not in in_store:
            wanted.setdefault(key, number)
    numbers = list(wanted.values())
    base = len(paths) - len(numbers)
    try:
        sizes = [signature[0] if (signature := signatures[number]) else 0 for number in numbers]
        made = pool.run(
            [paths[number] for number in numbers],
            sizes,
            jobs,
            lambda done: progress("read files", base + done, len(paths)),
        )
        for at, key, parts in made:
            number = numbers[at]
            if not key:  # it vanished, or the parser did not survive it, and would not survive its copies
                key = content_key(b"\0".join(parts))
                same = [each for each, old in enumerate(keys) if old == keys[number]]
            else:
                same = [number]
            if key != keys[number]:  # it changed since it was hashed
                for each in same:
                    keys[each], signatures[each] = key, None
            store.add(key, parts)
    finally:
        store.finish(set(keys))
        if looked:
            _save_known(directory, tree.python, signatures, keys, known, began - _RACY_NS)
    return ReadTree(tree, keys, store)


def _facts(names: Iterable[str], paths: list[str], keys: list[bytes], store: Store) -> list[tuple[str, FileFacts]]:
    shared: dict[bytes, FileFacts] = {}
    found = []
    for name, path, key in zip(names, paths, keys, strict=True):
        facts = shared.get(key)
        if facts is None:
            segment = store.find(key) if key else None
            made = partial(_made, path)
            facts = made() if segment is None else lazy(segment.read(key), made)
            if key:
                shared[key] = facts
        found.append((name, facts))
    return found


def _made(path: str) -> FileFacts:
    return make(path)[1]


@once
def tag() -> str:
    """Names what makes facts: their version, this Python, and the code that extracts them."""
    code = blake2b(digest_size=5)
    here = Path(__file__).parent
    names = ("facts.py", "text.py", "source.py", "native.py")
    for path in sorted([*(here / name for name in names), *here.glob("extract*/*.py"), *here.glob("extract*.py")]):
        with contextlib.suppress(OSError):
            code.update(path.read_bytes())
    return f"{VERSION}-py{sys.version_info[0]}{sys.version_info[1]}-{code.hexdigest()}"


def _signature(path: str) -> Signature | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of thousands of them
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _keys(
    names: tuple[str, ...],
    paths: list[str],
    signatures: list[Signature | None],
    known: dict[str, tuple[Signature, bytes]],
    progress: Progress,
) -> tuple[list[bytes], bool]:
    """The hash of each file's content, empty when it cannot be read; and whether any file was opened for it."""
    keys: list[bytes] = [b""] * len(paths)
    unknown: list[int] = []
    for number, (name, signature) in enumerate(zip(names, signatures, strict=True)):
        seen = known.get(name)
        if seen is not None and seen[0] == signature:
            keys[number] = seen[1]
        else:
            unknown.append(number)
    if len(unknown) < _THREADED:
        for number in unknown:
            keys[number] = key_of(paths[number])
        return keys, bool(unknown)
    with ThreadPoolExecutor(pool.cores()) as threads:
        for at, (number, key) in enumerate(
            zip(unknown, threads.map(key_of, [paths[each] for each in unknown], chunksize=64), strict=True)
        ):
            keys[number] = key
            if at % 1000 == 0:
                progress("look at files", at, len(unknown))
    return keys, True


def _is_text(name: str) -> bool:
    """Whether a path has no bytes that are not UTF-8; those that have are looked at each time."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# What files were like when their content was hashed

_STATE: Final = "files"


def _load_known(directory: Path | None) -> dict[str, tuple[Signature, bytes]]:
    if directory is None:
        return {}
    try:
        data = (directory / _STATE).read_bytes()
        if crc32(data[4:]) != int.from_bytes(data[:4], "little"):
            return {}
        return _KNOWN.decode(data[4:])
    except (OSError, msgspec.MsgspecError):
        return {}


def _save_known(
    directory: Path | None,
    names: tuple[str, ...],
    signatures: list[Signature | None],
    keys: list[bytes],
    known: dict[str, tuple[Signature, bytes]],
    newest: int,
) -> None:
    if directory is None:
        return
    found = dict(known) if len(known) < min(2 * len(names) + 50_000, _MOST_KNOWN) else {}
    for name, signature, key in zip(names, signatures, keys, strict=True):
        if signature and key and signature[1] < newest and signature[2] < newest and _is_text(name):
            found[name] = (signature, key)
        else:
            found.pop(name, None)
    if found == known:
        return
    data = msgspec.msgpack.encode(found)
    temporary = directory / f"{_STATE}.{uuid4().hex[:8]}"
    with contextlib.suppress(OSError):
        temporary.write_bytes(crc32(data).to_bytes(4, "little") + data)
        temporary.replace(directory / _STATE)
