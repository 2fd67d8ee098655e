"""What earlier starts have found out, kept by content: whoever asks with the same contents need not look again.

An entry says that a preparation (dependencies there, database migrated, page built) held for a digest over everything
it depends on. The file survives restarts; one that cannot be read counts as empty. Nothing is ever right only because
of the cache: with `enabled=False` every question is answered with no, and what follows takes longer and ends the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """That something held.

    Args:
        key: digest over what it depends on.
        seconds: how long it took to do or to find out.
        at: when, in seconds since 1970.
    """

    key: str
    seconds: float
    at: float


class ContentCache:
    """Entries by name, in one JSON file.

    Args:
        path: the file; its directory must exist when something is remembered.
        enabled: False to believe nothing; what is found out is remembered all the same.
    """

    def __init__(self, path: Path, *, enabled: bool = True) -> None:
        self._path = path
        self._enabled = enabled
        self._lock = threading.Lock()
        self._entries = self._read()

    def holds(self, name: str, key: str) -> bool:
        """Whether `name` was found to hold for `key`."""
        entry = self.entry(name)
        return self._enabled and entry is not None and entry.key == key

    def entry(self, name: str) -> CacheEntry | None:
        """What is known of `name`, for whatever key."""
        with self._lock:
            return self._entries.get(name)

    def remember(self, name: str, key: str, *, seconds: float = 0.0) -> None:
        """Keep that `name` holds for `key`, in place of what was known of it."""
        with self._lock:
            known = self._entries.get(name)
            if known is not None and known.key == key:
                return
            self._entries[name] = CacheEntry(key, round(seconds, 3), time.time())
            self._write()

    def forget(self, name: str) -> None:
        """Know nothing of `name` any more."""
        with self._lock:
            if self._entries.pop(name, None) is not None:
                self._write()

    def _read(self) -> dict[str, CacheEntry]:
        try:
            kept = json.loads(self._path.read_bytes())
            if kept["format"] != _FORMAT:
                return {}
            return {str(name): CacheEntry(**entry) for name, entry in kept["entries"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def _write(self) -> None:
        """Under another name first, so that a launcher that is killed leaves the old file or the new one."""
        content = {"format": _FORMAT, "entries": {name: asdict(entry) for name, entry in self._entries.items()}}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")
        part.replace(self._path)


class Provable(Protocol):
    """A preparation of which a child that is ready is the proof: a server that answers has a migrated database."""

    @property
    def name(self) -> str:
        """Under which it is remembered."""

    @property
    def proved_by(self) -> str | None:
        """The child."""

    @property
    def key(self) -> Callable[[], str]:
        """Digest over what it depends on, now."""


class CacheWarmer:
    """Remembers, while the developer works, what running children prove, so that the next start need not look.

    A migration that was added, and applied when the server was restarted for it, is not asked for again.
    """

    def __init__(self, cache: ContentCache, preparations: Iterable[Provable]) -> None:
        self._cache = cache
        self._preparations = list(preparations)

    def ready(self, child: str) -> list[str]:
        """A child is ready; returns the names of what was remembered."""
        proved = [preparation for preparation in self._preparations if preparation.proved_by == child]
        for preparation in proved:
            self._cache.remember(preparation.name, preparation.key())
        return [preparation.name for preparation in proved]


def digest(files: Iterable[Path], *facts: object) -> str:
    """SHA-256 over the names and contents of files, in the order of their names, and over further facts.

    A file that is not there counts as such.
    """
    total = hashlib.sha256()
    for fact in facts:
        total.update(f"{fact!r}\0".encode())
    for path in sorted(files):
        try:
            content = path.read_bytes()
        except OSError:
            total.update(f"{path}\0missing\0".encode())
            continue
        total.update(f"{path}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()
