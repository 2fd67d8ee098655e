"""A connection that is held for too long is reported once and taken back; its holder is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from structlog.testing import LogCapture

from netra.errors import SessionReclaimed
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import installation
from support.clock import ManualClock
from support.waiting import until

from .conftest import Open


def leaks(logged: LogCapture) -> list[dict[str, Any]]:
    return [dict(entry) for entry in logged.entries if entry["event"] == "database connection leaked"]


@pytest.mark.spec("leaks.reported-once", "leaks.reclaimed")
async def test_a_session_held_past_its_limit_is_reported_once_with_owner_age_and_stack_and_reclaimed(
    factory: RequestScopedSessionFactory, clock: ManualClock, logged: LogCapture
) -> None:
    with pytest.raises(SessionReclaimed) as raised:
        async with factory.get_request_scoped_session("usr_1", "req_1", "thr_1", "dbs_1") as session:
            await session.execute(insert(installation).values(key="a", value=b"1"))
            clock.advance(59)
            assert await factory.leaks.check() == 0
            clock.advance(2)
            assert await factory.leaks.check() == 1
            assert await factory.leaks.check() == 0, "it is reported once"
            assert factory.get_pool_metrics()["session"].checked_out == 0, "its place in the pool is free again"
            with pytest.raises(SessionReclaimed, match="held its connection for too long"):
                await session.execute(text("SELECT 1"))
            await session.execute(text("SELECT 1"))
    assert raised.value.hint is not None
    (leak,) = leaks(logged)
    assert (leak["session_id"], leak["request_id"], leak["user_id"], leak["thread_id"], leak["pool"]) == (
        "dbs_1",
        "req_1",
        "usr_1",
        "thr_1",
        "session",
    )
    assert leak["age_seconds"] == 61
    assert "test_a_session_held_past_its_limit" in leak["stack"]
    assert "factory.get_request_scoped_session" in leak["stack"]
    figures = factory.aggregator.figures()
    assert (figures.leaks, figures.commits) == (1, 0)
    assert factory.aggregator.health()[0] == "degraded"
    async with factory.read() as connection:
        assert (await connection.execute(select(installation.c.key))).all() == [], "what it had not committed is undone"


async def test_a_holder_that_never_comes_back_to_its_session_is_told_at_its_end(
    factory: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    with pytest.raises(SessionReclaimed):
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(insert(installation).values(key="a", value=b"1"))
            clock.advance(61)
            await factory.leaks.check()


@pytest.mark.spec("leaks.reclaimed")
@pytest.mark.parametrize("used_before", [True, False])
async def test_a_read_that_is_held_too_long_loses_its_connection(
    factory: RequestScopedSessionFactory, clock: ManualClock, logged: LogCapture, used_before: bool
) -> None:
    with pytest.raises(SessionReclaimed), factory.scope(request_id="req_1", user_id="usr_1") as scope:
        async with factory.read() as connection:
            if used_before:
                await connection.execute(text("SELECT 1"))
            clock.advance(61)
            await factory.leaks.check()
            assert factory.checked_out == 0
            assert scope.held == 0
            await connection.execute(text("SELECT 1"))
    (leak,) = leaks(logged)
    assert (leak["pool"], leak["request_id"], leak["user_id"]) == ("read", "req_1", "usr_1")
    async with factory.read() as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_query_that_takes_too_long_is_interrupted(
    factory: RequestScopedSessionFactory, clock: ManualClock, logged: LogCapture
) -> None:
    asked = threading.Event()

    def endless(connection: Connection) -> None:
        asked.set()
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(25)"))
        else:
            connection.execute(
                text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n")
            )

    task = asyncio.create_task(factory.query(endless))
    await asyncio.to_thread(asked.wait)
    await asyncio.sleep(0.1)  # the statement has begun
    clock.advance(61)
    assert await factory.leaks.check() == 1
    async with asyncio.timeout(5):
        with pytest.raises(SessionReclaimed):
            await task
    assert len(leaks(logged)) == 1
    assert factory.checked_out == 0


async def test_a_session_in_the_middle_of_a_statement_is_reclaimed_too(
    factory: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    began = asyncio.Event()

    async def endless() -> None:
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(text("SELECT 1"))
            began.set()
            if factory.dialect == "postgresql":
                await session.execute(text("SELECT pg_sleep(25)"))
            else:
                count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
                await session.execute(text(count))

    task = asyncio.create_task(endless())
    await began.wait()
    await asyncio.sleep(0.1)  # the statement has begun
    clock.advance(61)
    assert await factory.leaks.check() == 1
    async with asyncio.timeout(10):
        with pytest.raises(SessionReclaimed):
            await task
    assert factory.checked_out == 0


async def test_a_session_that_gave_its_connection_back_is_no_leak(
    factory: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(text("SELECT 1"))
        await session.commit()
        clock.advance(1000)
        assert await factory.leaks.check() == 0
        await session.execute(text("SELECT 1"))
        assert await factory.leaks.check() == 0, "the time counts from when it got its connection"


async def test_the_check_runs_by_itself(open_factory: Open, clock: ManualClock, logged: LogCapture) -> None:
    factory = await open_factory(held_seconds=0.2)
    with pytest.raises(SessionReclaimed):
        async with factory.read() as connection:
            await connection.execute(text("SELECT 1"))
            clock.advance(1)
            await until(lambda: leaks(logged), "the check")
            await connection.execute(text("SELECT 1"))


@pytest.mark.spec("leaks.reported-once")
async def test_a_query_that_cannot_be_interrupted_is_reported_once(
    factory: RequestScopedSessionFactory, clock: ManualClock, logged: LogCapture
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def thinks(connection: Connection) -> str:
        asked.set()
        answer.wait(10)
        return "done"

    task = asyncio.create_task(factory.query(thinks))
    await asyncio.to_thread(asked.wait)
    clock.advance(61)
    assert [await factory.leaks.check() for _ in range(3)] == [1, 0, 0]
    answer.set()
    assert await task == "done"
    assert len(leaks(logged)) == 1
