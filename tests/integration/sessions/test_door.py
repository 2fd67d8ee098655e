"""The public door: sessions for programs that bring their own queries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from netra.config import Settings
from netra.errors import Unavailable
from netra.sessions import (
    RequestScopedSessionFactory,
    close_database,
    get_async_session,
    get_session,
    get_session_from_factory,
    init_database,
)

PUT = text("INSERT INTO installation (key, value) VALUES (:key, :value)")


@pytest.fixture
async def settings(database_url: str) -> AsyncIterator[Settings]:
    yield Settings(database_url=database_url)
    await close_database()


async def keys() -> list[str]:
    async with get_session() as session:
        return list((await session.execute(text("SELECT key FROM installation ORDER BY key"))).scalars())


@pytest.mark.spec("door.commit-rollback")
async def test_a_session_is_committed_on_success_rolled_back_on_an_error_and_closed(settings: Settings) -> None:
    factory = await init_database(settings)
    async with get_session() as session:
        await session.execute(PUT, {"key": "a", "value": b""})
    with pytest.raises(ValueError, match="no"):
        async with get_async_session() as session:
            await session.execute(PUT, {"key": "b", "value": b""})
            raise ValueError("no")
    async with get_session_from_factory(factory) as session:
        await session.execute(PUT, {"key": "c", "value": b""})
    assert await keys() == ["a", "c"]
    assert factory.checked_out == 0
    assert factory.get_session_metrics() == {}


@pytest.mark.spec("door.init-close")
async def test_init_and_close_may_be_called_again_and_init_after_close_works(settings: Settings) -> None:
    with pytest.raises(Unavailable, match="not open") as raised:
        get_session()
    assert "init_database" in (raised.value.hint or "")
    first, again = await asyncio.gather(init_database(settings), init_database(settings))
    assert first is again is await init_database(settings)
    async with get_session() as session:
        await session.execute(PUT, {"key": "a", "value": b""})
    await close_database()
    await close_database()
    with pytest.raises(Unavailable):
        get_session()
    assert await init_database(settings) is not first
    assert await keys() == ["a"]


async def test_a_session_belongs_to_the_scope_it_is_opened_in(settings: Settings) -> None:
    factory = await init_database(settings)
    with factory.scope(request_id="req_1") as scope:
        scope.identify("usr_1")
        async with get_session() as session:
            assert (session.info["request_id"], session.info["user_id"]) == ("req_1", "usr_1")
            factory.validate_session_isolation(session, "usr_1")


def test_the_factory_of_the_server_is_one_class() -> None:
    from netra.sessions.factory import RequestScopedSessionFactory as same

    assert RequestScopedSessionFactory is same
