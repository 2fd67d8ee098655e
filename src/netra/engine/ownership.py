"""One engine for each database: a lock that the operating system or PostgreSQL gives back when its holder dies.

What a process left is carried on by the next engine, which takes every running run for one that nobody works on. Two
engines at once would take each other's. `Engine` takes the ownership before anything else and asks again before it
begins runs: a session of PostgreSQL ends with the server, and somebody else may be the first to have the next one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import psycopg
import structlog

from netra.errors import ConfigurationError, Unavailable
from netra.storage.database import parse_url

log = structlog.get_logger(__name__)

TAKE_SECONDS = 4.0
"""How long to wait for the lock: a process that was just killed may hold it for a moment."""
ANSWER_SECONDS = 5.0
"""A database that does not answer for so long counts as away."""
_RETRY_SECONDS = 0.1
_KEY = 0x6E65_7472_61_01


class Ownership:
    """See the module.

    Args:
        database_url: where the server's own data is.
        data_dir: where the engine's own data is when that is SQLite.
    """

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self._url = parse_url(database_url)
        self._paths: tuple[Path, ...] = ()
        if self._url.get_backend_name() == "sqlite":
            database = Path(str(self._url.database))
            self._paths = (data_dir / "engine.lock", database.with_name(database.name + ".lock"))
        self._files: list[int] = []
        self._session: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._lost = False

    async def take(self) -> None:
        """Become the owner.

        Raises:
            ConfigurationError: somebody else is.
            Unavailable: the database cannot be reached.
        """
        deadline = asyncio.get_running_loop().time() + TAKE_SECONDS
        while not await self._try():
            if asyncio.get_running_loop().time() > deadline:
                raise ConfigurationError(
                    "Another Netra server works on this database.",
                    hint="Stop it first, or give this one a database and a data directory of its own.",
                )
            await asyncio.sleep(_RETRY_SECONDS)
        self._lost = False

    async def check(self) -> bool:
        """Whether this process is the owner still. A lock that went with its session is taken again.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if self._files:
            return True
        if self._session is not None:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._session.execute("SELECT 1")
                return True
            except (psycopg.Error, OSError, TimeoutError):
                await self.release()
        if await self._try():
            log.warning("ownership_taken_again")
            self._lost = False
            return True
        if not self._lost:
            self._lost = True
            log.error("ownership_lost", hint="Another Netra server works on this database: stop one of them.")
        return False

    async def release(self) -> None:
        """Let somebody else be the owner. Safe to call twice."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _try(self) -> bool:
        return self._lock_files() if self._paths else await self._lock_session()

    def _lock_files(self) -> bool:
        for path in self._paths:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._files.append(descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                for each in self._files:
                    os.close(each)
                self._files.clear()
                return False
        return True

    async def _lock_session(self) -> bool:
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        session: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        taken = False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                session = await psycopg.AsyncConnection.connect(url, autocommit=True, application_name="netra engine")
                cursor = await session.execute("SELECT pg_try_advisory_lock(%s)", (_KEY,))
                row = await cursor.fetchone()
            taken = row is not None and row[0] is True
        except (psycopg.Error, OSError, TimeoutError) as error:
            raise Unavailable("The database cannot be reached.", hint=str(error)) from error
        finally:
            if taken:
                self._session = session
            elif session is not None:
                await session.close()
        return taken
