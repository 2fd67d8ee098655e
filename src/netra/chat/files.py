"""Files: uploads stream to disk and are named by the server; a download is always an attachment.

A file is written under a temporary name, flushed to the disk, renamed, and only then recorded: a row never points at
half a file. Files that no message took within a day, and what a crash left behind, are swept at start.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, insert, select

from netra.clock import Clock
from netra.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, Unavailable
from netra.identity import Scope
from netra.ids import new_id
from netra.storage import Database
from netra.storage.tables import files, micros, moment
from netra.text import clean_id

log = structlog.get_logger(__name__)

UNCLAIMED = timedelta(days=1)
NAME_CHARS = 200
_LEADING = re.compile(r"^[.\s]+")

for _suffix, _type in ((".jsonl", "application/jsonl"), (".parquet", "application/vnd.apache.parquet")):
    mimetypes.add_type(_type, _suffix)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was uploaded. `size` is in bytes; `thread_id` is None until a message takes it."""

    id: str
    name: str
    size: int
    media_type: str
    thread_id: str | None
    created_at: datetime
    path: Path


class Files:
    """Files of one user at a time, below `directory`."""

    def __init__(self, database: Database, directory: Path, max_bytes: int, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._max_bytes = max_bytes
        self._clock = clock

    async def start(self) -> None:
        """Make the directory and sweep it."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = micros(self._clock.now() - UNCLAIMED)

        def forget(connection: Connection) -> set[str]:
            connection.execute(delete(files).where(files.c.thread_id.is_(None), files.c.created_at < before))
            return set(connection.execute(select(files.c.id)).scalars())

        kept = await self._database.write(forget)
        await asyncio.to_thread(self._sweep, kept)

    def _sweep(self, kept: set[str]) -> None:
        oldest = (self._clock.now() - UNCLAIMED).timestamp()
        for path in self._directory.iterdir():
            if path.name not in kept and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    async def store(self, scope: Scope, name: str, pieces: AsyncIterator[bytes]) -> StoredFile:
        """Store an upload.

        Args:
            name: what the user calls it; only its last part is kept.
            pieces: the bytes, as they arrive.

        Raises:
            PayloadTooLarge: more bytes than allowed; nothing is kept.
            InvalidInput: the file is empty or has no name.
            Unavailable: the disk does not take it.
        """
        shown = clean_name(name)
        file_id = new_id("fil")
        path = self._directory / file_id
        part = path.with_suffix(".part")
        digest, size = hashlib.sha256(), 0
        try:
            descriptor = await asyncio.to_thread(os.open, part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                async for piece in pieces:
                    size += len(piece)
                    if size > self._max_bytes:
                        raise PayloadTooLarge(f"A file may have at most {self._max_bytes:,} bytes.")
                    await asyncio.to_thread(_write, descriptor, digest, piece)
                if size == 0:
                    raise InvalidInput("The file is empty.", field="file")
                await asyncio.to_thread(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            await asyncio.to_thread(_rename, part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            log.error("upload not stored", error=error.strerror)
            raise Unavailable("The file could not be stored.", hint="Try again in a while.") from error
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        media_type = mimetypes.guess_type(shown)[0] or "application/octet-stream"
        now = micros(self._clock.now())
        await self._database.write(
            lambda connection: (
                connection.execute(
                    insert(files).values(
                        id=file_id,
                        user_id=scope.user_id,
                        thread_id=None,
                        name=shown,
                        media_type=media_type,
                        size=size,
                        sha256=digest.digest(),
                        created_at=now,
                    )
                ).rowcount
            )
        )
        return StoredFile(file_id, shown, size, media_type, None, moment(now), path)

    async def get(self, scope: Scope, file_id: str) -> StoredFile:
        """A file of the caller.

        Raises:
            NotFound: it does not exist or is not the caller's.
        """
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(files).where(files.c.id == file_id, files.c.user_id == scope.user_id))
            ).one_or_none()
        if row is None:
            raise missing()
        return self._stored(row)

    async def list(
        self, scope: Scope, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[StoredFile], str | None]:
        """Files, the newest first, and the cursor of the next page.

        Args:
            limit: at most this many, 1 to 200.
            cursor: as returned with the page before.
        """
        statement = select(files).where(files.c.user_id == scope.user_id)
        if cursor:
            statement = statement.where(files.c.id < clean_id(cursor, field="cursor"))
        statement = statement.order_by(files.c.id.desc()).limit(limit + 1)  # ids are in the order of time
        rows = await self._database.query(lambda connection: connection.execute(statement).all())
        return [self._stored(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def delete(self, scope: Scope, file_id: str) -> None:
        """Remove a file that no message has taken.

        Raises:
            NotFound: it does not exist or is not the caller's.
            Conflict: it is part of a conversation, and goes with that.
        """
        mine = (files.c.id == file_id) & (files.c.user_id == scope.user_id)

        def work(connection: Connection) -> None:
            if connection.execute(delete(files).where(mine, files.c.thread_id.is_(None))).rowcount == 1:
                return
            if connection.execute(select(files.c.id).where(mine)).one_or_none() is None:
                raise missing()
            raise Conflict("This file is attached to a message.", hint="Delete the thread to delete its files.")

        await self._database.write(work)
        await self.unlink([file_id])

    def _stored(self, row: Row[Any]) -> StoredFile:
        path = self._directory / row.id
        return StoredFile(row.id, row.name, row.size, row.media_type, row.thread_id, moment(row.created_at), path)

    async def unlink(self, file_ids: Iterable[str]) -> None:
        """Remove files whose rows are gone."""
        for file_id in file_ids:
            await asyncio.to_thread((self._directory / file_id).unlink, missing_ok=True)


def missing() -> NotFound:
    """The answer for a file that does not exist and for one that belongs to somebody else."""
    return NotFound("There is no such file.")


def clean_name(name: str) -> str:
    """The last part of a file's name, without control characters.

    Raises:
        InvalidInput: nothing is left.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").rstrip()[-NAME_CHARS:]
    shown = _LEADING.sub("", shown)
    if not shown:
        raise InvalidInput("The file needs a name.", field="file")
    return shown


def _write(descriptor: int, digest: hashlib._Hash, piece: bytes) -> None:
    digest.update(piece)
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _rename(part: Path, path: Path) -> None:
    part.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the name must survive a power cut as the bytes do
    finally:
        os.close(directory)
