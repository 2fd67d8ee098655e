"""Named locks between processes: one launcher per checkout, one owner per port, one migration of a database at a time.

A lock is a file that the operating system keeps locked for as long as its owner lives, so a killed owner never leaves a
lock behind. What the file says (process id, when that process began, what for) is for people: whoever finds the lock
taken can say who has it and where.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import psutil

from netra.errors import Conflict

from .processes import same_process

_LOCKED_BYTE = 1 << 30
"""Windows locks bytes, and what is locked cannot be read: a byte far behind the text."""
_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock.

    Args:
        pid: its process id.
        created: when that process began, in seconds since 1970.
        purpose: what it does, for people.
        place: where: a directory, an address.
    """

    pid: int
    created: float
    purpose: str
    place: str

    @classmethod
    def me(cls, purpose: str, place: str) -> Owner:
        """This process."""
        own = psutil.Process()
        return cls(own.pid, own.create_time(), purpose, place)

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.created).astimezone()
        return f"{self.purpose}, process {self.pid} since {since:%H:%M:%S}, {self.place}"


class FileLocking(Protocol):
    """How the operating system locks an open file."""

    def lock(self, fd: int) -> bool:
        """Lock it without waiting. Whether it worked."""

    def release(self, fd: int, path: Path) -> None:
        """Remove the file, unlock and close it."""


class PosixLocking:
    """Locks with `flock`."""

    def lock(self, fd: int) -> bool:
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self, fd: int, path: Path) -> None:
        path.unlink(missing_ok=True)  # while it is locked: whoever waits for it sees that it is gone
        os.close(fd)


class WindowsLocking:
    """Locks with `msvcrt.locking`, the byte range locks of Windows.

    Args:
        msvcrt: the module of that name; given by tests on other systems.
    """

    def __init__(self, msvcrt: Any = None) -> None:
        self._msvcrt = import_module("msvcrt") if msvcrt is None else msvcrt

    def lock(self, fd: int) -> bool:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            self._msvcrt.locking(fd, self._msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def release(self, fd: int, path: Path) -> None:
        os.ftruncate(fd, 0)
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        self._msvcrt.locking(fd, self._msvcrt.LK_UNLCK, 1)
        os.close(fd)  # Windows removes no file that is open
        with suppress(PermissionError):  # somebody else has opened it since: it is theirs
            path.unlink(missing_ok=True)


def file_locking() -> FileLocking:
    """How files are locked here."""
    return WindowsLocking() if sys.platform == "win32" else PosixLocking()


class HeldLock:
    """A lock that is held, until `release` or the end of the `with` block."""

    def __init__(self, path: Path, fd: int, locking: FileLocking, owner: Owner) -> None:
        self._path = path
        self._fd: int | None = fd
        self._locking = locking
        self._write(owner)

    def tell(self, purpose: str, place: str) -> None:
        """Say anew what the lock is held for, and where."""
        self._write(Owner.me(purpose, place))

    def release(self) -> None:
        """Let it go. A second call does nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._locking.release(fd, self._path)

    def __enter__(self) -> HeldLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.release()

    def _write(self, owner: Owner) -> None:
        assert self._fd is not None, "the lock is released"
        text = json.dumps(asdict(owner)).encode()
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.ftruncate(self._fd, 0)
        os.write(self._fd, text)


class NamedLocks:
    """The locks of one directory.

    Args:
        directory: made when the first lock is taken.
        locking: how files are locked; default: as this system does.
    """

    def __init__(self, directory: Path, *, locking: FileLocking | None = None) -> None:
        self.directory = directory
        self._locking = locking or file_locking()

    def take(self, name: str, *, purpose: str, place: str, wait: float = 0.0) -> HeldLock:
        """Take a lock.

        Args:
            name: of what; any text.
            purpose: what for, for whoever finds it taken.
            place: where.
            wait: seconds to wait for whoever has it.

        Raises:
            Conflict: somebody else has it; says who and where.
        """
        deadline = time.monotonic() + wait
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (held := self._try(name, Owner.me(purpose, place))) is None:
            if time.monotonic() >= deadline:
                holder = self.holder(name)
                raise Conflict(f"Already running: {holder or 'another process, which does not say which'}.")
            time.sleep(_WAIT_SECONDS)
        return held

    def holder(self, name: str) -> Owner | None:
        """Who says to hold a lock; None when nobody does, or has not said so yet."""
        return _owner_in(self._path(name))

    def sweep(self) -> None:
        """Remove the files of owners that were killed. They lock nothing any more, and say what is not so."""
        for path in sorted(self.directory.glob("*.lock")):
            owner = _owner_in(path)
            if owner is None or same_process(owner.pid, owner.created) is not None:
                continue
            with suppress(OSError):
                fd = os.open(path, os.O_RDWR)
                if self._locking.lock(fd):
                    self._locking.release(fd, path)
                else:
                    os.close(fd)

    def _try(self, name: str, owner: Owner) -> HeldLock | None:
        path = self._path(name)
        while True:
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            except PermissionError:  # Windows, while its owner removes it
                return None
            if not self._locking.lock(fd):
                os.close(fd)
                return None
            if _still_there(fd, path):
                return HeldLock(path, fd, self._locking, owner)
            os.close(fd)  # its last owner removed it between our two steps: it is free

    def _path(self, name: str) -> Path:
        plain = re.sub(r"[^\w.-]+", "-", name)
        mark = "" if plain == name else f"-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        return self.directory / f"{plain[-60:]}{mark}.lock"


def machine_locks(environment: Callable[[str], str | None] = os.environ.get) -> NamedLocks:
    """The locks that all launchers of this user share, for what is shared by all checkouts: ports and databases."""
    for variable in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        if place := environment(variable):
            return NamedLocks(Path(place) / "netra-dev")
    return NamedLocks(Path.home() / ".cache" / "netra-dev")


def _owner_in(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _still_there(fd: int, path: Path) -> bool:
    """Whether the locked file is the one that others will find, and not one that its last owner has removed."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
