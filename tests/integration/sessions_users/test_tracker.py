"""What users do is counted, kept and read back, on both databases."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import fields

import msgspec
import pytest
from sqlalchemy import insert

from netra.errors import NotFound, Unavailable
from netra.sessions.activity import Summary, UserActivity
from netra.sessions.aggregator import SystemSessionFigures
from netra.sessions.identifiers import ThreadID, UserID
from netra.storage.pools import PoolMetrics
from netra.storage.tables import answer_checks, feature_uses, feedback, micros, threads, user_sessions

from .conftest import Desk


@pytest.mark.spec("user-tracker.engagement")
async def test_what_a_user_does_is_counted(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    began = desk.clock.now()
    desk.tracker.note(ada, "connected")
    desk.run(ada, "thr_1")
    desk.run(ada, "thr_1", succeeded=False)
    desk.tracker.note(ada, "feature:upload")
    desk.tracker.note(ada, "feature:upload")
    desk.clock.advance(minutes=3)
    desk.tracker.note(ada, "feature:search", thread_id="thr_1")
    desk.tracker.note(ada, "disconnected")
    seen = await desk.tracker.user(ada)
    assert (seen.sessions, seen.messages, seen.runs, seen.runs_succeeded) == (2, 2, 2, 1)
    assert seen.features == {"search": 1, "upload": 2}
    assert (seen.signed_up_at, seen.first_seen_at, seen.last_activity) == (began, began, desk.clock.now())
    assert (seen.active_days, seen.stage, seen.quality) == (1, "succeeded", None)
    # One of 12 days, one message a session of 5, two features of 3.
    assert seen.engagement == pytest.approx(100 * (1 / 12 + 1 / 5 + 2 / 3) / 3)


@pytest.mark.spec("user-tracker.engagement")
async def test_facts_add_up_over_many_writes(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    for _ in range(5):
        desk.run(ada, "thr_1")
        desk.tracker.note(ada, "feature:upload")
        await desk.tracker.flush()
        desk.clock.advance(minutes=1)
    await desk.tracker.flush()
    seen = await desk.tracker.user(ada)
    assert (seen.messages, seen.runs, seen.runs_succeeded, seen.features) == (5, 5, 5, {"upload": 5})
    (thread, outside) = sorted(await desk.rows(), key=lambda row: row["thread_id"] is None)
    assert (thread["messages"], outside["messages"]) == (5, 0)
    assert thread["last_activity_at"] == outside["last_activity_at"]
    assert thread["ended_at"] is outside["ended_at"] is None


async def test_rows_of_one_user_say_nothing_of_another(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    for _ in range(3):
        desk.run(ada, "thr_same")
    desk.tracker.note(ada, "feature:upload")
    desk.run(bob, "thr_same")
    of_ada, of_bob = await desk.tracker.user(ada), await desk.tracker.user(bob)
    assert (of_ada.messages, of_ada.features) == (3, {"upload": 1})
    assert (of_bob.messages, of_bob.features) == (1, {})
    assert len(await desk.rows()) == 3


async def test_an_unknown_user_is_not_invented(desk: Desk) -> None:
    desk.run("usr_nobody", "thr_1")
    desk.tracker.note("usr_nobody", "feature:upload")
    with pytest.raises(NotFound):
        await desk.tracker.user(UserID("usr_nobody"))
    assert await desk.rows() == []
    empty = await desk.tracker.summary()
    assert (empty.users, empty.sessions) == (0, 0)
    assert empty.last_activity is empty.quality is empty.engagement is empty.minutes_per_session is None
    assert [each.share for each in empty.retention] == [None, None, None]


async def test_a_user_who_is_removed_takes_the_facts_along(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    desk.run(ada, "thr_1")
    await desk.tracker.flush()
    desk.run(ada, "thr_1")
    desk.run(bob, "thr_2")
    await desk.remove(ada)
    summary = await desk.tracker.summary()
    assert (summary.users, summary.messages) == (1, 1)


@pytest.mark.parametrize("kind", ["", "connect", "feature:", "feature:Upper", "feature:a b", "feature:" + "x" * 41])
async def test_an_unknown_kind_is_refused(desk: Desk, kind: str) -> None:
    with pytest.raises(ValueError, match="nothing that a user does"):
        desk.tracker.note("usr_ada", kind)
    with pytest.raises(ValueError, match="say whether it succeeded"):
        desk.tracker.note("usr_ada", "run_ended")


@pytest.mark.spec("user-tracker.engagement")
async def test_a_run_that_outlives_its_session_counts_in_it(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    desk.tracker.note(ada, "message", thread_id="thr_1")
    desk.tracker.note(ada, "run_started", thread_id="thr_1")
    began = desk.clock.now()
    desk.clock.advance(minutes=45)
    desk.tracker.note(ada, "run_ended", thread_id="thr_1", succeeded=True)
    await desk.tracker.flush()
    (row,) = await desk.rows()
    assert (row["runs"], row["runs_succeeded"]) == (1, 1)
    assert row["ended_at"] == row["last_activity_at"] == micros(began), "waiting is nothing that a user does"


@pytest.mark.spec("user-tracker.engagement")
async def test_quality_is_what_people_say_and_else_what_the_checks_say(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    now = micros(desk.clock.now())
    owned = {"title": "", "created_at": now, "updated_at": now}
    thread = [{"id": f"thr_{user}", "user_id": user, **owned} for user in (ada, bob)]
    judged = [(ada, "run_1", 80), (ada, "run_2", 10), (ada, "run_3", 60), (bob, "run_4", 50)]
    checks = [
        {
            "run_id": run,
            "user_id": user,
            "thread_id": f"thr_{user}",
            "agent": "echo",
            "status": "succeeded",
            "score": score,
            "findings": b"[]",
            "checked_at": now,
        }
        for user, run, score in judged
    ]
    thumbs = [
        {
            "run_id": run,
            "user_id": ada,
            "thread_id": f"thr_{ada}",
            "agent": "echo",
            "rating": rating,
            "comment": "",
            "created_at": now,
            "updated_at": now,
        }
        for run, rating in (("run_2", 1), ("run_3", -1), ("run_gone", 1))
    ]

    def store(connection: object) -> None:
        for table, rows in ((threads, thread), (answer_checks, checks), (feedback, thumbs)):
            connection.execute(insert(table), rows)  # type: ignore[attr-defined]

    await desk.database.write(store)
    assert (await desk.tracker.user(ada)).quality == pytest.approx((80 + 100 + 0 + 100) / 4)
    assert (await desk.tracker.user(bob)).quality == pytest.approx(50)
    assert (await desk.tracker.summary()).quality == pytest.approx((80 + 100 + 0 + 100 + 50) / 5)


# Restarts and failures


@pytest.mark.spec("user-tracker.survives-restart")
async def test_a_restart_changes_no_answer(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    desk.tracker.note(ada, "connected")
    desk.run(ada, "thr_1")
    desk.run(bob, "thr_2", succeeded=False)
    desk.tracker.note(bob, "feature:search")
    before = await desk.tracker.users(), await desk.tracker.summary()
    await desk.restart()
    assert (await desk.tracker.users(), await desk.tracker.summary()) == before


@pytest.mark.spec("user-tracker.survives-restart")
async def test_what_was_not_written_yet_is_written_at_the_stop(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    desk.run(ada, "thr_1")
    assert await desk.rows() == []
    await desk.restart()
    assert [row["messages"] for row in await desk.rows()] == [1]


@pytest.mark.spec("user-tracker.survives-restart")
async def test_a_session_goes_on_after_a_restart_unless_its_user_paused(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    desk.run(bob, "thr_2")
    desk.clock.advance(minutes=25)
    desk.run(ada, "thr_1")
    desk.clock.advance(minutes=10)
    await desk.restart()
    assert [row["ended_at"] is None for row in await desk.rows()] == [False, True], "who paused for 35 minutes"
    desk.run(ada, "thr_1")
    desk.run(bob, "thr_2")
    await desk.tracker.flush()
    assert [(row["user_id"], row["messages"]) for row in await desk.rows()] == [(bob, 1), (ada, 2), (bob, 1)]


async def test_nothing_is_lost_or_counted_twice_while_the_database_is_away(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    desk.run(ada, "thr_1")
    desk.tracker.note(ada, "feature:upload")
    await desk.database.close()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await desk.tracker.flush()
        desk.run(ada, "thr_1")
        desk.tracker.note(ada, "feature:upload")
        desk.clock.advance(minutes=1)
    desk.clock.advance(hours=1)
    desk.tracker.note(ada, "run_ended", thread_id="thr_1", succeeded=True)
    with pytest.raises(Unavailable):
        await desk.tracker.flush()
    await desk.database.start()
    seen = await desk.tracker.user(ada)
    assert (seen.messages, seen.runs, seen.runs_succeeded, seen.features) == (4, 4, 5, {"upload": 4})


async def test_a_reader_who_goes_away_while_facts_are_written_makes_none_count_twice(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    for number in range(1, 6):
        desk.run(ada, "thr_1")
        reader = asyncio.create_task(desk.tracker.summary())
        for _ in range(number):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait({reader})
    await desk.restart()
    seen = await desk.tracker.user(ada)
    assert (seen.messages, seen.runs, seen.runs_succeeded) == (5, 5, 5)


async def test_deleting_a_thread_ends_its_session(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    desk.run(ada, "thr_1")
    desk.tracker.note(ada, "thread_deleted", thread_id="thr_1")
    assert desk.tracker.sessions.get(ada, ThreadID("thr_1")) is None
    await desk.tracker.flush()
    (row,) = await desk.rows()
    assert row["ended_at"] == row["last_activity_at"]


async def test_users_come_in_pages(desk: Desk) -> None:
    everybody = sorted(await desk.sign_up(*(f"usr_{number:02d}" for number in range(25))), reverse=True)
    got: list[str] = []
    cursor: str | None = None
    for size in (10, 10, 5):
        page, cursor = await desk.tracker.users(limit=10, cursor=cursor)
        assert len(page) == size
        got += [user.user_id for user in page]
    assert cursor is None
    assert got == everybody


@pytest.mark.spec("user-tracker.engagement")
async def test_a_run_costs_little(desk: Desk) -> None:
    """Less than 2 % of the 10.3 ms that a run costs a server (docs/performance.md), written after every 500."""
    people = await desk.sign_up(*(f"usr_{number}" for number in range(20)))
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        for number in range(500):
            desk.run(people[number % 20], f"thr_{people[number % 20]}_{number % 5}")
        await desk.tracker.flush()
        best = min(best, (time.process_time() - started) / 500)
    assert best < 0.02 * 0.0103


async def test_figures_are_told_while_users_go_on(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")

    async def go_on() -> None:
        while True:
            desk.tracker.note(ada, "message", thread_id="thr_1")
            await asyncio.sleep(0)

    users = asyncio.create_task(go_on())
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                noted = desk.tracker.metrics.sessions_reused_today
                assert (await desk.tracker.user(ada)).messages >= noted, "what was noted before the question counts"
    finally:
        users.cancel()


# What is kept


@pytest.mark.spec("user-tracker.no-pool-data")
async def test_nothing_of_the_pool_is_stored(desk: Desk) -> None:
    of_pool = {field.name for kind in (PoolMetrics, SystemSessionFigures) for field in fields(kind)}
    shown = {field.name for kind in (UserActivity, Summary) for field in fields(kind)}
    stored = {column.name for table in (user_sessions, feature_uses) for column in table.columns}
    assert not of_pool & (shown | stored)


@pytest.mark.spec("aggregator.no-user-behaviour")
async def test_the_aggregator_knows_nothing_of_what_users_do(desk: Desk) -> None:
    (ada,) = await desk.sign_up("usr_ada")
    desk.run(ada, "thr_1")
    await desk.tracker.summary()
    told = json.dumps(msgspec.to_builtins(desk.database.aggregator.figures().to_dict()))
    shown = {field.name for kind in (UserActivity, Summary) for field in fields(kind)}
    assert ada not in told
    assert not {field.name for field in fields(SystemSessionFigures)} & (shown - {"sessions"})
