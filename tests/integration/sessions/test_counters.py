"""Every counter of database sessions, moved by real work."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from sqlalchemy import Connection, bindparam, insert, select, text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from netra.errors import NotFound, Unavailable
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory, SessionState
from netra.sessions.scopes import current_session
from netra.storage.prepared import Prepared
from netra.storage.tables import installation, users


def value(name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.spec("factory.counters")
async def test_statements_and_transactions_of_reads_queries_and_writes_are_counted_for_their_session(
    factory: RequestScopedSessionFactory,
) -> None:
    counted = value("netra_db_queries_total")
    find = Prepared(select(users.c.id).where(users.c.id == bindparam("id")))

    def two(connection: Connection) -> None:
        connection.execute(select(users.c.id))
        find.one(connection, {"id": "nobody"})

    with factory.scope(request_id="req_1", user_id="usr_1", thread_id="thr_1", run_id="run_1") as session:
        assert session.metrics is None, "nothing was asked yet"
        async with factory.read() as connection:
            await connection.execute(select(users.c.id))
            found = session.metrics
            assert found is not None
            assert (found.query_count, found.transaction_count, found.state) == (1, 1, SessionState.ACTIVE)
            assert session.held == 1
        assert session.held == 0
        assert found.state is SessionState.IDLE
        await factory.query(two)
        assert (found.query_count, found.transaction_count) == (3, 2)
        await factory.write(two)
        assert (found.query_count, found.transaction_count, found.state) == (5, 3, SessionState.COMMITTED)
        assert (found.request_id, found.user_id, found.error_count) == ("req_1", "usr_1", 0)
    assert found.state is SessionState.CLOSED
    assert found.total_time_ms is not None
    assert value("netra_db_queries_total") - counted == 5


async def test_units_that_share_a_commit_are_counted_each_for_its_own_session(
    factory: RequestScopedSessionFactory,
) -> None:
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(connection: Connection) -> None:
        loop.call_soon_threadsafe(entered.set)
        time.sleep(0.2)

    async def one(number: int) -> int:
        def work(connection: Connection) -> None:
            for _ in range(number):
                connection.execute(text("SELECT 1"))

        with factory.scope(request_id=f"req_{number}") as session:
            await factory.write(work)
            assert session.metrics is not None
            assert session.metrics.state is SessionState.COMMITTED
            return session.metrics.query_count

    holding = asyncio.create_task(factory.write(slow))
    await entered.wait()  # what comes now waits for the writer, and shares the next commit
    assert await asyncio.gather(*(one(number) for number in range(1, 9))) == list(range(1, 9))
    await holding


async def test_a_unit_that_fails_is_rolled_back_and_the_others_of_its_commit_are_committed(
    factory: RequestScopedSessionFactory,
) -> None:
    def bad(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        raise NotFound("nothing here")

    async def one(work: object) -> tuple[SessionState, int]:
        with factory.scope(request_id="req") as session:
            with contextlib.suppress(NotFound):
                await factory.write(work)  # type: ignore[arg-type]
            assert session.metrics is not None
            return session.metrics.state, session.metrics.error_count

    before = factory.aggregator.figures()
    outcomes = await asyncio.gather(one(bad), one(lambda c: c.execute(text("SELECT 1"))), one(bad))
    rolled_back = (SessionState.ROLLED_BACK, 0)  # that it raised is its caller's business, not the database's
    assert outcomes == [rolled_back, (SessionState.COMMITTED, 0), rolled_back]
    after = factory.aggregator.figures()
    assert (after.commits - before.commits, after.rollbacks - before.rollbacks) == (1, 2)
    assert after.errors == {}


async def test_what_runs_outside_of_any_scope_is_a_session_of_its_own_for_each_question(
    factory: RequestScopedSessionFactory,
) -> None:
    before = factory.aggregator.figures()
    for _ in range(3):
        await factory.query(lambda connection: connection.execute(text("SELECT 1")).scalar())
    after = factory.aggregator.figures()
    assert (after.attempted - before.attempted, after.succeeded - before.succeeded, after.open) == (3, 3, 0)


async def test_a_task_that_outlives_its_request_does_not_count_for_it_any_more(
    factory: RequestScopedSessionFactory,
) -> None:
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        async with factory.read() as connection:
            await connection.execute(text("SELECT 1"))
            (found,) = factory.get_session_metrics().values()
            assert (found.request_id, found.user_id, found.query_count) == ("req_1", "usr_1", 1)
            assert found is not session.metrics

    with factory.scope(request_id="req_1", user_id="usr_1") as session:
        task = asyncio.create_task(later())
        await factory.query(lambda connection: connection.execute(text("SELECT 1")).scalar())
        assert session.metrics is not None
    go.set()
    await task
    assert session.metrics.query_count == 1


async def test_the_user_is_learned_after_authentication(factory: RequestScopedSessionFactory) -> None:
    with factory.scope(request_id="req_1"):
        await factory.query(lambda connection: connection.execute(text("SELECT 1")).scalar())
        session = current_session()
        assert session is not None and session.metrics is not None
        assert session.metrics.user_id == ""
        session.identify("usr_1")
        assert session.metrics.user_id == session.user_id == "usr_1"


@pytest.mark.spec("factory.counters")
async def test_checkouts_are_counted_by_pool(factory: RequestScopedSessionFactory) -> None:
    before = factory.get_pool_metrics()
    total = value("netra_db_checkouts_total", pool="read")
    async with factory.read():
        assert factory.get_pool_metrics()["read"].checked_out == 1
        assert factory.checked_out == 1
    await factory.query(lambda connection: None)
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(text("SELECT 1"))
        assert factory.get_pool_metrics()["session"].checked_out == 1
    after = factory.get_pool_metrics()
    assert after["read"].checkouts - before["read"].checkouts == 1
    assert after["query"].checkouts - before["query"].checkouts == 1
    assert after["session"].checkouts == 1
    assert value("netra_db_checkouts_total", pool="read") - total == 1
    assert factory.checked_out == 0


@pytest.mark.spec("factory.pool-exhaustion", "factory.counters")
async def test_waits_and_exhaustion_are_counted_with_five_holders_of_two_connections(
    factory: RequestScopedSessionFactory,
) -> None:
    holding, leave = asyncio.Semaphore(0), asyncio.Event()

    async def holder(number: int) -> None:
        async with factory.get_request_scoped_session(f"usr_{number}") as session:
            await session.execute(text("SELECT 1"))
            holding.release()
            await leave.wait()

    tasks = [asyncio.create_task(holder(number)) for number in range(5)]
    for _ in range(2):
        await holding.acquire()
    async with asyncio.timeout(10):
        while sum(task.done() for task in tasks) < 3:
            await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    leave.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == 3
    assert all(type(error) is PoolTimeout for error in refused), "the original error reaches the caller"
    pool = factory.get_pool_metrics()["session"]
    assert (pool.size, pool.checkouts, pool.waits, pool.exhausted, pool.checked_out) == (2, 2, 3, 3, 0)
    assert pool.wait_seconds >= 3 * 0.5
    figures = factory.aggregator.figures()
    assert figures.errors == {"pool_timeout": 3}
    assert (figures.attempted - figures.succeeded, figures.failed, figures.exhausted) == (3, 3, 3)
    status, reasons = factory.aggregator.health()
    assert status == "unhealthy"
    assert "3 waits for a connection ended in vain" in reasons


async def test_a_wait_that_was_worth_it_is_no_exhaustion(factory: RequestScopedSessionFactory) -> None:
    holding, leave = asyncio.Semaphore(0), asyncio.Event()

    async def holder() -> None:
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(text("SELECT 1"))
            holding.release()
            await leave.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(holder())
        for _ in range(2):
            await holding.acquire()
        await asyncio.sleep(0.05)  # the third one waits
        leave.set()
    pool = factory.get_pool_metrics()["session"]
    assert (pool.checkouts, pool.waits, pool.exhausted) == (3, 1, 0)


@pytest.mark.spec("factory.metrics")
async def test_an_unknown_session_raises_and_an_open_one_is_found(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_request_scoped_session("usr_1", session_id="dbs_mine") as session:
        assert factory.get_session_metrics("dbs_mine") is session.info["metrics"]
    with pytest.raises(NotFound, match="dbs_mine"):
        factory.get_session_metrics("dbs_mine")


@pytest.mark.spec("factory.metrics")
async def test_health_says_whether_the_database_answers(factory: RequestScopedSessionFactory) -> None:
    assert await factory.health_check() == {"status": "healthy", "reasons": [], "database": "ok"}
    await factory.close()
    health = await factory.health_check()
    assert health["status"] == "unhealthy"
    assert health["database"] == "The database is not open."


@pytest.mark.spec("factory.close")
async def test_close_may_be_called_again_and_start_opens_again(factory: RequestScopedSessionFactory) -> None:
    await factory.close()
    await factory.close()
    with pytest.raises(Unavailable):
        await factory.query(lambda connection: None)
    with pytest.raises(Unavailable):
        async with factory.get_request_scoped_session("usr_1"):
            pass
    await factory.start()
    async with factory.get_request_scoped_session("usr_1") as session:
        assert (await session.execute(text("SELECT 1"))).scalar() == 1


@pytest.mark.spec("aggregator.system-view", "factory.creations-counted")
async def test_the_aggregator_knows_states_lifetimes_and_the_peak(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_session("usr_1") as first, factory.get_session("usr_2") as second:
        await first.execute(insert(installation).values(key="a", value=b"1"))
        await first.commit()
        await second.execute(text("SELECT 1"))
        figures = factory.aggregator.figures()
        assert figures.by_state == {"committed": 1, "active": 1}
        assert (figures.open, figures.peak) == (2, 2)
    figures = factory.aggregator.figures()
    assert (figures.open, figures.peak, figures.ended) == (0, 2, 2)
    assert figures.average_seconds is not None and figures.longest_seconds is not None
    assert 0 < figures.average_seconds <= figures.longest_seconds < 60
    assert (figures.attempted, figures.succeeded, figures.failed) == (2, 2, 0)
    factory.aggregator.breaker_tripped()
    assert factory.aggregator.figures().breaker_trips == 1


@pytest.mark.spec("aggregator.no-user-behaviour")
async def test_the_aggregator_tells_nothing_of_users(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_session("usr_secret") as session:
        await session.execute(text("SELECT 1"))
        assert "usr_secret" not in repr(factory.aggregator.figures().to_dict())
