"""A tracker of users over a real database, with a clock the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert, select

from netra.sessions import RequestScopedSessionFactory, UnifiedSessionMetricsProvider, UserSessionTracker
from netra.sessions.identifiers import UserID
from netra.storage import Database
from netra.storage.tables import micros, user_sessions, users
from support.clock import ManualClock
from support.logs import user_row

MORNING = datetime(2030, 1, 1, 8, tzinfo=UTC)


@dataclass
class Desk:
    """A server's tracker, and what a test does to it."""

    database: RequestScopedSessionFactory
    clock: ManualClock
    tracker: UserSessionTracker

    @property
    def provider(self) -> UnifiedSessionMetricsProvider:
        return UnifiedSessionMetricsProvider(self.database, self.tracker, self.clock)

    async def sign_up(self, *names: str) -> Sequence[UserID]:
        """New users, by their ids."""
        rows = [{**user_row(name), "created_at": micros(self.clock.now())} for name in names]
        await self.database.write(lambda connection: connection.execute(insert(users), rows))
        return [UserID(name) for name in names]

    async def remove(self, user_id: str) -> None:
        """Remove a user, with everything of theirs."""
        await self.database.write(lambda connection: connection.execute(delete(users).where(users.c.id == user_id)))

    def run(self, user_id: str, thread_id: str, *, succeeded: bool = True) -> None:
        """A message, its run, and its end."""
        self.tracker.note(user_id, "message", thread_id=thread_id)
        self.tracker.note(user_id, "run_started", thread_id=thread_id)
        self.tracker.note(user_id, "run_ended", thread_id=thread_id, succeeded=succeeded)

    async def restart(self) -> None:
        """What the end of a process and the start of the next are for the tracker."""
        await self.tracker.stop()
        self.tracker = UserSessionTracker(self.database, self.clock)
        await self.tracker.start()

    async def rows(self) -> list[dict[str, object]]:
        """The stored sessions, the oldest first."""
        statement = select(user_sessions).order_by(user_sessions.c.started_at, user_sessions.c.id)
        found = await self.database.query(lambda connection: connection.execute(statement).mappings().all())
        return [dict(row) for row in found]


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    """The tracker, started."""
    clock = ManualClock(MORNING)
    database = RequestScopedSessionFactory(Database(database_url), clock)
    await database.start()
    desk = Desk(database, clock, UserSessionTracker(database, clock))
    try:
        await desk.tracker.start()
        yield desk
    finally:
        await desk.tracker.stop()
        await database.close()
