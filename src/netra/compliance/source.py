"""The bytes of source files, as they can be had without waiting and without filling memory.

Only regular files are read: opening a pipe waits for its writer, and devices have no end. Of a file that is too large
to be source that somebody wrote, the hash and the number of lines are enough.
"""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from typing import Final

from .facts import FileFacts, Trouble

MOST_BYTES: Final = 4 * 1024 * 1024
"""Larger files were not written by hand, and are not read."""
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_STEP: Final = 1024 * 1024
_MOST_COUNTED: Final = 1024 * 1024 * 1024
"""Bytes; what comes behind is not looked at. A sparse file can claim to be longer than any disk."""


def content_key(data: bytes) -> bytes:
    """Names a content: equal for equal bytes only."""
    return sha256(data, usedforsecurity=False).digest()[:16]


def nothing(why: str) -> FileFacts:
    """The facts of a file that cannot be read."""
    return FileFacts(0, [], [], [], [], [], [], [], None, True, [], [Trouble(1, why)], "", [])


def key_of(path: str) -> bytes:
    """The hash of a file's content; empty when it cannot be read."""
    try:
        return _read(path)[0]
    except (OSError, ValueError, MemoryError):
        return b""


def make(path: str) -> tuple[bytes, FileFacts]:
    """The key of a file's content, empty when it cannot be read, and its facts."""
    from .extract import extract, too_large  # who only wants a key does not need it

    try:
        key, data, lines = _read(path)
    except (OSError, ValueError, MemoryError) as error:
        return b"", nothing(getattr(error, "strerror", None) or "unreadable")
    return key, too_large(lines) if data is None else extract(data)


def _read(path: str) -> tuple[bytes, bytes | None, int]:
    """Key, content and 0; of a file that is too large, key, None and the number of lines."""
    handle = os.open(path, _FLAGS)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file")
        first = os.read(handle, MOST_BYTES + 1)
        # A file that grows, or a network: less than asked for does not mean that there is no more.
        parts, size = [first], len(first)
        while parts[-1] and size <= MOST_BYTES:
            parts.append(os.read(handle, MOST_BYTES + 1 - size))
            size += len(parts[-1])
        data = first if len(parts) <= 2 and not parts[-1] else b"".join(parts)
        if size <= MOST_BYTES:
            return content_key(data), data, 0
        digest, lines = sha256(data, usedforsecurity=False), data.count(b"\n")
        while size < _MOST_COUNTED and (part := os.read(handle, _STEP)):
            digest.update(part)
            lines += part.count(b"\n")
            size += len(part)
        digest.update(str(found.st_size).encode())
        return digest.digest()[:16], None, lines + 1
    finally:
        os.close(handle)
