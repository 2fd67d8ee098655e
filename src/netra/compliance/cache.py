"""The facts of a tree, as fast as they can be had: what has been read before is not read again.

A file whose size and times are those of the last run is not opened (see `known`); one whose content was seen before,
under any path, is not parsed; the rest is parsed by several processes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache as once
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path

from . import pool
from .facts import VERSION, FileFacts
from .known import Progress, SeenTree, look
from .pack import lazy
from .source import content_key, make
from .store import Store
from .walk import Tree


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
    """The facts of every file of a tree, in its order: `look` and `read` in one."""
    return read(look(tree, progress, cache=cache), progress, jobs=jobs).files


def read(looked: SeenTree, progress: Progress, *, jobs: int = 0) -> ReadTree:
    """Get the facts of a tree that was looked at. Keys of files that changed since are put right.

    Args:
        jobs: processes; 0 for one for each processor.
    """
    paths, keys, signatures = looked.paths, looked.keys, looked.signatures
    store = Store(looked.directory, tag())
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
        looked.save()
    return ReadTree(looked.tree, keys, store)


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
    names = ("facts.py", "text.py", "source.py")
    for path in sorted([*(here / name for name in names), *here.glob("extract*/*.py"), *here.glob("extract*.py")]):
        with contextlib.suppress(OSError):
            code.update(path.read_bytes())
    return f"{VERSION}-py{sys.version_info[0]}{sys.version_info[1]}-{code.hexdigest()}"
