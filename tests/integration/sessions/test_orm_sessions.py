"""SQLAlchemy's own sessions: tagged, isolated, and in the state that is true."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from netra.errors import ForeignSession
from netra.sessions import RequestScopedSessionFactory, SessionState
from netra.storage.tables import installation


async def keys(factory: RequestScopedSessionFactory) -> list[str]:
    async with factory.read() as connection:
        return list((await connection.execute(select(installation.c.key).order_by(installation.c.key))).scalars())


@pytest.mark.spec("factory.one-session-per-request", "factory.get-session")
async def test_a_session_says_whose_it_is(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_request_scoped_session("usr_1", "req_1", "thr_1", "dbs_1") as session:
        assert type(session) is AsyncSession
        tags = {name: session.info[name] for name in ("session_id", "request_id", "user_id", "thread_id")}
        assert tags == {"session_id": "dbs_1", "request_id": "req_1", "user_id": "usr_1", "thread_id": "thr_1"}
    with factory.scope(request_id="req_2"):
        async with factory.get_session("usr_1") as one, factory.get_session("usr_1") as other:
            assert one.info["request_id"] == other.info["request_id"] == "req_2"
            assert one.info["session_id"] != other.info["session_id"]


@pytest.mark.spec("factory.committed-only-after-commit")
async def test_committed_is_reached_by_a_commit_that_happened_and_by_nothing_else(
    factory: RequestScopedSessionFactory,
) -> None:
    states = []
    async with factory.get_request_scoped_session("usr_1") as session:
        found = session.info["metrics"]
        states.append(found.state)
        await session.commit()  # of nothing
        states.append(found.state)
        await session.execute(insert(installation).values(key="a", value=b"1"))
        states.append(found.state)
        async with session.begin_nested():
            await session.execute(insert(installation).values(key="b", value=b"1"))
        states.append(found.state)  # a savepoint is no commit
        await session.commit()
        states.append(found.state)
    assert [state.value for state in states] == ["created", "created", "active", "active", "committed"]
    assert found.state is SessionState.CLOSED
    assert (found.transaction_count, found.error_count) == (1, 0)
    assert await keys(factory) == ["a", "b"]


async def test_a_session_is_committed_at_the_end_and_rolled_back_when_its_block_raises(
    factory: RequestScopedSessionFactory,
) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(insert(installation).values(key="kept", value=b"1"))
    with pytest.raises(ValueError, match="no"):
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(insert(installation).values(key="lost", value=b"1"))
            found = session.info["metrics"]
            raise ValueError("no")
    figures = factory.aggregator.figures()
    assert (figures.commits, figures.rollbacks, figures.errors) == (1, 1, {})
    assert found.error_count == 0, "that the caller raised is no failure of the database"
    assert await keys(factory) == ["kept"]
    assert factory.checked_out == 0


async def test_a_rollback_is_seen(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(insert(installation).values(key="a", value=b"1"))
        await session.rollback()
        assert session.info["metrics"].state is SessionState.ROLLED_BACK
        assert factory.checked_out == 0
    assert await keys(factory) == []


@pytest.mark.spec("factory.original-error", "factory.released-after-error")
async def test_a_commit_that_fails_is_no_commit(factory: RequestScopedSessionFactory, database_url: str) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(insert(installation).values(key="a", value=b"1"))
    before = factory.aggregator.figures()
    with pytest.raises(IntegrityError):
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(insert(installation).values(key="a", value=b"2"))
    after = factory.aggregator.figures()
    assert (after.commits - before.commits, after.rollbacks - before.rollbacks) == (0, 1)
    assert factory.checked_out == 0


@pytest.mark.spec("factory.validate-isolation")
async def test_a_session_of_somebody_else_is_refused(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        factory.validate_session_isolation(session, "usr_1")
        with pytest.raises(ForeignSession, match="somebody else's"):
            factory.validate_session_isolation(session, "usr_2")
        with pytest.raises(PermissionError):
            factory.validate_session_isolation(session, "")
    untagged = AsyncSession()
    with pytest.raises(ForeignSession, match="belongs to nobody"):
        factory.validate_session_isolation(untagged, "usr_1")


@pytest.mark.spec("factory.released-after-error")
async def test_a_cancelled_holder_gives_its_connection_back(factory: RequestScopedSessionFactory) -> None:
    holding = asyncio.Event()

    async def holder() -> None:
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(insert(installation).values(key="a", value=b"1"))
            holding.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(holder())
    await holding.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert factory.checked_out == 0
    assert factory.get_session_metrics() == {}
    assert await keys(factory) == []


async def test_sessions_and_the_writer_do_not_fight(factory: RequestScopedSessionFactory) -> None:
    """Sessions that read first and write then, while the writer commits all the time."""

    async def reads_then_writes(number: int) -> None:
        async with factory.get_request_scoped_session("usr_1") as session:
            await session.execute(select(func.count()).select_from(installation))
            await factory.write(
                lambda connection: (
                    connection.execute(insert(installation).values(key=f"writer {number}", value=b"1")).rowcount
                )
            )
            await session.execute(insert(installation).values(key=f"session {number}", value=b"1"))

    for start in range(0, 20, 2):
        await asyncio.gather(reads_then_writes(start), reads_then_writes(start + 1))
    assert len(await keys(factory)) == 40


async def test_a_session_that_only_reads_holds_up_nobody(factory: RequestScopedSessionFactory) -> None:
    async with factory.get_request_scoped_session("usr_1") as session:
        await session.execute(text("SELECT 1"))
        await factory.write(lambda c: c.execute(insert(installation).values(key="a", value=b"1")).rowcount)
        async with factory.get_request_scoped_session("usr_2") as other:
            await other.execute(insert(installation).values(key="b", value=b"1"))
    assert await keys(factory) == ["a", "b"]
