"""The checks of real runs, stored on both databases: once each, found again after a crash, and a drop alerts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from netra.agents import load_all
from netra.app import Netra
from netra.clock import SystemClock
from netra.config import Settings
from netra.identity import Scope
from netra.ids import lowest_id, new_id
from netra.monitoring.alerts import AlertManager, alert_manager
from netra.quality.course import CourseTurn
from netra.quality.measures import Measures
from netra.quality.monitor import RULE, Checked, QualityMonitor
from netra.storage import Database
from netra.storage.alerts import Alerts
from netra.storage.tables import alerts, answer_checks, events, feedback, micros, runs, threads
from support.clock import ManualClock
from support.engine import Workbench, workbench
from support.schema import prepare
from support.waiting import until

NAMES = ["agents:echo", "agents:broken", "agents:endless", "answers:ledger", "answers:silent"]
AGENTS = list(load_all([f"support.{name}" for name in NAMES]).values())
LONG = "This is what was asked for, and it is said in enough words to be told apart from others. All of it is here."


class Told:
    """What the monitor told."""

    def __init__(self, monitor: QualityMonitor) -> None:
        self.checked: list[Checked] = []
        self.turns: list[tuple[str, CourseTurn]] = []
        monitor.on_checked(self.checked.append)
        monitor.on_turn(lambda agent, turn: self.turns.append((agent, turn)))


@asynccontextmanager
async def bench(database_url: str, data_dir: Path) -> AsyncIterator[tuple[Workbench, QualityMonitor]]:
    async with workbench(database_url, data_dir, AGENTS) as parts:
        monitor = QualityMonitor(parts.database, SystemClock(), AlertManager, gather_seconds=0.0)
        parts.engine.on_ended(lambda ended: monitor.note(ended.run_id))
        yield parts, monitor


async def stored(parts: Workbench) -> dict[str, Any]:
    async with parts.database.read() as connection:
        rows = await connection.execute(select(answer_checks))
        return {row.run_id: row for row in rows}


@pytest.mark.spec("quality.validate", "quality.metrics")
async def test_each_end_is_checked_once_and_stored(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, monitor):
        told = Told(monitor)
        expected = {}
        for agent, content, kinds in (
            ("echo", "A good answer.", []),
            ("silent", "say nothing", ["empty"]),
            ("ledger", "the total", []),
            ("ledger", "the wrong total", ["contradicts_tools"]),
            ("broken", "do it", ["failed"]),
            ("echo", "```python\nprint(", ["truncated"]),
            ("echo", "Again and again and again. " * 30, ["repeated"]),
        ):
            thread, run_id = await parts.send(content, agent=agent)
            await parts.ended(thread, run_id)
            expected[run_id] = kinds
        assert await monitor.check_waiting() == len(expected)
        rows = await stored(parts)
        found = {run_id: [each["kind"] for each in json.loads(row.findings)] for run_id, row in rows.items()}
        assert found == expected
        assert {row.score for row in rows.values()} == {100, 60, 50, 0}
        assert [each.run_id for each in told.checked] == list(expected)
        for run_id in expected:
            monitor.note(run_id)
        assert await monitor.check_waiting() == 0
        assert len(told.checked) == len(expected)


async def test_the_same_answer_counts_only_when_something_else_was_asked(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, monitor):
        told = Told(monitor)
        thread, run_id = await parts.send(LONG, agent="echo")
        await parts.ended(thread, run_id)
        _, again = await parts.send(LONG, agent="echo", thread=thread)
        await parts.ended(thread, again)
        _, other = await parts.send(f"{LONG} ", agent="echo", thread=thread)
        await parts.ended(thread, other)
        _, spaces = await parts.send("\n" + LONG, agent="echo", thread=thread)
        await parts.ended(thread, spaces)
        await monitor.check_waiting()
        assert [each.findings for each in told.checked] == [()] * 4
        _, first = await parts.send("the total, please", agent="ledger", thread=thread)
        await parts.ended(thread, first)
        _, same = await parts.send("what is the total?", agent="ledger", thread=thread)
        await parts.ended(thread, same)
        await monitor.check_waiting()
        assert [[found.kind for found in each.findings] for each in told.checked[4:]] == [[], ["same_as_before"]]


async def test_a_cancelled_run_is_not_judged(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, monitor):
        thread, run_id = await parts.send("go", agent="endless")
        await parts.until(thread, lambda event: event["type"] == "agent_thinking")
        await parts.engine.cancel(run_id)
        await parts.ended(thread, run_id)
        assert await monitor.check_waiting() == 0
        assert await stored(parts) == {}


async def test_a_thread_that_is_deleted_meanwhile_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, monitor):
        thread, run_id = await parts.send("one", agent="echo")
        await parts.ended(thread, run_id)
        other, kept = await parts.send("two", agent="echo")
        await parts.ended(other, kept)
        await parts.database.write(lambda connection: connection.execute(delete(threads).where(threads.c.id == thread)))
        assert await monitor.check_waiting() == 1
        assert set(await stored(parts)) == {kept}


async def test_what_a_crash_left_out_is_found_and_what_is_old_is_left(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, _):
        ids = []
        for content in ("one", "two", "three"):
            thread, run_id = await parts.send(content, agent="echo")
            await parts.ended(thread, run_id)
            ids.append(run_id)

        def move(run_id: str, back: timedelta) -> Any:
            at = micros(SystemClock().now() - back)
            return parts.database.write(
                lambda connection: connection.execute(update(runs).where(runs.c.id == run_id).values(ended_at=at))
            )

        await move(ids[0], timedelta(hours=1))
        await move(ids[1], timedelta(hours=25))
        fresh = QualityMonitor(parts.database, SystemClock(), AlertManager)
        assert await fresh.sweep() == 1  # the third has just ended: whoever was told of it is at it
        assert await fresh.check_waiting() == 1
        assert set(await stored(parts)) == {ids[0]}
        assert await fresh.sweep() == 0


async def test_an_answer_that_cannot_be_read_is_left_aside_and_keeps_no_other_from_being_checked(
    database_url: str, tmp_path: Path
) -> None:
    async with bench(database_url, tmp_path) as (parts, _):
        ids = []
        for content in ("one", "two"):
            thread, run_id = await parts.send(content, agent="echo")
            await parts.ended(thread, run_id)
            ids.append(run_id)
        ended = update(runs).values(ended_at=micros(SystemClock().now() - timedelta(hours=1)))
        torn = update(events).where(events.c.run_id == ids[0], events.c.type == "agent_completed").values(body=b"{")
        await parts.database.write(lambda connection: (connection.execute(ended), connection.execute(torn)))
        monitor = QualityMonitor(parts.database, SystemClock(), AlertManager)
        assert await monitor.sweep() == 2
        assert await monitor.check_waiting() == 1
        assert set(await stored(parts)) == {ids[1]}
        assert await monitor.sweep() == 0


async def test_the_background_task_checks_what_it_is_told_of(database_url: str, tmp_path: Path) -> None:
    async with bench(database_url, tmp_path) as (parts, monitor):
        told = Told(monitor)
        await monitor.start()
        try:
            thread, run_id = await parts.send("hello", agent="echo")
            await parts.ended(thread, run_id)
            for _ in range(200):
                if told.checked:
                    break
                await parts.thread()  # a write: something else to do meanwhile
            assert [each.run_id for each in told.checked] == [run_id]
        finally:
            await monitor.stop()


async def checks(parts: Workbench, clock: ManualClock, agent: str, scores: list[int], user: str = "usr_tester") -> None:
    """Store checks as if they had been made, a minute apart."""
    thread = await parts.thread(user)
    rows = checked_of(thread, user, clock, agent, scores)
    await parts.database.write(lambda connection: connection.execute(insert(answer_checks), rows))


def checked_of(thread: str, user: str, clock: ManualClock, agent: str, scores: list[int]) -> list[dict[str, Any]]:
    """The rows of such checks."""
    rows = []
    for score in scores:
        clock.advance(60)
        kinds = [] if score == 100 else [{"kind": "empty" if score == 0 else "truncated", "detail": "a secret text"}]
        rows.append(
            {
                "run_id": new_id("run"),
                "user_id": user,
                "thread_id": thread,
                "agent": agent,
                "status": "failed" if score == 0 else "succeeded",
                "score": score,
                "findings": json.dumps(kinds, separators=(",", ":")).encode(),
                "checked_at": micros(clock.now()),
            }
        )
    return rows


@pytest.mark.spec("quality.alerts")
async def test_a_drop_opens_an_alert_and_the_recovery_resolves_it(database_url: str, tmp_path: Path) -> None:
    clock = ManualClock()
    manager = AlertManager()
    async with workbench(database_url, tmp_path, AGENTS) as parts:
        manager.configure(Alerts(parts.database), clock=clock)
        await checks(parts, clock, "silent", [100] * 100)

        async def answer(monitor: QualityMonitor, agent: str, times: int) -> None:
            for _ in range(times):
                thread, run_id = await parts.send("x", agent=agent)
                await parts.ended(thread, run_id)
                await parts.database.write(
                    lambda connection, run_id=run_id: connection.execute(  # type: ignore[misc]
                        update(runs).where(runs.c.id == run_id).values(agent="silent")
                    )
                )
                clock.advance(30)
                monitor.note(run_id)
            await monitor.check_waiting()
            await manager.turn()

        async def incidents() -> list[Any]:
            async with parts.database.read() as connection:
                return list(await connection.execute(select(alerts).where(alerts.c.rule == RULE)))

        monitor = QualityMonitor(parts.database, clock, lambda: manager)
        told = Told(monitor)
        await answer(monitor, "silent", 2)
        assert await incidents() == []
        await answer(monitor, "silent", 2)
        (incident,) = await incidents()
        assert (incident.key, incident.severity, incident.resolved_at) == ("silent", "warning", None)
        assert json.loads(bytes(incident.details))["before"] == 100.0
        await answer(monitor, "silent", 3)
        assert len(await incidents()) == 1
        assert [turn.kind for _, turn in told.turns] == ["dropped"]

        after_restart = QualityMonitor(parts.database, clock, lambda: manager)
        told = Told(after_restart)
        await answer(after_restart, "echo", 24)
        (incident,) = await incidents()
        assert incident.resolved_at is not None
        assert [turn.kind for _, turn in told.turns] == ["recovered"]


@pytest.mark.spec("quality.alerts")
async def test_a_drop_is_told_to_the_alerts_of_its_own_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        other = Database(url := f"sqlite:///{tmp_path / 'other.db'}")
        prepare(url)
        await other.start()
        stack.push_async_callback(other.stop)
        # The process's manager works for something else already, so the server takes one of its own.
        alert_manager.configure(Alerts(other), clock=SystemClock())
        await alert_manager.start()
        stack.push_async_callback(alert_manager.stop)
        server = Netra(Settings(data_dir=tmp_path / "data", agents=["support.answers:silent"]))
        await server.start()
        stack.push_async_callback(server.stop)
        user = (await server.identity.users.create("ann@example.com", "a good long password")).id
        scope = Scope(user, frozenset({"user"}))
        sent = await server.messages.send(scope, id="0", content="say nothing")
        rows = checked_of(sent.thread_id, user, ManualClock(), "silent", [100] * 100)
        await server.database.write(lambda connection: connection.execute(insert(answer_checks), rows))
        for number in range(1, 5):
            await server.messages.send(scope, id=str(number), content="say nothing")
        (incident,) = await until(server.alerts.open_incidents, "the alert", seconds=30)
        assert (incident.rule, incident.key) == (RULE, "silent")
        assert await alert_manager.incidents() == ([], [])


@pytest.mark.spec("quality.metrics")
async def test_figures_are_of_ones_own_runs_or_of_everybodys(database_url: str, tmp_path: Path) -> None:
    clock = ManualClock()
    async with workbench(database_url, tmp_path, AGENTS, start=False) as parts:
        measures = Measures(parts.database, clock)  # type: ignore[arg-type]
        await checks(parts, clock, "echo", [100] * 5, user="usr_old")
        clock.advance(20 * 86400)
        await checks(parts, clock, "echo", [100, 100, 60, 0], user="usr_ann")
        clock.advance(5 * 86400)
        await checks(parts, clock, "echo", [100, 100], user="usr_bob")
        await checks(parts, clock, "ledger", [60], user="usr_bob")
        thread = await parts.thread("usr_ann")

        def thumbs(connection: Any) -> None:
            for rating, comment in ((1, ""), (1, "thanks"), (-1, "a secret text")):
                at = micros(clock.now())
                connection.execute(
                    insert(feedback).values(
                        run_id=new_id("run"),
                        user_id="usr_ann",
                        thread_id=thread,
                        agent="echo",
                        rating=rating,
                        comment=comment,
                        created_at=at,
                        updated_at=at,
                    )
                )

        await parts.database.write(thumbs)
        (hers,) = await measures.of_user(Scope("usr_ann"), 7)
        assert (hers.agent, hers.checked, hers.score, hers.failed_share) == ("echo", 4, 65.0, 0.25)
        assert (hers.thumbs_up, hers.thumbs_down, hers.comments) == (2, 1, 2)
        assert hers.findings == {"truncated": 1, "empty": 1}
        assert [(each.checked, each.thumbs_up, each.thumbs_down) for each in hers.points] == [(4, 0, 0), (0, 2, 1)]
        his = await measures.of_user(Scope("usr_bob"), 7)
        assert [(each.agent, each.checked, each.score) for each in his] == [("echo", 2, 100.0), ("ledger", 1, 60.0)]
        everybody = await measures.of_everybody(7)
        assert [(each.agent, each.checked) for each in everybody] == [("echo", 6), ("ledger", 1)]
        assert everybody[0].change == 35.0
        assert [each.agent for each in await measures.of_everybody(7, "ledger")] == ["ledger"]
        assert (await measures.of_everybody(90))[0].checked == 11
        assert "secret" not in repr(await measures.of_everybody(90))


def test_an_id_made_later_sorts_after_the_moment() -> None:
    now = SystemClock().now()
    assert lowest_id("run", now - timedelta(seconds=1)) < new_id("run") < lowest_id("run", now + timedelta(seconds=60))
