"""`RequestScopedSessionFactory`: where every part of the server gets its database from.

One session per request, socket command and run. The doors enter its scope; `read`, `query` and `write` inside it take a
connection for their own length and are counted for it. Background tasks have no scope: each of their questions is a
session of its own. Whoever wants SQLAlchemy's ORM gets a real `AsyncSession`, tagged with its user. On a failure the
caller gets the database's own error (or `Unavailable`, which names it as its cause); it is counted and logged once, and
the connection is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, overload

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from netra.clock import Clock, SystemClock
from netra.errors import ForeignSession, NetraError, NotFound, SessionReclaimed
from netra.monitoring.metrics import metrics
from netra.storage import Database
from netra.storage.pools import PoolMetrics

from .aggregator import SystemSessionAggregator
from .failures import is_counted, kind_of, mark_counted, root_of
from .leaks import LeakDetector
from .metrics import DatabaseSessionMetrics, SessionState, error_context
from .scopes import RequestSession, current_session, origin_of_task
from .uses import OPTION, ConnectionUse, TaggedSession, listen

T = TypeVar("T")

log = structlog.get_logger(__name__)

CHECK_SECONDS = 1.0
QUIET_SECONDS = 1.0
"""Background tasks that fail again and again log each kind of failure this often at most."""
HEALTH_SECONDS = 5.0


class RequestScopedSessionFactory:
    """See the module. `start` before use, `close` after.

    Args:
        database: started and stopped with the factory.
        clock: the time.
        held_seconds: how long a connection may be held before it is reported and taken back.
        strict: whether a stream that begins while its request holds a connection fails (see `guard_stream`).
    """

    def __init__(
        self, database: Database, clock: Clock | None = None, *, held_seconds: float = 60.0, strict: bool = False
    ) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._strict = strict
        self.aggregator = SystemSessionAggregator(self._clock, database.pools)
        self.leaks = LeakDetector(held_seconds, self._clock, self.aggregator)
        self._check_seconds = min(CHECK_SECONDS, held_seconds / 4)
        self._checker: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._logged: dict[str, float] = {}
        database.watch(listen)

    async def start(self) -> None:
        """Open the database. Safe to call twice.

        Raises:
            Unavailable: the database cannot be reached.
        """
        await self._database.start()
        if self._checker is None:
            self._checker = asyncio.create_task(self._check(), name="database session checker")

    def finish_within(self, seconds: float) -> None:
        """See `Database.finish_within`."""
        self._database.finish_within(seconds)

    async def close(self) -> None:
        """Close every connection. Safe to call twice; `start` opens again."""
        checker, self._checker = self._checker, None
        if checker is not None:
            checker.cancel()
            await asyncio.wait({checker})
        if self._closing:
            await asyncio.wait(self._closing)
        await self._database.stop()
        self._publish()

    stop = close

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._database.dialect

    @property
    def checked_out(self) -> int:
        """Connections that are in use at this moment, the writer's aside, which keeps its own."""
        return self._database.checked_out

    @property
    def pending_writes(self) -> int:
        """Units of work that wait for the writer."""
        return self._database.pending_writes

    # Scopes

    def scope(
        self, *, request_id: str, user_id: str | None = None, thread_id: str | None = None, run_id: str | None = None
    ) -> RequestSession:
        """The session of one request, command or run, as a context manager: what is asked inside belongs to it.

        The user is often known only later: see `RequestSession.identify`.
        """
        return RequestSession(
            self.aggregator, request_id=request_id, user_id=user_id, thread_id=thread_id, run_id=run_id
        )

    def guard_stream(self, session: RequestSession) -> None:
        """To be called before a stream's first byte is sent: ends the request's session, which must hold nothing.

        Raises:
            StreamHoldsConnection: it holds a connection, and the factory is strict.
        """
        session.begin_stream(strict=self._strict)

    def _session(self) -> RequestSession:
        current = current_session()
        if current is not None:
            return current
        origin = origin_of_task()  # a task that outlives its request says at least where it came from
        if origin is None:
            return RequestSession(self.aggregator, request_id="", kept=False)
        return RequestSession(
            self.aggregator,
            request_id=origin.request_id,
            user_id=origin.user_id,
            thread_id=origin.thread_id,
            run_id=origin.run_id,
            kept=False,
        )

    # What every part uses

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See `Database.read`.

        Raises:
            Unavailable: as there.
            SessionReclaimed: the connection was held for too long.
        """
        session = self._session()
        session.begin()
        use = ConnectionUse(session, "read", self._clock.monotonic)
        self.leaks.watch(use)
        try:
            async with self._database.read(use=use) as connection:
                use.take()
                yield connection
        except Exception as error:
            if use.reclaimed:
                raise self._failed(session, SessionReclaimed()) from error
            self._failed(session, error)
            raise
        finally:
            self._over(session, use)

    async def query(self, work: Callable[[Connection], T]) -> T:
        """See `Database.query`.

        Raises:
            Unavailable: as there.
            SessionReclaimed: it took too long and was interrupted.
        """
        session = self._session()
        session.begin()
        use = ConnectionUse(session, "query", self._clock.monotonic)
        self.leaks.watch(use)
        session.take()
        try:
            found = await self._database.query(work, use=use)
        except Exception as error:
            if use.reclaimed:
                raise self._failed(session, SessionReclaimed()) from error
            self._failed(session, error)
            raise
        else:
            session.establish(True)
            return found
        finally:
            session.give_back()
            if use.connection is not None:
                session.transacted()
            self._over(session, use)

    async def write(self, work: Callable[[Connection], T], *, committed: Callable[[T], None] | None = None) -> T:
        """See `Database.write`. It counts as a transaction, which shares its commit with others."""
        session = self._session()
        session.begin()
        session.transacted()
        use = ConnectionUse(session, "writer")
        try:
            done = await self._database.write(work, committed=committed, use=use)
        except Exception as error:
            if kind_of(error) is None:
                session.establish(True)
            self._failed(session, error)
            raise
        else:
            session.establish(True)
            return done
        finally:
            if not session.kept:
                session.end()

    def _over(self, session: RequestSession, use: ConnectionUse) -> None:
        self.leaks.forget(use)
        use.give_back()
        session.absorb(use)
        session.ended(SessionState.IDLE)
        if not session.kept:
            session.end()

    # SQLAlchemy's sessions

    @asynccontextmanager
    async def get_request_scoped_session(
        self,
        user_id: str,
        request_id: str | None = None,
        thread_id: str | None = None,
        session_id: str | None = None,
    ) -> AsyncIterator[AsyncSession]:
        """An `AsyncSession` that reads and writes, for one piece of work of one user.

        It takes a connection at its first statement. At the end it is committed, or rolled back when the block raises;
        then it is closed. `info` holds session_id, request_id, user_id, thread_id, and its `metrics`.

        Args:
            user_id: whose data it is about.
            request_id: default: the present scope's, or a new one's.
            thread_id: the thread it is about.
            session_id: default: a new one.

        Raises:
            Unavailable: the database is not open.
            sqlalchemy.exc.SQLAlchemyError: the database's own error, whatever it is.
            SessionReclaimed: it held its connection for too long.
        """
        engine = self._database.session_engine()
        around = current_session()
        session = RequestSession(
            self.aggregator,
            request_id=request_id or (around.request_id if around is not None else ""),
            user_id=user_id,
            thread_id=thread_id,
            run_id=around.run_id if around is not None else None,
            session_id=session_id,
            around=around,
        )
        found = session.begin()
        found.state = SessionState.CREATED
        use = ConnectionUse(session, "session", self._clock.monotonic)
        tags = {
            OPTION: use,
            "session_id": found.session_id,
            "request_id": session.request_id,
            "user_id": user_id,
            "thread_id": thread_id,
            "metrics": found,
        }
        orm = AsyncSession(
            engine.execution_options(**{OPTION: use}),
            sync_session_class=TaggedSession,
            expire_on_commit=False,
            info=tags,
        )
        self.leaks.watch(use)
        try:
            try:
                yield orm
                await orm.commit()
            except BaseException:
                await self._finish(self._roll_back(orm, use))
                raise
        except Exception as error:
            if use.reclaimed:
                raise self._failed(session, SessionReclaimed()) from error
            self._failed(session, error)
            raise
        finally:
            await self._finish(self._put_away(orm, session, use))

    get_session = get_request_scoped_session

    async def _finish(self, work: Any) -> None:
        """Give a session's connection back, whatever happens to the task that had it."""
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        await asyncio.shield(task)

    async def _roll_back(self, orm: AsyncSession, use: ConnectionUse) -> None:
        with contextlib.suppress(SQLAlchemyError):  # the connection may be what failed; closing gives it back
            if not use.reclaimed:
                await orm.rollback()

    async def _put_away(self, orm: AsyncSession, session: RequestSession, use: ConnectionUse) -> None:
        session.ended(SessionState.CLOSING)
        try:
            await orm.close()
        except SQLAlchemyError as error:
            log.warning("database session does not close", error=type(error).__name__)
        finally:
            self.leaks.forget(use)
            use.give_back()
            session.absorb(use)
            session.end()

    @staticmethod
    def validate_session_isolation(session: AsyncSession | Session, user_id: str) -> None:
        """See that a session belongs to a user.

        Raises:
            ForeignSession: it belongs to somebody else, or was not made by a factory.
        """
        owner = session.info.get("user_id")
        if not user_id or owner != user_id:
            metrics.db_session_errors.labels("foreign").inc()
            raise ForeignSession(
                "This database session belongs to nobody."
                if not owner
                else "This database session is somebody else's.",
                hint="Ask the factory for a session of the user whose data is meant.",
            )

    # What is known

    def get_pool_metrics(self) -> dict[str, PoolMetrics]:
        """The figures of each pool: `read`, `query`, `writer`, and `session` once it was used."""
        return self._database.pools()

    @overload
    def get_session_metrics(self) -> dict[str, DatabaseSessionMetrics]: ...

    @overload
    def get_session_metrics(self, session_id: str) -> DatabaseSessionMetrics: ...

    def get_session_metrics(
        self, session_id: str | None = None
    ) -> dict[str, DatabaseSessionMetrics] | DatabaseSessionMetrics:
        """The metrics of the sessions that are open, by their ids, or those of one.

        Raises:
            NotFound: no open session has this id.
        """
        found = self.aggregator.sessions()
        if session_id is None:
            return found
        if session_id not in found:
            raise NotFound(f"No database session {session_id!r} is open.")
        return found[session_id]

    async def health_check(self) -> dict[str, Any]:
        """Ask the database something, and judge the sessions.

        Returns:
            `status` (healthy, degraded, unhealthy), `reasons`, and `database`: ok, or why not.
        """
        status, reasons = self.aggregator.health()
        database = "ok"
        try:
            async with asyncio.timeout(HEALTH_SECONDS), self.read() as connection:
                await connection.execute(text("SELECT 1"))
        except (NetraError, TimeoutError) as error:
            status, database = "unhealthy", error.message if isinstance(error, NetraError) else "It does not answer."
            reasons = [database, *reasons]
        return {"status": status, "reasons": reasons, "database": database}

    # Failures and leaks

    def _failed(self, session: RequestSession, error: T) -> T:
        """Count a failure of the database, once, and log a session's first one. Returns the error."""
        assert isinstance(error, Exception)
        kind = kind_of(error)
        root = root_of(error)
        if kind is None or is_counted(error):
            return error
        mark_counted(error)  # it may pass through a session around this one
        self.aggregator.failed(kind)
        session.establish(False)
        told = session.begin() if session.metrics is None else session.metrics
        if not session.closed:
            told.record_error(f"{type(root).__name__}: {kind}")
        if self._may_log(session, kind):
            log.error(
                "database session failed",
                kind=kind,
                error=type(root).__name__,
                reason=_first_line(root),
                **error_context(told),
            )
        return error

    def _may_log(self, session: RequestSession, kind: str) -> bool:
        if session.kept:
            first, session.complained = not session.complained, True
            return first
        now = self._clock.monotonic()
        if now < self._logged.get(kind, 0.0):
            return False
        self._logged[kind] = now + QUIET_SECONDS
        return True

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._check_seconds)
            try:
                await self.leaks.check()
                self._publish()
            except Exception:
                log.exception("check of database sessions failed")  # the next one may succeed

    def _publish(self) -> None:
        states = self.aggregator.figures().by_state
        for state in SessionState:
            metrics.db_sessions.labels(state.value).set(states.get(state.value, 0))
        for name, pool in self._database.pools().items():
            metrics.db_pool_connections.labels(name, "in_use").set(pool.checked_out)
            metrics.db_pool_connections.labels(name, "free").set(pool.size - pool.checked_out)


def _first_line(error: BaseException) -> str:
    """What the driver said, without statement and values."""
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0][:300] if said else ""
