"""The one interface over everything known of sessions: those of the database, and those of users.

The admin API asks it. The two sides never meet elsewhere: `SystemSessionAggregator` knows nothing of what users do,
and `UserSessionTracker` nothing of connections. What the process knows by itself is told at once (`database`, `live`,
`last_activity`); what is read from the database is awaited, in the loop that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from netra.clock import Clock
from netra.errors import NotFound
from netra.storage.pools import PoolMetrics

from .activity import Summary, UserActivity
from .aggregator import Health, SystemSessionFigures
from .factory import RequestScopedSessionFactory
from .identifiers import UserID
from .metrics import DatabaseSessionMetrics, SystemSessionMetrics
from .scopes import RequestSession
from .tracker import UserSessionTracker
from .uses import ConnectionUse


@dataclass(frozen=True, slots=True)
class DatabaseSessions:
    """The database's side at one moment.

    Args:
        health: and why it is not better.
        figures: all sessions together.
        pools: by name.
        oldest: the session that is open longest; None when none is open.
    """

    health: Health
    reasons: Sequence[str]
    figures: SystemSessionFigures
    pools: Mapping[str, PoolMetrics]
    oldest: DatabaseSessionMetrics | None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A database session that is open at this moment.

    Args:
        metrics: its own figures.
        run_id: the run it serves; None for a request or command.
        held_seconds: for how long it has had its oldest connection; None without one.
        statement_kind: the first word of its last statement; None before any.
        leaked: a connection of it is held for longer than allowed, or was taken back.
    """

    metrics: DatabaseSessionMetrics
    run_id: str | None
    held_seconds: float | None
    statement_kind: str | None
    leaked: bool


@dataclass(frozen=True, slots=True)
class SessionReport:
    """Both sides.

    Args:
        at: the moment of the report.
        last_activity: when this server was last used by anybody, or else when it began.
        live: the users' sessions of this process.
        users: all users, from the database.
    """

    at: datetime
    last_activity: datetime
    database: DatabaseSessions
    live: SystemSessionMetrics
    users: Summary


class UnifiedSessionMetricsProvider:
    """See the module.

    Args:
        sessions: the factory of database sessions, for its aggregator and pools.
        tracker: of users.
        clock: the time.
    """

    def __init__(self, sessions: RequestScopedSessionFactory, tracker: UserSessionTracker, clock: Clock) -> None:
        self._sessions = sessions
        self._tracker = tracker
        self._clock = clock

    @property
    def last_activity(self) -> datetime:
        """When something last happened, in a session of either kind; at least this server began."""
        return max([self.live.last_activity, *(one.last_activity for one in self._open())])

    @property
    def live(self) -> SystemSessionMetrics:
        """The users' sessions of this process at this moment."""
        return self._tracker.metrics

    def database(self) -> DatabaseSessions:
        """The database's side at this moment."""
        aggregator = self._sessions.aggregator
        health, reasons = aggregator.health()
        return DatabaseSessions(
            health=health,
            reasons=tuple(reasons),
            figures=aggregator.figures(),
            pools=self._sessions.get_pool_metrics(),
            oldest=min(self._open(), key=lambda one: one.created_at, default=None),
        )

    def open_sessions(self) -> list[OpenSession]:
        """The database sessions that are open, the oldest first."""
        leaks, now = self._sessions.leaks, self._clock.monotonic()
        uses: dict[RequestSession, list[ConnectionUse]] = {}
        for use in leaks.held():
            uses.setdefault(use.session, []).append(use)
        found = []
        for session in self._sessions.aggregator.open_sessions():
            if session.metrics is None:
                continue
            held = uses.get(session, [])
            statement = next((use.statement for use in held if use.statement), session.last_statement)
            found.append(
                OpenSession(
                    session.metrics,
                    session.run_id,
                    max((now - use.since for use in held), default=None),
                    statement.split(None, 1)[0].upper() if statement else None,
                    any(use.reclaimed or leaks.is_overdue(use) for use in held),
                )
            )
        return sorted(found, key=lambda each: each.metrics.created_at)

    async def end_session(self, session_id: str) -> None:
        """Take the connections of a database session back; whoever works with it gets an error.

        Raises:
            NotFound: no open session of this id has a connection.
        """
        if not await self._sessions.leaks.end(session_id):
            raise NotFound("There is no such database session that holds a connection.")

    async def report(self) -> SessionReport:
        """Both sides, with what happened up to now.

        Raises:
            Unavailable: the database cannot be reached.
        """
        users = await self._tracker.summary()
        return SessionReport(self._clock.now(), self.last_activity, self.database(), self.live, users)

    async def users(self, *, limit: int = 50, cursor: str | None = None) -> tuple[list[UserActivity], str | None]:
        """Users one by one; see `UserSessionTracker.users`."""
        return await self._tracker.users(limit=limit, cursor=cursor)

    async def user(self, user_id: UserID) -> UserActivity:
        """One user; see `UserSessionTracker.user`."""
        return await self._tracker.user(user_id)

    def _open(self) -> list[DatabaseSessionMetrics]:
        return list(self._sessions.aggregator.sessions().values())
