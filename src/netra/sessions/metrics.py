"""What is counted of sessions: one class for a database session, one for all user sessions together.

The session factory, the aggregator and the user session manager move these; reports, `/metrics` and error logs read
them. The module stands alone: it imports nothing of the server and needs no event loop and no environment. Its objects
are C-built, slotted Structs, since one is made for every request (figures in `benchmarks/session_metrics.py`). They are
not locked: one task or thread moves an object at a time, and whoever shares one owns the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

_now: Callable[[], datetime] = partial(datetime.now, UTC)


class SessionState(StrEnum):
    """Where a database session is in its life."""

    CREATED = "created"
    ACTIVE = "active"
    IDLE = "idle"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    CLOSING = "closing"
    CLOSED = "closed"
    ERROR = "error"


Value: TypeAlias = str | int | float | None
"""What a field becomes in `to_dict`."""


class _Moments(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """The two times as they are kept: no activity of its own until something happens, so that a new object asks for
    the time only once."""

    created_at: datetime = msgspec.field(default_factory=_now)
    last_activity_at: datetime | None = None


class BaseSessionMetrics(_Moments, kw_only=True, eq=False, gc=False):
    """What both kinds have: when it began, when something last happened, and what went wrong.

    Args:
        created_at: with a time zone (one without counts as UTC); default: now.
        last_activity_at: default: `created_at`.
        error_count: errors so far.
        last_error: the message of the last one.
    """

    error_count: int = 0
    last_error: str | None = None

    _last_activity_at = _Moments.last_activity_at  # the slot behind the property

    def __post_init__(self) -> None:
        # A caller may hand on a None of its own, whatever the annotation says.
        self.created_at = self.created_at or _now()

    @property
    def last_activity(self) -> datetime:
        """`last_activity_at`, read-only: when something last happened. At least the creation did."""
        return self._last_activity_at or self.created_at

    @property  # type: ignore[misc] # a field of the constructor that is never None when it is read
    def last_activity_at(self) -> datetime:
        """When something last happened."""
        return self._last_activity_at or self.created_at

    @last_activity_at.setter
    def last_activity_at(self, moment: datetime) -> None:
        self._last_activity_at = moment

    errors = property(attrgetter("error_count"), doc="`error_count`, read-only.")

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({fields})"

    def mark_activity(self, at: datetime | None = None) -> None:
        """Note that something happened, now or at the time given."""
        self._last_activity_at = at or _now()

    def record_error(self, message: str) -> None:
        """Count an error and keep its message; it is activity too."""
        self.error_count += 1
        self.last_error = message
        self.mark_activity()

    def get_age_seconds(self, now: datetime | None = None) -> float:
        """Seconds since it was created; 0.0 if the machine's clock was set back since."""
        return _seconds(self.created_at, now or _now())

    def get_inactivity_seconds(self, now: datetime | None = None) -> float:
        """Seconds since something last happened; 0.0 if the machine's clock was set back since."""
        return _seconds(self.last_activity_at, now or _now())

    def to_dict(self) -> dict[str, Value]:
        """Every field by name, times in ISO 8601, with `age_seconds` and `inactivity_seconds` of this moment."""
        now = _now()
        fields = {name: _plain(getattr(self, name)) for name in self.__struct_fields__}
        ages: dict[str, Value] = {
            "age_seconds": self.get_age_seconds(now),
            "inactivity_seconds": self.get_inactivity_seconds(now),
        }
        return fields | ages


class _DatabaseSessionCounters(BaseSessionMetrics, kw_only=True, eq=False, gc=False):
    """What `DatabaseSessionMetrics` takes by keyword only."""

    state: SessionState = SessionState.CREATED
    query_count: int = 0
    transaction_count: int = 0
    closed_at: datetime | None = None
    total_time_ms: float | None = None


class DatabaseSessionMetrics(_DatabaseSessionCounters, eq=False, gc=False):
    """One database session: whose it is, what was asked in it and how it ended.

    Args:
        session_id: its own id.
        request_id: of the request, command or run it serves.
        user_id: whose data it is about.
        created_at: as in `BaseSessionMetrics`.
        last_activity_at: as in `BaseSessionMetrics`.
        state: where it is in its life.
    """

    session_id: str = ""
    request_id: str = ""
    user_id: str = ""

    operations_count = property(attrgetter("query_count"), doc="`query_count`, read-only.")

    def increment_query_count(self) -> None:
        """Count a statement that was sent to the database."""
        self.query_count += 1
        self.mark_activity()

    def increment_transaction_count(self) -> None:
        """Count a transaction that began."""
        self.transaction_count += 1
        self.mark_activity()

    def record_error(self, message: str) -> None:
        """Count an error, keep its message and take the state `error`."""
        self.state = SessionState.ERROR
        BaseSessionMetrics.record_error(self, message)

    def close_session(self, total_time_ms: float | None = None) -> None:
        """Note that it is closed. The first call counts; another one changes nothing.

        Args:
            total_time_ms: how long it was open, in milliseconds; default: the time since `created_at`.
        """
        if self.closed_at is not None:
            return
        now = _now()
        self.closed_at = now
        self.total_time_ms = self.get_age_seconds(now) * 1000 if total_time_ms is None else total_time_ms
        self.state = SessionState.CLOSED
        self.mark_activity(now)

    close = close_session


class SystemSessionMetrics(BaseSessionMetrics, kw_only=True, eq=False, gc=False):
    """All user sessions of a server together. `UserSessionManager` moves one.

    Args:
        total_sessions: sessions since the object was made.
        active_sessions: those of them that have not ended.
        expired_sessions_cleaned: those of them that ended because they were idle.
        sessions_created_today: since midnight UTC.
        sessions_reused_today: times a kept session was given out again, since midnight UTC.
        average_session_duration_minutes: over the sessions that ended; None before one did.
        memory_usage_mb: what the kept sessions take, in MB (10⁶ bytes); None before it was measured.
    """

    total_sessions: int = 0
    active_sessions: int = 0
    expired_sessions_cleaned: int = 0
    sessions_created_today: int = 0
    sessions_reused_today: int = 0
    average_session_duration_minutes: float | None = None
    memory_usage_mb: float | None = None

    @property
    def operations_count(self) -> int:
        """How often a session was given out today, a new one or a kept one."""
        return self.sessions_created_today + self.sessions_reused_today

    def increment_total_sessions(self, by: int = 1) -> None:
        self._move("total_sessions", by)

    def decrement_total_sessions(self, by: int = 1) -> None:
        """Raises ValueError when fewer were counted, like every decrement here."""
        self._move("total_sessions", -by)

    def increment_active_sessions(self, by: int = 1) -> None:
        self._move("active_sessions", by)

    def decrement_active_sessions(self, by: int = 1) -> None:
        self._move("active_sessions", -by)

    def increment_expired_sessions_cleaned(self, by: int = 1) -> None:
        self._move("expired_sessions_cleaned", by)

    def increment_sessions_created_today(self, by: int = 1) -> None:
        self._move("sessions_created_today", by)

    def increment_sessions_reused_today(self, by: int = 1) -> None:
        self._move("sessions_reused_today", by)

    def start_day(self) -> None:
        """Forget what was counted for the day before."""
        self.sessions_created_today = self.sessions_reused_today = 0

    def _move(self, name: str, by: int) -> None:
        count = getattr(self, name) + by
        if count < 0:
            raise ValueError(f"{name} is {count - by} and cannot be lowered by {-by}.")
        setattr(self, name, count)
        self.mark_activity()


AnySessionMetrics: TypeAlias = DatabaseSessionMetrics | SystemSessionMetrics

_OF_DATABASE = frozenset(DatabaseSessionMetrics.__struct_fields__) - frozenset(BaseSessionMetrics.__struct_fields__)


def create_database_session_metrics(session_id: str, request_id: str, user_id: str) -> DatabaseSessionMetrics:
    """The metrics of a database session that begins now."""
    return DatabaseSessionMetrics(session_id, request_id, user_id)


def create_system_session_metrics() -> SystemSessionMetrics:
    """The metrics of a system without sessions yet."""
    return SystemSessionMetrics()


def session_metrics(*args: Any, **fields: Any) -> AnySessionMetrics:
    """The kind of metrics that has the fields given.

    `session_id`, `request_id`, `user_id` (by keyword or position) and the other fields of a database session make
    `DatabaseSessionMetrics`; the fields of an aggregate, those that both have, or none, make `SystemSessionMetrics`.

    Raises:
        TypeError: a field that neither has, or fields of both kinds.
    """
    kind: Callable[..., AnySessionMetrics]
    kind = DatabaseSessionMetrics if args or _OF_DATABASE.intersection(fields) else SystemSessionMetrics
    return kind(*args, **fields)


def error_context(metrics: object) -> dict[str, Value]:
    """What an error's log line says of a session: ids, last activity, operations and errors.

    For exception handlers: it raises nothing, whatever the object is. What an object has not, or fails to say, is None.
    """
    return {
        "session_id": _told(metrics, "session_id"),
        "request_id": _told(metrics, "request_id"),
        "user_id": _told(metrics, "user_id"),
        "last_activity": _told(metrics, "last_activity"),
        "operations_count": _told(metrics, "operations_count"),
        "errors": _told(metrics, "errors"),
    }


def _told(metrics: object, name: str) -> Value:
    try:
        return _plain(getattr(metrics, name, None))
    except Exception:  # noqa: BLE001 - a second failure would hide the one that is being logged
        return None


def _plain(value: object) -> Value:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    return str(value)


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (_zoned(now) - _zoned(since)).total_seconds())


def _zoned(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
