"""What users do, from real traffic: who connects, writes, gets answers, uses what.

The doors and the log say what happened (`note`, `stored`); every few seconds, and when the server stops, the sum goes
to the tables `user_sessions` and `feature_uses` in one small write. Everything that is asked of the tracker is read
from the database (figures and formulas: `netra.sessions.activity`), so a restart changes no answer. What a crash loses
is the last few seconds. Nothing here knows of connections to the database or of their pool.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol, TypeAlias, TypeVar

import structlog
from sqlalchemy import Connection, bindparam, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from netra.clock import Clock
from netra.errors import NotFound, Unavailable
from netra.events import AgentCompleted, AgentStarted, ApprovalResolved, Event, UserMessage
from netra.monitoring.metrics import metrics
from netra.storage.tables import feature_uses, micros, moment, user_sessions, users

from .activity import Summary, UserActivity, read_summary, read_users
from .factory import RequestScopedSessionFactory
from .identifiers import SessionID, ThreadID, UserID
from .metrics import SystemSessionMetrics
from .users import MOST, Ending, UserSession, UserSessionManager

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 5.0
CHUNK = 500
"""Sessions and features in one write."""
UNWRITTEN = 20_000
"""Changed sessions, and as many features of users, that are kept while the database is away."""
_FEATURE = re.compile(r"feature:([a-z][a-z0-9_]{0,39})")

FeatureKey: TypeAlias = tuple[UserID, str]
RunKey: TypeAlias = tuple[UserID, ThreadID | None]
_TELLING = frozenset({UserMessage, AgentStarted, AgentCompleted, ApprovalResolved})
"""The events that say what a user did."""
K = TypeVar("K")
V = TypeVar("V")


class Note(Protocol):
    """How a door says what a user did; `UserSessionTracker.note` and `unnoted` are such."""

    def __call__(
        self, user_id: str, kind: str, *, thread_id: str | None = None, succeeded: bool | None = None
    ) -> None: ...


def unnoted(user_id: str, kind: str, *, thread_id: str | None = None, succeeded: bool | None = None) -> None:
    """Note nothing, for doors that are built without a tracker."""


@dataclass(slots=True)
class _Change:
    """What is not written of a session."""

    session: UserSession
    connections: int = 0
    messages: int = 0
    runs: int = 0
    runs_succeeded: int = 0


@dataclass(slots=True)
class _Use:
    """What is not written of a feature of a user."""

    uses: int
    first: datetime
    last: datetime


class UserSessionTracker:
    """See the module. `start` after the database, `stop` before it; one process's traffic.

    Args:
        database: where the facts are kept.
        clock: the time.
        idle_seconds: pause after which a user's session has ended.
        most: sessions kept at once.
    """

    def __init__(
        self, database: RequestScopedSessionFactory, clock: Clock, *, idle_seconds: float = 1800, most: int = MOST
    ) -> None:
        self._database = database
        self._clock = clock
        self._idle = timedelta(seconds=idle_seconds)
        self.sessions = UserSessionManager(clock, idle_seconds=idle_seconds, most=most, on_ended=self._session_ended)
        self._most = most
        self._changes: dict[SessionID, _Change] = {}
        self._uses: dict[FeatureKey, _Use] = {}
        self._late: Counter[RunKey] = Counter()
        self._flushing: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with the sessions that an earlier process left open, and begin to write.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if self._writer is not None:
            return
        oldest = micros(self._clock.now() - self._idle)
        open_ = user_sessions.c.ended_at.is_(None)

        def take(connection: Connection) -> list[UserSession]:
            connection.execute(
                update(user_sessions)
                .where(open_, user_sessions.c.last_activity_at < oldest)
                .values(ended_at=user_sessions.c.last_activity_at)
            )
            rows = connection.execute(
                select(user_sessions).where(open_).order_by(user_sessions.c.last_activity_at.desc()).limit(self._most)
            )
            return [
                UserSession(row.id, row.user_id, row.thread_id, moment(row.started_at), moment(row.last_activity_at))
                for row in rows
            ]

        self.sessions.adopt(await self._database.write(take))
        self._writer = asyncio.create_task(self._keep_writing(), name="user session tracker")

    async def stop(self) -> None:
        """Write what is not written. Sessions stay open: their users may go on after a restart."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        writer.cancel()
        await asyncio.wait({writer})
        try:
            await self.flush()
        except Unavailable:
            log.warning("user_facts_lost", sessions=len(self._changes), features=len(self._uses))

    # Taking

    def note(self, user_id: str, kind: str, *, thread_id: str | None = None, succeeded: bool | None = None) -> None:
        """Note what a user did. Synchronous, no I/O; on the event loop's thread.

        Args:
            kind: `connected`, `disconnected`, `message`, `run_started`, `run_ended`, `thread_deleted`, or `feature:`
                and a name of lower-case letters, digits and underscores.
            thread_id: where; None for what is outside any thread.
            succeeded: of `run_ended`, which needs it.

        Raises:
            ValueError: an unknown kind, or a run that ended without `succeeded`.
        """
        if kind == "run_ended":
            if succeeded is None:
                raise ValueError("run_ended: say whether it succeeded.")
            if succeeded:
                self._run_succeeded(UserID(user_id), ThreadID(thread_id) if thread_id is not None else None)
            return
        if kind == "disconnected":  # the end of a connection is nothing its user does
            return
        if kind == "thread_deleted":
            if thread_id is not None:
                self.sessions.invalidate_thread(ThreadID(thread_id))
            return
        feature = None
        if kind not in ("connected", "message", "run_started"):
            match = _FEATURE.fullmatch(kind)
            if match is None:
                raise ValueError(f"{kind!r} is nothing that a user does; see UserSessionTracker.note.")
            feature = match[1]
        change = self._change(
            self.sessions.acquire(UserID(user_id), ThreadID(thread_id) if thread_id is not None else None)
        )
        if kind == "message":
            change.messages += 1
        elif kind == "run_started":
            change.runs += 1
        elif kind == "connected":
            change.connections += 1
        elif feature is not None:
            self._used(UserID(user_id), feature, change.session.last_activity_at)

    def stored(self, event: Event) -> None:
        """Note what an event says that the log has stored, whoever stored it: each counts once. See `ThreadLog`."""
        if type(event) not in _TELLING:
            return
        user_id, thread_id = event.user_id, event.thread_id
        if isinstance(event, UserMessage):
            self.note(user_id, "message", thread_id=thread_id)
            if event.attachments:
                self.note(user_id, "feature:attachments", thread_id=thread_id)
        elif isinstance(event, AgentStarted):
            self.note(user_id, "run_started", thread_id=thread_id)
        elif isinstance(event, AgentCompleted):
            self.note(user_id, "run_ended", thread_id=thread_id, succeeded=event.status == "succeeded")
        elif isinstance(event, ApprovalResolved) and event.by == user_id:
            self.note(user_id, "feature:approvals", thread_id=thread_id)

    # Telling

    @property
    def metrics(self) -> SystemSessionMetrics:
        """The sessions of this process at this moment."""
        return self.sessions.metrics

    async def summary(self) -> Summary:
        """All users together, with what happened up to now.

        Raises:
            Unavailable: the database cannot be reached.
        """
        await self.flush()
        # In a thread: it goes through every user, for which the event loop has no time.
        return await self._database.query(lambda connection: read_summary(connection, self._clock.now()))

    async def users(self, *, limit: int = 50, cursor: str | None = None) -> tuple[list[UserActivity], str | None]:
        """Users, the newest first, and the cursor of the next page.

        Raises:
            Unavailable: the database cannot be reached.
        """
        await self.flush()
        async with self._database.read() as connection:
            return await connection.run_sync(read_users, self._clock.now(), limit=limit, cursor=cursor)

    async def user(self, user_id: UserID) -> UserActivity:
        """One user.

        Raises:
            NotFound: there is no such user.
            Unavailable: the database cannot be reached.
        """
        await self.flush()
        async with self._database.read() as connection:
            found, _ = await connection.run_sync(read_users, self._clock.now(), limit=1, user_id=user_id)
        if not found:
            raise NotFound("There is no such user.")
        return found[0]

    # Writing

    async def flush(self) -> None:
        """Write what is not written at this moment. What the database did not take is kept for the next time.

        A caller that is cancelled leaves the writing to itself: what may have been stored is not written again.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if self._flushing is not None and not self._flushing.done():
            await asyncio.shield(self._flushing)  # it may have begun before what this caller wants written
        if self._flushing is None or self._flushing.done():
            # In a context of its own: it serves everybody, not the request that happens to ask.
            self._flushing = asyncio.create_task(self._write_all(), name="user facts", context=contextvars.Context())
            self._flushing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._flushing)

    async def _write_all(self) -> None:
        self.sessions.expire()
        late, self._late = self._late, Counter()
        try:
            # So many times and not until nothing is left: while there is traffic, something always is.
            for _ in range(max(len(self._changes), len(self._uses)) // CHUNK):
                await self._write_some(Counter())
            await self._write_some(late)  # after every session they may belong to
        except Exception:
            self._late.update(late)
            raise

    async def _write_some(self, late: Counter[RunKey]) -> None:
        changes = _first(self._changes, CHUNK)
        uses = _first(self._uses, CHUNK)
        if not (changes or uses or late):
            return
        rows = [_session_row(change) for change in changes.values()]
        used = [_feature_row(key, use) for key, use in uses.items()]
        named = {row["user_id"] for row in (*rows, *used)}
        make = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert

        def work(connection: Connection) -> None:
            there = set(connection.execute(select(users.c.id).where(users.c.id.in_(named))).scalars())
            _add_sessions(connection, make, [row for row in rows if row["user_id"] in there])
            _add_uses(connection, make, [row for row in used if row["user_id"] in there])
            for (user_id, thread_id), many in late.items():
                connection.execute(_LATE, {"user": user_id, "thread": thread_id, "many": many})

        try:
            await self._database.write(work)
        except Exception:
            self._put_back(changes, uses)
            raise

    def _put_back(self, changes: dict[SessionID, _Change], uses: dict[FeatureKey, _Use]) -> None:
        for session_id, change in changes.items():
            newer = self._changes.get(session_id)
            if newer is not None:
                change.connections += newer.connections
                change.messages += newer.messages
                change.runs += newer.runs
                change.runs_succeeded += newer.runs_succeeded
            self._changes[session_id] = change
        for key, use in uses.items():
            later = self._uses.get(key)
            if later is not None:
                use.uses, use.last = use.uses + later.uses, later.last
            self._uses[key] = use

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except Unavailable:
                log.warning("user_facts_kept", sessions=len(self._changes), features=len(self._uses))
            except Exception:  # a next time comes
                log.exception("user_facts_failed")
            metrics.user_sessions.set(len(self.sessions))
            metrics.active_users.set(self.sessions.user_count)

    def _session_ended(self, session: UserSession, why: Ending) -> None:
        metrics.user_sessions_ended.labels(why).inc()
        self._change(session)

    def _change(self, session: UserSession) -> _Change:
        change = self._changes.get(session.id)
        if change is None:
            if len(self._changes) >= UNWRITTEN:
                self._changes.pop(next(iter(self._changes)))
                metrics.user_facts_lost.inc()
            change = self._changes[session.id] = _Change(session)
        return change

    def _used(self, user_id: UserID, feature: str, now: datetime) -> None:
        use = self._uses.get((user_id, feature))
        if use is not None:
            use.uses, use.last = use.uses + 1, now
            return
        if len(self._uses) >= UNWRITTEN:
            self._uses.pop(next(iter(self._uses)))
            metrics.user_facts_lost.inc()
        self._uses[user_id, feature] = _Use(1, now, now)

    def _run_succeeded(self, user_id: UserID, thread_id: ThreadID | None) -> None:
        session = self.sessions.get(user_id, thread_id)
        if session is not None:
            self._change(session).runs_succeeded += 1
        elif len(self._late) < UNWRITTEN:
            self._late[user_id, thread_id] += 1
        else:
            metrics.user_facts_lost.inc()


_LATE = (
    # A run that outlived its user's session counts in the last one there was.
    update(user_sessions)
    .where(
        user_sessions.c.id
        == select(user_sessions.c.id)
        .where(
            user_sessions.c.user_id == bindparam("user"),
            user_sessions.c.thread_id.is_not_distinct_from(bindparam("thread")),
        )
        .order_by(user_sessions.c.started_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    .values(runs_succeeded=user_sessions.c.runs_succeeded + bindparam("many"))
)

_COUNTS = ("connections", "messages", "runs", "runs_succeeded")


def _session_row(change: _Change) -> dict[str, Any]:
    session = change.session
    return {
        "id": session.id,
        "user_id": session.user_id,
        "thread_id": session.thread_id,
        "started_at": micros(session.started_at),
        "last_activity_at": micros(session.last_activity_at),
        "ended_at": micros(session.ended_at) if session.ended_at is not None else None,
        **{name: getattr(change, name) for name in _COUNTS},
    }


def _feature_row(key: FeatureKey, use: _Use) -> dict[str, Any]:
    user_id, feature = key
    return {
        "user_id": user_id,
        "feature": feature,
        "uses": use.uses,
        "first_at": micros(use.first),
        "last_at": micros(use.last),
    }


def _add_sessions(connection: Connection, make: Any, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    new = make(user_sessions)
    old = user_sessions.c
    statement = new.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **{name: old[name] + new.excluded[name] for name in _COUNTS},
            "last_activity_at": _later(old.last_activity_at, new.excluded.last_activity_at),
            "ended_at": func.coalesce(new.excluded.ended_at, old.ended_at),
        },
    )
    connection.execute(statement, rows)


def _add_uses(connection: Connection, make: Any, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    new = make(feature_uses)
    old = feature_uses.c
    statement = new.on_conflict_do_update(
        index_elements=["user_id", "feature"],
        set_={"uses": old.uses + new.excluded.uses, "last_at": _later(old.last_at, new.excluded.last_at)},
    )
    connection.execute(statement, sorted(rows, key=lambda row: (row["user_id"], row["feature"])))


def _later(one: Any, other: Any) -> Any:
    return case((one > other, one), else_=other)


def _first(waiting: dict[K, V], most: int) -> dict[K, V]:
    """Take the first ones out of a dictionary."""
    return {key: waiting.pop(key) for key in tuple(islice(waiting, most))}
