"""Files: uploads stream to disk and are named by the server; a download is always an attachment.

A file is written under a temporary name, flushed to the disk, renamed, and only then recorded: a row never points at
half a file. Files that no message took within a day, and what a crash left behind, are swept at start and every hour.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, func, insert, select

from netra.clock import Clock
from netra.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, Unavailable
from netra.identity import Scope
from netra.ids import new_id
from netra.sessions import RequestScopedSessionFactory
from netra.sessions.tracker import Note, unnoted
from netra.storage.tables import files, micros, moment, users
from netra.text import clean_id

log = structlog.get_logger(__name__)

UNCLAIMED = timedelta(days=1)
SWEEP_SECONDS = 3600.0
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
    """Files of one user at a time, below `directory`.

    Args:
        max_bytes: the largest file.
        max_bytes_of_user: what all files of one user may have together.
        note: told of every upload.
    """

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        directory: Path,
        clock: Clock,
        *,
        max_bytes: int,
        max_bytes_of_user: int,
        note: Note = unnoted,
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_bytes_of_user = max_bytes_of_user
        self._note = note
        self._arriving: Counter[str] = Counter()
        """Bytes of uploads that are not recorded yet, by user."""
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make the directory, sweep it, and go on sweeping.

        Raises:
            Unavailable: the database cannot be reached.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.sweep()
        self._sweeper = asyncio.create_task(self._keep_sweeping(), name="files sweeper")

    async def stop(self) -> None:
        """End the sweeping."""
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            await asyncio.wait({sweeper})

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:  # a next time comes
                log.exception("sweep_failed")

    async def sweep(self) -> None:
        """Remove files that no message took in time, and what belongs to no row.

        Raises:
            Unavailable: the database cannot be reached.
        """
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
            PayloadTooLarge: more bytes than a file, or the user's files together, may have; nothing is kept.
            InvalidInput: the file is empty or has no name.
            Unavailable: the disk does not take it.
        """
        shown = clean_name(name)
        media_type = mimetypes.guess_type(shown)[0] or "application/octet-stream"
        file_id = new_id("fil")
        part = _Part(self._directory / file_id)
        stored = await self._database.query(lambda connection: _stored_bytes(connection, scope))
        try:
            size = await self._receive(scope, part, pieces, stored)
            now = micros(self._clock.now())

            def record(connection: Connection) -> None:
                # Others of the user's uploads wait here, so that the sum is still true when this one is added to it.
                user = select(users.c.id).where(users.c.id == scope.user_id).with_for_update(key_share=True)
                connection.execute(user)
                if _stored_bytes(connection, scope) + size > self._max_bytes_of_user:
                    raise self._full()
                connection.execute(
                    insert(files).values(
                        id=file_id,
                        user_id=scope.user_id,
                        thread_id=None,
                        name=shown,
                        media_type=media_type,
                        size=size,
                        sha256=part.digest(),
                        created_at=now,
                    )
                )

            try:
                await self._database.write(record)
            except PayloadTooLarge:
                await part.discard()
                raise
        finally:
            self._forget_arrived(scope, part)
        self._note(scope.user_id, "feature:upload")
        return StoredFile(file_id, shown, size, media_type, None, moment(now), self._directory / file_id)

    async def _receive(self, scope: Scope, part: _Part, pieces: AsyncIterator[bytes], stored: int) -> int:
        """Write an upload to the disk and return its size."""
        try:
            async for piece in pieces:
                part.size += len(piece)
                self._arriving[scope.user_id] += len(piece)
                if part.size > self._max_bytes:
                    raise PayloadTooLarge(f"A file may have at most {self._max_bytes:,} bytes.")
                if stored + self._arriving[scope.user_id] > self._max_bytes_of_user:
                    raise self._full()
                await asyncio.to_thread(part.write, piece)
            if part.size == 0:
                raise InvalidInput("The file is empty.", field="file")
            await asyncio.to_thread(part.finish)
        except OSError as error:
            await part.discard()
            log.error("upload not stored", error=error.strerror)
            raise Unavailable("The file could not be stored.", hint="Try again in a while.") from error
        except BaseException:
            await part.discard()
            raise
        return part.size

    def _forget_arrived(self, scope: Scope, part: _Part) -> None:
        self._arriving[scope.user_id] -= part.size
        if not self._arriving[scope.user_id]:
            del self._arriving[scope.user_id]

    def _full(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"Your files may have {self._max_bytes_of_user:,} bytes together.",
            hint="Delete files, or threads with files, that you do not need any more.",
        )

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


def _stored_bytes(connection: Connection, scope: Scope) -> int:
    total = select(func.coalesce(func.sum(files.c.size), 0)).where(files.c.user_id == scope.user_id)
    return int(connection.execute(total).scalar_one())


class _Part:
    """A file while it arrives. Its methods block, and wait for each other: an upload that is given up while a thread
    still writes must not close the descriptor that the thread uses, which another file may get next.
    """

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._path = path
        self._part = path.with_suffix(".part")
        self._hash = hashlib.sha256()
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._over = False

    def write(self, piece: bytes) -> None:
        """Append. Makes the file with the first piece."""
        with self._lock:
            if self._over:
                return
            if self._descriptor is None:
                self._descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._hash.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self) -> None:
        """Flush to the disk, and give the file its name."""
        with self._lock:
            if self._over or self._descriptor is None:
                return
            os.fsync(self._descriptor)
            self._close()
            self._part.rename(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY)  # the name must survive a power cut as the bytes do
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    async def discard(self) -> None:
        """Remove what was written. Goes on when whoever waits for it is cancelled."""
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._discard))

    def _discard(self) -> None:
        with self._lock:
            self._close()
            self._part.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        self._over = True
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def digest(self) -> bytes:
        """The SHA-256 of the bytes."""
        return self._hash.digest()
