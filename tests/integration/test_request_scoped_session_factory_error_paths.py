"""What callers of the session factory see when the database fails: its own error, once; and a connection less, never.

Real failures of real databases: a port where nobody listens, statements that take too long, backends that are
terminated in the middle of a transaction, files that another process has locked.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from psycopg.errors import AdminShutdown, QueryCanceled
from sqlalchemy import Connection, insert, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from structlog.testing import LogCapture

from netra.errors import Unavailable
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory, SessionState
from netra.storage import Database
from netra.storage.tables import installation
from support.ports import free_port
from support.schema import prepare

PATTERN = {"session_id", "request_id", "user_id", "last_activity", "operations_count", "errors"}


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    """What is logged while the test runs."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(processors=before)


@pytest.fixture
async def factory(database_url: str) -> AsyncIterator[RequestScopedSessionFactory]:
    factory = RequestScopedSessionFactory(Database(database_url, read_connections=1, session_connections=2))
    await factory.start()
    yield factory
    await factory.close()


@pytest.fixture
async def on_postgres(postgres_url: str) -> AsyncIterator[RequestScopedSessionFactory]:
    """A factory whose statements may take 300 ms."""
    url = f"{postgres_url}?options=-c%20statement_timeout%3D300"
    factory = RequestScopedSessionFactory(Database(url, read_connections=2, session_connections=2))
    await factory.start()
    yield factory
    await factory.close()


def failures(logged: LogCapture) -> list[dict[str, Any]]:
    return [dict(entry) for entry in logged.entries if entry["event"] == "database session failed"]


def counted(kind: str) -> float:
    return metrics.registry.get_sample_value("netra_db_session_errors_total", {"kind": kind}) or 0.0


def expect(entry: dict[str, Any], *, kind: str, error: str, **members: Any) -> None:
    """The error-logging pattern, complete."""
    assert entry.keys() >= PATTERN
    assert (entry["kind"], entry["error"], entry["log_level"]) == (kind, error, "error")
    assert datetime.fromisoformat(entry["last_activity"]).tzinfo is not None
    assert {name: entry[name] for name in members} == members


@pytest.mark.spec("factory.original-error", "factory.released-after-error", "session-metrics.error-logging")
async def test_a_statement_that_fails_reaches_its_caller_as_it_is(
    factory: RequestScopedSessionFactory, logged: LogCapture
) -> None:
    before = counted("statement")
    with pytest.raises((OperationalError, ProgrammingError)) as raised:
        async with factory.get_request_scoped_session("usr_1", "req_1", session_id="dbs_1") as session:
            found = session.info["metrics"]
            await session.execute(text("SELECT 1"))
            await session.execute(text("SELECT nothing FROM nowhere"))
    assert isinstance(raised.value, DBAPIError) and raised.value.statement == "SELECT nothing FROM nowhere"
    (entry,) = failures(logged)
    expect(
        entry,
        kind="statement",
        error=type(raised.value).__name__,
        session_id="dbs_1",
        request_id="req_1",
        user_id="usr_1",
        operations_count=1,
        errors=1,
    )
    assert counted("statement") - before == 1
    assert (found.state, found.error_count) == (SessionState.CLOSED, 1)
    assert factory.checked_out == 0
    figures = factory.aggregator.figures()
    assert (figures.errors, figures.commits, figures.rollbacks) == ({"statement": 1}, 0, 1)


@pytest.mark.spec("factory.original-error")
async def test_an_error_that_passes_several_sessions_is_counted_and_logged_once(
    factory: RequestScopedSessionFactory, logged: LogCapture
) -> None:
    with pytest.raises((OperationalError, ProgrammingError)), factory.scope(request_id="req_1"):
        async with (
            factory.get_request_scoped_session("usr_1"),
            factory.get_request_scoped_session("usr_1") as inner,
        ):
            await inner.execute(text("SELECT nothing FROM nowhere"))
    assert len(failures(logged)) == 1
    assert factory.aggregator.figures().errors == {"statement": 1}


@pytest.mark.spec("factory.original-error")
async def test_a_session_logs_its_first_failure_and_counts_every_one(
    factory: RequestScopedSessionFactory, logged: LogCapture
) -> None:
    def bad(connection: Connection) -> None:
        connection.execute(text("SELECT nothing FROM nowhere"))

    with factory.scope(request_id="req_1") as session:
        for _ in range(3):
            with pytest.raises((Unavailable, ProgrammingError)):
                await factory.query(bad)
        assert session.metrics is not None
        assert session.metrics.errors == 3
        assert session.metrics.state is SessionState.ERROR
    assert len(failures(logged)) == 1
    assert factory.aggregator.figures().errors == {"statement": 3}


@pytest.mark.spec("factory.original-error", "factory.creations-counted")
async def test_writes_that_are_refused_together_count_for_each_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: LogCapture
) -> None:
    monkeypatch.setattr("netra.storage.writer.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("netra.storage.database.BUSY_MILLISECONDS", 50)
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    prepare(url)
    factory = RequestScopedSessionFactory(Database(url))
    await factory.start()
    before = factory.aggregator.figures()
    try:
        with contextlib.closing(sqlite3.connect(tmp_path / "netra.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            async def write(number: int) -> Exception:
                scope = factory.scope(request_id=f"req_{number}", user_id=f"usr_{number}")
                with scope, pytest.raises(Unavailable) as raised:
                    await factory.write(lambda connection: None)
                return raised.value

            errors = await asyncio.gather(*(write(number) for number in range(10)))
        after = factory.aggregator.figures()
        assert len({id(error) for error in errors}) == 10
        assert (after.failed - before.failed, after.errors) == (10, {"locked": 10})
        assert factory.aggregator.health() == ("unhealthy", ["100% of the sessions could not begin"])
        assert {line["user_id"] for line in failures(logged)} == {f"usr_{number}" for number in range(10)}
        assert not [line for line in logged.entries if line["event"] == "commit_failed"], "nothing was to be committed"
    finally:
        await factory.close()


@pytest.mark.spec("factory.original-error", "factory.creations-counted")
@pytest.mark.postgres
async def test_a_refused_connection(postgres_url: str, logged: LogCapture) -> None:
    """The server goes away, as a restart looks to its clients: nobody listens on its port."""
    factory = RequestScopedSessionFactory(Database(postgres_url))
    await factory.start()
    try:
        factory._database.url = factory._database.url.set(port=free_port())
        with pytest.raises(OperationalError) as raised:
            async with factory.get_request_scoped_session("usr_1") as session:
                found = session.info["metrics"]
                await session.execute(text("SELECT 1"))
        assert isinstance(raised.value.orig, psycopg.OperationalError)
        assert "refused" in str(raised.value)
        (entry,) = failures(logged)
        expect(entry, kind="connect", error="OperationalError", user_id="usr_1", operations_count=0, errors=1)
        assert found.error_count == 1
        assert factory.checked_out == 0
        figures = factory.aggregator.figures()
        assert (figures.attempted, figures.succeeded, figures.failed) == (1, 0, 1)
        assert factory.aggregator.health()[0] == "unhealthy"
    finally:
        await factory.close()


async def test_a_read_of_a_database_that_is_away_names_the_original_error_as_its_cause(
    on_postgres: RequestScopedSessionFactory, logged: LogCapture
) -> None:
    with pytest.raises(Unavailable) as raised:
        async with on_postgres.read() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert isinstance(raised.value.__cause__, OperationalError)
    assert isinstance(raised.value.__cause__.orig, psycopg.OperationalError)
    (entry,) = failures(logged)
    assert (entry["kind"], entry["error"]) == ("disconnect", "OperationalError")
    assert on_postgres.checked_out == 0


@pytest.mark.spec("factory.original-error", "factory.released-after-error")
@pytest.mark.postgres
async def test_a_statement_that_takes_too_long(on_postgres: RequestScopedSessionFactory, logged: LogCapture) -> None:
    with pytest.raises(OperationalError) as raised:
        async with on_postgres.get_request_scoped_session("usr_1") as session:
            await session.execute(text("SELECT pg_sleep(20)"))
    assert isinstance(raised.value.orig, QueryCanceled)
    (entry,) = failures(logged)
    expect(entry, kind="statement_timeout", error="OperationalError", user_id="usr_1", errors=1)
    assert on_postgres.checked_out == 0
    async with on_postgres.get_request_scoped_session("usr_1") as session:
        assert (await session.execute(text("SELECT 1"))).scalar() == 1, "the connection is good still"


@pytest.mark.spec("factory.original-error", "factory.committed-only-after-commit", "factory.released-after-error")
@pytest.mark.postgres
async def test_a_backend_that_is_terminated_in_mid_transaction(
    on_postgres: RequestScopedSessionFactory, postgres_url: str, logged: LogCapture
) -> None:
    with pytest.raises(OperationalError) as raised:
        async with on_postgres.get_request_scoped_session("usr_1") as session:
            found = session.info["metrics"]
            await session.execute(insert(installation).values(key="a", value=b"1"))
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar()
            terminate(postgres_url, pid)
            await session.execute(text("SELECT 1"))
    assert isinstance(raised.value.orig, AdminShutdown)
    assert raised.value.connection_invalidated
    (entry,) = failures(logged)
    expect(entry, kind="disconnect", error="OperationalError", user_id="usr_1", operations_count=2, errors=1)
    figures = on_postgres.aggregator.figures()
    assert (figures.commits, figures.errors) == (0, {"disconnect": 1})
    assert found.last_error == "OperationalError: disconnect"
    pool = on_postgres.get_pool_metrics()["session"]
    assert (pool.checked_out, pool.invalidated) == (0, 1)
    async with on_postgres.get_request_scoped_session("usr_1") as session:
        assert (await session.execute(text("SELECT count(*) FROM installation WHERE key = 'a'"))).scalar() == 0


@pytest.mark.spec("factory.committed-only-after-commit")
@pytest.mark.postgres
async def test_a_backend_that_is_terminated_before_the_commit_has_committed_nothing(
    on_postgres: RequestScopedSessionFactory, postgres_url: str, logged: LogCapture
) -> None:
    states = []
    with pytest.raises(OperationalError):
        async with on_postgres.get_request_scoped_session("usr_1") as session:
            await session.execute(insert(installation).values(key="a", value=b"1"))
            terminate(postgres_url, (await session.execute(text("SELECT pg_backend_pid()"))).scalar())
            try:
                await session.commit()
            finally:
                states.append(session.info["metrics"].state)
    assert states[0] is not SessionState.COMMITTED
    assert on_postgres.aggregator.figures().commits == 0
    assert [entry["kind"] for entry in failures(logged)] == ["disconnect"]
    assert on_postgres.checked_out == 0


@pytest.mark.spec("factory.original-error")
async def test_a_file_that_another_process_has_locked(tmp_path: Any, logged: LogCapture) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    prepare(url)
    factory = RequestScopedSessionFactory(Database(url))
    await factory.start()
    other = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"):
            async with factory.get_request_scoped_session("usr_1") as session:
                await session.execute(text("PRAGMA busy_timeout = 100"))
                await session.execute(insert(installation).values(key="a", value=b"1"))
        (entry,) = failures(logged)
        expect(entry, kind="locked", error="OperationalError", user_id="usr_1", errors=1)
        assert factory.checked_out == 0
    finally:
        other.close()
        await factory.close()


@pytest.mark.spec("factory.pool-exhaustion")
async def test_a_pool_that_is_exhausted_serves_again_when_a_connection_is_free(
    factory: RequestScopedSessionFactory, logged: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool for reading has one connection; the second reader gives up."""
    monkeypatch.setattr(factory._database._readers.sync_engine.pool, "_timeout", 0.2)
    with factory.scope(request_id="req_1", user_id="usr_1"):
        async with factory.read():
            with pytest.raises(Unavailable) as raised:
                async with factory.read():
                    pass
    assert "QueuePool limit of size 1" in str(raised.value.__cause__)
    (entry,) = failures(logged)
    expect(entry, kind="pool_timeout", error="TimeoutError", user_id="usr_1", errors=1)
    assert factory.get_pool_metrics()["read"].exhausted == 1
    assert factory.checked_out == 0
    async with factory.read() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_background_work_that_fails_again_and_again_does_not_flood_the_log(
    factory: RequestScopedSessionFactory, logged: LogCapture
) -> None:
    await factory.close()
    for _ in range(50):
        with pytest.raises(Unavailable):
            await factory.query(lambda connection: None)
    assert 1 <= len(failures(logged)) <= 3
    assert factory.aggregator.figures().errors == {"unavailable": 50}


def terminate(url: str, pid: Any) -> None:
    """End a backend from outside, and see it gone."""
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,)).fetchone() == (True,)


async def test_nothing_is_left_after_all_of_this(factory: RequestScopedSessionFactory) -> None:
    async def fails(number: int) -> None:
        with pytest.raises((OperationalError, ProgrammingError)):
            async with factory.get_request_scoped_session(f"usr_{number}") as session:
                await session.execute(text("SELECT nothing FROM nowhere"))

    await asyncio.gather(*(fails(number) for number in range(20)))
    assert factory.checked_out == 0
    assert factory.get_session_metrics() == {}
    assert factory.aggregator.figures().errors == {"statement": 20}
