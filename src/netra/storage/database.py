"""One database, SQLite or PostgreSQL: many short reads, one group-commit writer.

`netra.sessions.RequestScopedSessionFactory` stands before it: every part that stores something gets that, and the
`Database` learns through `use` on whose behalf it works. Reads take a connection for the length of a `with` block;
nothing that streams may hold one. Writes are functions handed to the writer (see `netra.storage.writer`), which is why
SQLite never answers "database is locked" to its own server. Whoever needs a session of SQLAlchemy's own gets it from a
fourth, small pool, which reads and writes.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from netra.errors import ConfigurationError, Unavailable
from netra.monitoring import tracing

from .pools import CountedAsyncPool, CountedPool, PoolCounts, PoolMetrics
from .postgres import BoundedAsyncConnection, BoundedConnection, limits, network_limits, took_too_long
from .uses import Use, Watcher, mark
from .writer import Writer

T = TypeVar("T")

QUERY_THREADS = 4
"""Threads for `Database.query`; more would only take turns."""
READ_WAIT_SECONDS = 30.0
BUSY_MILLISECONDS = 30_000
"""How long SQLite waits for another process, such as the command line, to release the file."""


def parse_url(url: str) -> URL:
    """A database URL with the driver this project uses for its dialect.

    Raises:
        ConfigurationError: not a URL, or neither SQLite nor PostgreSQL.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "The database URL cannot be read.",
            hint="Use postgresql://user:password@host/name or sqlite:///absolute/path.",
        ) from None
    dialect = parsed.get_backend_name()
    if dialect in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if dialect == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite+pysqlite")
    raise ConfigurationError(
        f"{parsed.drivername} with database {parsed.database!r} cannot keep Netra's data.",
        hint="Use postgresql://user:password@host/name or sqlite:///absolute/path.",
    )


def sync_engine(url: URL, **options: Any) -> Engine:
    """An engine for migrations and checks. What takes long there is no fault, so statements have no limit."""
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"check_same_thread": False}, **options)
        _prepare_sqlite(engine, "BEGIN IMMEDIATE")
        return engine
    return create_engine(url, connect_args=network_limits(), **options)


def _bounded_engine(url: URL, **options: Any) -> Engine:
    """An engine for PostgreSQL whose connections give up."""
    engine = create_engine(url, connect_args=_limits(url), pool_pre_ping=True, **options)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, named: Any) -> Any:
        return BoundedConnection.connect(*arguments, **named)

    return engine


def _limits(url: URL) -> dict[str, Any]:
    options = url.query.get("options")
    return limits(options if isinstance(options, str) else None)


def _query_engine(url: URL, size: int) -> Engine:
    pool: dict[str, Any] = {"pool_size": size, "max_overflow": 0, "poolclass": CountedPool}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"check_same_thread": False}, **pool)
        _prepare_sqlite(engine, "BEGIN", read_only=True)
        return engine
    engine = _bounded_engine(url, **pool)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _async_engine(url: URL, *, read_only: bool, **options: Any) -> AsyncEngine:
    pool: dict[str, Any] = {"max_overflow": 0, "poolclass": CountedAsyncPool, **options}
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), **pool)
        _prepare_sqlite(engine.sync_engine, "BEGIN" if read_only else None, read_only=read_only)
        if not read_only:
            _begin_late(engine.sync_engine)
        return engine
    arguments = {**_limits(url), "async_creator_fn": BoundedAsyncConnection.connect}
    engine = create_async_engine(url, connect_args=arguments, pool_pre_ping=True, **pool)
    if read_only:
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine


def _prepare_sqlite(engine: Engine, begin: str | None, *, read_only: bool = False) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says, not where the driver guesses
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()
        # SQLite's own lower() and LIKE know the case of ASCII letters only.
        connection.create_function("lower", 1, _lower, deterministic=True)

    if begin is None:
        return

    @event.listens_for(engine, "begin")
    def start_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _begin_late(engine: Engine) -> None:
    """Let a transaction on SQLite take the lock for writing when it first writes, and wait for it if need be.

    A transaction that has read and writes then fails at once when somebody wrote in between, whatever the busy timeout.
    So its reading ends there, and its statements see the data as PostgreSQL's READ COMMITTED shows them.
    """

    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        word = statement.lstrip()[:8].upper()
        if word.startswith(("BEGIN", "COMMIT")):
            return
        driver: Any = connection.connection.driver_connection
        writes = not word.startswith(("SELECT", "VALUES", "EXPLAIN", "PRAGMA"))
        if writes and not connection.info.get(_WRITES):
            if driver.in_transaction:
                connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            connection.info[_WRITES] = True
        elif not driver.in_transaction:
            connection.exec_driver_sql("BEGIN")

    def ended(connection: Connection) -> None:
        connection.info.pop(_WRITES, None)

    event.listen(engine, "begin", ended)


_WRITES = "netra writes"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Database:
    """Access to the data. `start` before use, `stop` after.

    Args:
        url: `sqlite:///path` or `postgresql://…`.
        read_connections: how many reads may run at once; more wait up to 30 seconds.
        session_connections: how many sessions of SQLAlchemy's may have a connection at once.
        session_wait_seconds: how long a further one waits.
    """

    def __init__(
        self,
        url: str,
        *,
        read_connections: int = 8,
        session_connections: int = 5,
        session_wait_seconds: float = 30.0,
    ) -> None:
        self.url = parse_url(url)
        self._read_connections = read_connections
        self._session_connections = session_connections
        self._session_wait_seconds = session_wait_seconds
        self._watchers: list[Watcher] = []
        self._pools: dict[str, PoolCounts] = {}
        self._sessions: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None
        self._queries: Engine | None = None
        self._query_threads: ThreadPoolExecutor | None = None
        self._writer: Writer | None = None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    async def start(self) -> None:
        """Open the connections.

        Raises:
            Unavailable: the database cannot be reached.
        """
        if self._writer is not None:
            return
        make_engine = sync_engine if self.dialect == "sqlite" else _bounded_engine
        writing = make_engine(self.url, pool_size=1, max_overflow=0, poolclass=CountedPool)
        self._made("writer", writing)
        writer = Writer(writing)
        await writer.start()
        self._writer = writer
        self._readers = _async_engine(
            self.url, read_only=True, pool_size=self._read_connections, pool_timeout=READ_WAIT_SECONDS
        )
        self._made("read", self._readers.sync_engine)
        threads = min(QUERY_THREADS, self._read_connections)
        self._queries = _query_engine(self.url, threads)
        self._made("query", self._queries)
        self._query_threads = ThreadPoolExecutor(threads, thread_name_prefix="netra-query")

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of every engine that is made from now on, before its first connection."""
        self._watchers.append(watcher)

    def _made(self, pool: str, engine: Engine) -> None:
        self._pools[pool] = PoolCounts(pool, engine)
        for watcher in self._watchers:
            watcher(pool, engine)

    def pools(self) -> dict[str, PoolMetrics]:
        """The figures of each open pool: `read`, `query`, `writer`, and `session` once it was used."""
        return {name: counts.now() for name, counts in self._pools.items()}

    def session_engine(self) -> AsyncEngine:
        """The engine for SQLAlchemy's own sessions, which reads and writes; opened when it is first asked for.

        Raises:
            Unavailable: the database is not open.
        """
        if self._writer is None:
            raise Unavailable("The database is not open.")
        if self._sessions is None:
            self._sessions = _async_engine(
                self.url,
                read_only=False,
                pool_size=self._session_connections,
                pool_timeout=self._session_wait_seconds,
            )
            self._made("session", self._sessions.sync_engine)
        return self._sessions

    def finish_within(self, seconds: float) -> None:
        """Let no write wait for longer than `seconds` from now, whatever the database does. For a server that stops.

        What is not stored by then fails with `Unavailable`, as does every write that comes later.
        """
        if self._writer is not None:
            self._writer.finish_within(seconds)

    async def stop(self) -> None:
        """Finish the writes already accepted and close every connection. Safe to call twice."""
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        queries, self._queries = self._queries, None
        threads, self._query_threads = self._query_threads, None
        sessions, self._sessions = self._sessions, None
        self._pools.clear()
        if writer is not None:
            await writer.stop()
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)
        if queries is not None:
            queries.dispose()
        for engine in (readers, sessions):
            if engine is not None:
                await engine.dispose()

    @asynccontextmanager
    async def read(self, *, use: Use | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, in one transaction that sees one state of the data.

        The transaction ends by a rollback, there being nothing to commit.

        Raises:
            Unavailable: the database cannot be reached, or no connection came free in 30 seconds.
        """
        if self._readers is None:
            raise Unavailable("The database is not open.")
        try:
            with tracing.database("read", self.dialect):
                async with self._readers.connect() as connection:
                    mark(_sync(connection), use)
                    yield connection
        except (OperationalError, InterfaceError, PoolTimeout, sqlite3.OperationalError, OSError) as error:
            raise Unavailable("The database cannot be reached.", hint="Try again in a moment.") from error

    async def query(self, work: Callable[[Connection], T], *, use: Use | None = None) -> T:
        """Run short reads in a thread, in one transaction that sees one state of the data.

        Everything `work` asks costs one trip to a thread, where `read` makes several for each statement. For what is
        asked often and answered at once; a long search would keep others waiting.

        Raises:
            Unavailable: the database cannot be reached.
        """
        engine, threads = self._queries, self._query_threads
        if engine is None or threads is None:
            raise Unavailable("The database is not open.")

        def run() -> T:
            with engine.connect() as connection:
                mark(connection, use)
                with connection.begin():
                    return work(connection)

        try:
            with tracing.database("query", self.dialect):
                return await asyncio.get_running_loop().run_in_executor(threads, run)
        except (OperationalError, InterfaceError, PoolTimeout, sqlite3.OperationalError, OSError) as error:
            raise Unavailable("The database cannot be reached.", hint="Try again in a moment.") from error

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        committed: Callable[[T], None] | None = None,
        use: Use | None = None,
    ) -> T:
        """Run `work` on the writer's connection and commit, together with whatever else is waiting.

        `committed` is called with the result on the event loop, in the order of the commits, even when the caller has
        gone meanwhile; it must not raise.

        `work` runs in the writer's thread, inside a savepoint: when it raises, only its own changes are undone and
        the exception comes back from here. It may run more than once (after a deadlock or a lost connection), so it
        must depend on nothing but the connection and values made before.

        Raises:
            Unavailable: the database cannot be reached; nothing of `work` was stored, unless the connection broke
                during the commit itself.
        """
        if self._writer is None:
            raise Unavailable("The database is not open.")
        try:
            with tracing.database("write", self.dialect):
                return await self._writer.write(work, committed, use)
        except OperationalError as error:
            if took_too_long(error):
                raise Unavailable("The database took too long.", hint="Try again in a moment.") from error
            raise

    @property
    def checked_out(self) -> int:
        """Connections that are in use at this moment, the writer's aside, which keeps its own."""
        return sum(pool.checked_out for name, pool in self.pools().items() if name != "writer")

    @property
    def pending_writes(self) -> int:
        """Units of work that wait for the writer."""
        return self._writer.pending if self._writer is not None else 0


def _sync(connection: AsyncConnection) -> Connection:
    sync = connection.sync_connection
    assert sync is not None, "a connection is open inside its block"
    return sync
