"""How runs fare, judged from their rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import insert

from netra.storage import Database
from netra.storage.run_health import RunHealth
from netra.storage.tables import approvals, micros, runs, threads, users
from support.clock import ManualClock


class Runs:
    """Rows of runs, as a test wants them."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.number = database, ManualClock(), 0
        self.health = RunHealth(database, self.clock, run_seconds=900, runs_running=2)

    async def add(
        self,
        state: str,
        *,
        thread: str = "thr_1",
        user: str = "usr_1",
        started: float = 60,
        ended: float | None = None,
    ) -> str:
        """A run that was created and started, and ended, so many seconds ago."""
        self.number += 1
        name, now = f"run_{self.number}", self.clock.now()
        values = {
            "id": name,
            "thread_id": thread,
            "user_id": user,
            "agent": "a",
            "state": state,
            "message_id": name,
            "message_seq": 1,
            "created_at": micros(now - timedelta(seconds=started)),
            "started_at": micros(now - timedelta(seconds=started)),
            "ended_at": None if ended is None else micros(now - timedelta(seconds=ended)),
        }
        await self.database.write(lambda connection: connection.execute(insert(runs).values(values)) and None)
        return name

    async def ask(self, run_id: str, *, decided: float | None = None) -> None:
        """An approval of a run, decided so many seconds ago or not yet."""
        now = self.clock.now()
        values = {
            "id": f"apr_{run_id}",
            "run_id": run_id,
            "thread_id": "thr_1",
            "user_id": "usr_1",
            "agent": "a",
            "digest": b"",
            "default": "deny",
            "expires_at": micros(now),
            "decided_at": None if decided is None else micros(now - timedelta(seconds=decided)),
        }
        await self.database.write(lambda connection: connection.execute(insert(approvals).values(values)) and None)


@pytest.fixture
async def fare(database_url: str) -> AsyncIterator[Runs]:
    database = Database(database_url)
    await database.start()

    def people(connection: object) -> None:
        user = {"id": "usr_1", "email": "a@b", "name": "", "password_hash": "", "roles": "user", "created_at": 0}
        connection.execute(insert(users).values(user))  # type: ignore[attr-defined]
        for thread in ("thr_1", "thr_2", "thr_3", "thr_4"):
            row = {"id": thread, "user_id": "usr_1", "title": "", "created_at": 0, "updated_at": 0}
            connection.execute(insert(threads).values(row))  # type: ignore[attr-defined]

    await database.write(people)
    yield Runs(database)
    await database.stop()


@pytest.mark.spec("alerts.chat-failures")
async def test_the_share_of_failures_counts_what_ended_lately(fare: Runs) -> None:
    assert await fare.health.failure_share() == 0.0
    for state in ("failed", "died"):
        await fare.add(state, ended=30)
    assert await fare.health.failure_share() is None  # two are too few to judge
    for state in ("succeeded", "succeeded", "timed_out", "stalled", "cancelled"):
        await fare.add(state, ended=30)
    await fare.add("failed", ended=1000)
    assert await fare.health.failure_share() == pytest.approx(4 / 6)


async def test_a_run_past_its_deadline_is_stuck_unless_it_waits_for_a_person(fare: Runs) -> None:
    await fare.add("running", started=950)
    assert await fare.health.stuck() == 0  # its end may still be noticed
    await fare.add("running", started=970)
    await fare.add("succeeded", started=2000, ended=10)
    assert await fare.health.stuck() == 1
    await fare.ask(await fare.add("running", started=5000))
    await fare.ask(await fare.add("running", started=5000), decided=100)
    assert await fare.health.stuck() == 1
    await fare.ask(await fare.add("running", started=5000), decided=2000)
    assert await fare.health.stuck() == 2


@pytest.mark.spec("alerts.chat-failures")
async def test_failures_in_a_row_are_counted_for_each_thread(fare: Runs) -> None:
    for ended, state in ((500, "failed"), (400, "succeeded"), (300, "failed"), (250, "cancelled"), (200, "died")):
        await fare.add(state, ended=ended)
    await fare.add("failed", thread="thr_2", ended=300)
    assert await fare.health.failing_threads() == {"thr_1": 2, "thr_2": 1}
    await fare.add("succeeded", thread="thr_2", ended=100)
    assert await fare.health.failing_threads() == {"thr_1": 2}


async def test_the_age_of_the_queue_leaves_out_who_waits_as_they_should(fare: Runs) -> None:
    assert await fare.health.queue_age() == 0
    await fare.add("running", thread="thr_1", started=500)
    await fare.add("queued", thread="thr_1", started=400)  # behind the one before it
    assert await fare.health.queue_age() == 0
    await fare.add("queued", thread="thr_2", started=30)
    assert await fare.health.queue_age() == 30
    await fare.add("running", thread="thr_3", started=20)  # two of this user run now, and no more may
    assert await fare.health.queue_age() == 0
    await fare.add("queued", thread="thr_4", user="usr_2", started=12)
    assert await fare.health.queue_age() == 12


async def test_failures_of_the_last_minutes_are_counted_without_what_was_cancelled(fare: Runs) -> None:
    for state, ended in (("failed", 10), ("died", 800), ("failed", 1000), ("cancelled", 10), ("succeeded", 10)):
        await fare.add(state, ended=ended)
    assert await fare.health.failures() == 2
