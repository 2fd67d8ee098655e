"""Connections that are held for too long: reported once, with their owner, age and stack, and taken back.

Every read, query and ORM session is noted here from the moment it asks for a connection. Taking a connection back
closes it, which gives its slot to the next one in the pool; whoever held it gets `SessionReclaimed`. The work of a
query's thread cannot be taken from it, so there the statement is interrupted, and the thread ends by its error.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import greenlet_spawn

from netra.clock import Clock

from .aggregator import SystemSessionAggregator
from .metrics import error_context
from .uses import ConnectionUse

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0
"""How long closing a connection may take before it is left to itself."""


class LeakDetector:
    """See the module.

    Args:
        limit_seconds: how long a connection may be held.
        clock: the time.
        book: counts the leaks.
    """

    def __init__(self, limit_seconds: float, clock: Clock, book: SystemSessionAggregator) -> None:
        self._limit = limit_seconds
        self._clock = clock
        self._book = book
        self._uses: dict[ConnectionUse, None] = {}

    def watch(self, use: ConnectionUse) -> None:
        """A connection is asked for."""
        self._uses[use] = None

    def forget(self, use: ConnectionUse) -> None:
        """It is given back."""
        self._uses.pop(use, None)

    def held(self) -> list[ConnectionUse]:
        """The uses that have a connection at this moment."""
        return [use for use in self._uses if use.connection is not None]

    def is_overdue(self, use: ConnectionUse) -> bool:
        """Whether a connection is held for longer than allowed."""
        return self._clock.monotonic() - use.since > self._limit

    async def end(self, session_id: str) -> bool:
        """Take the connections of a session back, whatever their age. Whether it held any."""
        found = [use for use in self.held() if use.session.session_id == session_id and not use.reclaimed]
        for use in found:
            use.reclaimed = True
            log.warning(
                "database session ended by an administrator", pool=use.pool, **error_context(use.session.metrics)
            )
            await self._reclaim(use)
        return bool(found)

    async def check(self) -> int:
        """Report what is held for too long, and take it back. Returns how many that were."""
        now = self._clock.monotonic()
        # What has no connection waits for one, which has a limit of its own, or has nothing at the moment.
        overdue = [use for use in self.held() if not use.reclaimed and self.is_overdue(use)]
        for use in overdue:
            use.reclaimed = True
            self._book.leaked()
            log.error(
                "database connection leaked",
                pool=use.pool,
                age_seconds=round(now - use.since, 3),
                thread_id=use.session.thread_id,
                run_id=use.session.run_id,
                stack=use.stack(),
                **error_context(use.session.metrics),
            )
            await self._reclaim(use)
        return len(overdue)

    async def _reclaim(self, use: ConnectionUse) -> None:
        if use.connection is None:  # given back while another one was taken
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await _take_back(use, use.connection)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("leaked connection does not close", error=type(error).__name__)


async def _take_back(use: ConnectionUse, connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    if use.pool == "query":  # its thread still uses it
        interrupt = driver.interrupt if hasattr(driver, "interrupt") else driver.cancel
        await asyncio.to_thread(interrupt)
        return
    if hasattr(driver, "interrupt"):  # SQLite closes only when the statement is over
        await driver.interrupt()
    await greenlet_spawn(_close, connection)
    use.give_back()


def _close(connection: Connection) -> None:
    connection.invalidate()
    connection.close()
