"""The sessions of users: a stretch of one user's work in one thread, or outside any, as long as the pauses are short.

There is at most one live session for each user and thread. Whoever works is given it again (`acquire`); it ends when
its user pauses for `idle_seconds`, at midnight UTC (so that every session belongs to one day), when it is invalidated,
and when too many are kept, the one that was used longest ago first. The tracker owns the manager of the server. All
methods are synchronous, do no I/O and belong to one thread, the event loop's.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias, TypeVar

from netra.clock import Clock
from netra.ids import new_id

from .identifiers import SessionID, ThreadID, UserID
from .metrics import SystemSessionMetrics

MOST = 10_000
"""Sessions that are kept at once."""

Ending: TypeAlias = Literal["idle", "midnight", "invalidated", "full"]
"""Why a session ended."""
Key: TypeAlias = tuple[UserID, ThreadID | None]
"""What a session is found by. A tuple, so that no pair of ids can be mistaken for another pair."""
Name = TypeVar("Name", UserID, ThreadID)


@dataclass(slots=True, eq=False)
class UserSession:
    """One session. `last_activity_at` moves while it lives; `ended_at` is None until it ended."""

    id: SessionID
    user_id: UserID
    thread_id: ThreadID | None
    started_at: datetime
    last_activity_at: datetime
    ended_at: datetime | None = None

    @property
    def key(self) -> Key:
        return (self.user_id, self.thread_id)


class UserSessionManager:
    """See the module.

    Args:
        clock: the time.
        idle_seconds: a session without activity for longer has ended, at its last activity.
        most: sessions kept at once.
        on_ended: told of every session that ends, and why; must not raise.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        idle_seconds: float = 1800,
        most: int = MOST,
        on_ended: Callable[[UserSession, Ending], None] = lambda _session, _why: None,
    ) -> None:
        if most < 1:
            raise ValueError("most: at least one session must be kept")
        self._clock = clock
        self._idle = timedelta(seconds=idle_seconds)
        self._most = most
        self._on_ended = on_ended
        self._live: OrderedDict[Key, UserSession] = OrderedDict()  # the one used longest ago first
        self._of_user: defaultdict[UserID, set[Key]] = defaultdict(set)
        self._of_thread: defaultdict[ThreadID, set[Key]] = defaultdict(set)
        now = clock.now()
        self._midnight = _midnight_after(now)
        self._bytes = 0
        self._ended = 0
        self._worked_minutes = 0.0
        self._metrics = SystemSessionMetrics(created_at=now)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def user_count(self) -> int:
        """Users with a live session."""
        return len(self._of_user)

    @property
    def metrics(self) -> SystemSessionMetrics:
        """The counts of this moment: what is idle by now has ended."""
        self.expire()
        self._metrics.memory_usage_mb = (self._bytes + sys.getsizeof(self._live)) / 1_000_000
        return self._metrics

    def acquire(self, user_id: UserID, thread_id: ThreadID | None = None) -> UserSession:
        """The live session of this user in this thread, begun now if there is none; it is active at this moment.

        Raises:
            ValueError: an id is blank.
        """
        if not user_id or thread_id == "":
            raise ValueError("A session needs the id of a user, and of a thread or None.")
        now = self._clock.now()
        self.expire(now)
        key = (user_id, thread_id)
        session = self._live.get(key)
        if session is not None:
            session.last_activity_at = now
            self._live.move_to_end(key)
            self._metrics.increment_sessions_reused_today()
        else:
            while len(self._live) >= self._most:
                self._end(next(iter(self._live.values())), "full")
            session = UserSession(SessionID(new_id("ses")), user_id, thread_id, now, now)
            self._keep(session)
            self._metrics.increment_sessions_created_today()
        self._metrics.mark_activity(now)
        return session

    def adopt(self, sessions: Iterable[UserSession]) -> int:
        """Keep sessions that an earlier process began, unless they have ended meanwhile; returns how many were kept."""
        now = self._clock.now()
        kept = 0
        newest = {one.key: one for one in sorted(sessions, key=lambda one: one.last_activity_at)}
        for session in sorted(newest.values(), key=lambda one: one.last_activity_at):
            if session.key in self._live or len(self._live) >= self._most:
                continue
            if now - session.last_activity_at > self._idle or _midnight_after(session.started_at) <= now:
                continue
            self._keep(session)
            kept += 1
        return kept

    def get(self, user_id: UserID, thread_id: ThreadID | None = None) -> UserSession | None:
        """The live session of this user in this thread, as it is; None if there is none."""
        self.expire()
        return self._live.get((user_id, thread_id))

    def of_user(self, user_id: UserID) -> list[UserSession]:
        """The live sessions of one user."""
        self.expire()
        return [self._live[key] for key in self._of_user.get(user_id, ())]

    def invalidate_user(self, user_id: UserID) -> int:
        """End every session of a user; returns how many there were."""
        return self._invalidate(self._of_user.get(user_id, ()))

    def invalidate_thread(self, thread_id: ThreadID) -> int:
        """End the sessions in a thread; returns how many there were."""
        return self._invalidate(self._of_thread.get(thread_id, ()))

    def expire(self, now: datetime | None = None) -> int:
        """End what is idle, and at midnight everything; returns how many ended. Costs nothing when nothing has."""
        now = now or self._clock.now()
        ended = 0
        if now >= self._midnight:
            self._midnight = _midnight_after(now)
            while self._live:
                session = next(iter(self._live.values()))
                idle = now - session.last_activity_at > self._idle
                ended += self._end(session, "idle" if idle else "midnight")
            self._metrics.start_day()
        while self._live:
            session = next(iter(self._live.values()))
            if now - session.last_activity_at <= self._idle:
                break
            ended += self._end(session, "idle")
        return ended

    def _keep(self, session: UserSession) -> None:
        self._live[session.key] = session
        self._of_user[session.user_id].add(session.key)
        if session.thread_id is not None:
            self._of_thread[session.thread_id].add(session.key)
        self._bytes += _size(session)
        self._metrics.increment_total_sessions()
        self._metrics.increment_active_sessions()

    def _invalidate(self, keys: Iterable[Key]) -> int:
        return sum(self._end(self._live[key], "invalidated") for key in tuple(keys))

    def _end(self, session: UserSession, why: Ending) -> int:
        key = session.key
        del self._live[key]
        _discard(self._of_user, session.user_id, key)
        if session.thread_id is not None:
            _discard(self._of_thread, session.thread_id, key)
        self._bytes -= _size(session)
        session.ended_at = session.last_activity_at
        self._ended += 1
        self._worked_minutes += (session.last_activity_at - session.started_at) / timedelta(minutes=1)
        self._metrics.average_session_duration_minutes = self._worked_minutes / self._ended
        self._metrics.decrement_active_sessions()
        if why == "idle":
            self._metrics.increment_expired_sessions_cleaned()
        self._on_ended(session, why)
        return 1


def _midnight_after(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1)


def _size(session: UserSession) -> int:
    """Bytes of a session and its key; ids that it shares with others are counted with each."""
    parts = (session, session.key, session.id, session.user_id, session.thread_id)
    return sum(sys.getsizeof(part) for part in parts) + 2 * sys.getsizeof(session.started_at)


def _discard(index: defaultdict[Name, set[Key]], name: Name, key: Key) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]
