"""One interface over the sessions of the database and of users."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from netra.errors import NotFound, SessionReclaimed
from netra.sessions import DatabaseSessionMetrics, SystemSessionMetrics
from netra.sessions.identifiers import UserID

from .conftest import Desk


@pytest.mark.spec("provider.unified")
async def test_there_is_always_a_last_activity(desk: Desk) -> None:
    provider = desk.provider
    began = desk.clock.now()
    assert provider.last_activity == began, "of a server that nobody has used"
    (ada,) = await desk.sign_up("usr_ada")
    desk.clock.advance(minutes=2)
    desk.tracker.note(ada, "connected")
    assert provider.last_activity == desk.clock.now()
    assert isinstance(provider.live, SystemSessionMetrics)
    assert (await provider.report()).last_activity >= desk.clock.now()


@pytest.mark.spec("provider.unified")
async def test_both_sides_are_told_inside_a_running_loop(desk: Desk) -> None:
    assert asyncio.get_running_loop()
    provider = desk.provider
    (ada,) = await desk.sign_up("usr_ada")
    before = provider.database()
    desk.run(ada, "thr_1")
    report = await provider.report()
    assert report.users.messages == 1
    assert (report.live.active_sessions, report.live.sessions_created_today) == (1, 1)
    assert report.database.figures.succeeded > before.figures.succeeded
    assert report.database.figures.commits > before.figures.commits
    assert report.database.pools.keys() >= {"read", "query", "writer"}
    assert report.database.health == "healthy"
    assert isinstance(report.at, datetime)
    assert [user.user_id for user in (await provider.users())[0]] == [ada]
    assert (await provider.user(ada)).messages == 1
    with pytest.raises(NotFound):
        await provider.user(UserID("usr_nobody"))


async def test_an_open_session_is_shown_with_its_owner_and_what_it_asked_last(desk: Desk) -> None:
    provider = desk.provider
    with desk.database.scope(request_id="run_1.1", user_id="usr_ada", run_id="run_1"):
        await desk.database.query(lambda connection: connection.exec_driver_sql("SELECT 1") and None)
        (idle,) = provider.open_sessions()
        async with desk.database.read() as connection:
            await connection.exec_driver_sql("values (1)")
            desk.clock.advance(seconds=3)
            (holding,) = provider.open_sessions()
    assert (idle.metrics.user_id, idle.run_id) == ("usr_ada", "run_1")
    assert (idle.statement_kind, idle.held_seconds) == ("SELECT", None)
    assert (holding.statement_kind, holding.held_seconds, holding.leaked) == ("VALUES", 3, False)
    assert provider.open_sessions() == []


async def test_a_session_that_is_ended_loses_its_connection(desk: Desk) -> None:
    provider = desk.provider
    with desk.database.scope(request_id="req_1"):
        with pytest.raises(SessionReclaimed):
            async with desk.database.read() as connection:
                await connection.exec_driver_sql("SELECT 1")
                (holding,) = provider.open_sessions()
                await provider.end_session(holding.metrics.session_id)
                await connection.exec_driver_sql("SELECT 1")
        with pytest.raises(NotFound):
            await provider.end_session(holding.metrics.session_id)


@pytest.mark.spec("provider.unified")
async def test_the_oldest_open_session_is_shown(desk: Desk) -> None:
    provider = desk.provider
    assert provider.database().oldest is None
    with desk.database.scope(request_id="req_1", user_id="usr_ada"):
        async with desk.database.read() as connection:
            await connection.exec_driver_sql("SELECT 1")
            oldest = provider.database().oldest
    assert isinstance(oldest, DatabaseSessionMetrics)
    assert (oldest.request_id, oldest.user_id) == ("req_1", "usr_ada")
    assert provider.database().oldest is None
