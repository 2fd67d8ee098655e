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
from netra.storage.pools import PoolMetrics

from .activity import Summary, UserActivity
from .aggregator import Health, SystemSessionFigures
from .factory import RequestScopedSessionFactory
from .identifiers import UserID
from .metrics import DatabaseSessionMetrics, SystemSessionMetrics
from .tracker import UserSessionTracker


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
