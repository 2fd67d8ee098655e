"""What a killed, stopped or lost process leaves is carried on: from the last finished step, and ended once."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from sqlalchemy import update

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.engine.durable import Durable
from netra.engine.runs import claim
from netra.errors import IllegalTransition
from netra.events import AgentThinking
from netra.log import Entry, Fence, Fenced
from netra.storage.tables import runs
from support.engine import kinds, workbench
from support.processes import process, said
from support.waiting import until


@pytest.mark.stress
async def test_a_killed_run_goes_on_from_its_last_finished_step(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [], start=False) as bench:
        async with process(database_url, tmp_path) as worker:
            thread, run_id = await bench.send(agent="counting")
            await said(worker, "waiting")
            before = await bench.events(thread)
            worker.kill()
            await worker.wait()
        assert (tmp_path / "counts").read_text() == "abc"
        assert (await bench.row(run_id)).state == "running"
        (tmp_path / "go").touch()
        async with process(database_url, tmp_path):
            end = await bench.ended_elsewhere(thread)
        events = await bench.events(thread)
    assert end["status"] == "succeeded"
    assert end["result"] == ["aa", "no b", "gone", "dd"]
    assert end["final_response"] == "attempt 2 done"
    assert (tmp_path / "counts").read_text() == "abccd", "finished steps are not run again, the interrupted one is"
    assert kinds(events) == [
        "user_message",
        "agent_started",
        "agent_thinking",
        *["tool_executing", "tool_completed"] * 4,
        "agent_completed",
    ]
    assert [e["event_id"] for e in before if e["type"] != "text_delta"] == [e["event_id"] for e in events][:8]
    assert [e["success"] for e in events if e["type"] == "tool_completed"] == [True, False, True, True]


@pytest.mark.stress
async def test_a_run_whose_process_dies_too_often_ends_as_died(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [], start=False) as bench:
        thread, run_id = await bench.send(agent="counting")
        for _ in range(2):
            async with process(url, tmp_path) as worker:
                await said(worker, "waiting")
                worker.send_signal(signal.SIGKILL)
                await worker.wait()
        async with process(url, tmp_path):
            end = await bench.ended_elsewhere(thread)
        assert end["status"] == "died"
        assert end["error"]["code"] == "died"
        assert (await bench.row(run_id)).state == "died"
    assert (tmp_path / "counts").read_text() == "abcc"


@pytest.mark.stress
async def test_a_stopped_server_leaves_its_runs_to_the_next_and_no_death_is_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [], start=False) as bench:
        thread, run_id = await bench.send(agent="counting")
        for _ in range(3):
            async with process(url, tmp_path) as worker:
                await said(worker, "waiting")
                worker.terminate()
                await said(worker, "stopped")
                assert await worker.wait() == 0
            assert (await bench.row(run_id)).state == "running"
        (tmp_path / "go").touch()
        async with process(url, tmp_path):
            end = await bench.ended_elsewhere(thread)
        assert end["status"] == "succeeded"
        assert (await bench.row(run_id)).attempt == 4


def agent_that_waits(arrived: asyncio.Event, release: asyncio.Event) -> AgentSpec:
    async def run(ctx: RunContext) -> str:
        arrived.set()
        await release.wait()
        return f"attempt {ctx.attempt}"

    return AgentSpec("waits", run)


async def test_drain_waits_for_a_run_and_begins_no_other(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [agent_that_waits(arrived, release)]) as bench:
        thread, run_id = await bench.send(agent="waits")
        await arrived.wait()
        drain = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(0)
        _, later = await bench.send(agent="waits")
        release.set()
        await drain
        assert (await bench.ended(thread, run_id))["status"] == "succeeded"
        assert (await bench.row(later)).state == "queued"


async def test_an_engine_that_starts_again_finds_what_it_left(database_url: str, tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    async with workbench(database_url, tmp_path, [agent_that_waits(arrived, release)]) as bench:
        thread, run_id = await bench.send(agent="waits")
        await arrived.wait()
        await bench.engine.stop()
        row = await bench.row(run_id)
        assert (row.state, row.attempt) == ("running", 1)
        release.set()
        await bench.engine.start()
        assert (await bench.ended(thread, run_id))["final_response"] == "attempt 2"


async def test_a_run_that_was_claimed_and_never_started_is_started(database_url: str, tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    release.set()
    async with workbench(database_url, tmp_path, [agent_that_waits(arrived, release)], start=False) as bench:
        thread, run_id = await bench.send(agent="waits", wake=False)
        await bench.log.transact(
            lambda tx: claim(tx, worker="wrk_test", most=1, per_user=1, greeting=lambda agent: (agent, {}))
        )
        await bench.engine.start()
        assert (await bench.ended(thread, run_id))["final_response"] == "attempt 2"


async def test_a_run_without_an_end_whose_workflow_is_over_gets_one(database_url: str, tmp_path: Path) -> None:
    async def nothing(run_id: str) -> None:
        return

    async with workbench(database_url, tmp_path, [], start=False) as bench:
        thread, run_id = await bench.send(agent="waits", wake=False)
        await bench.log.transact(
            lambda tx: claim(tx, worker="wrk_test", most=1, per_user=1, greeting=lambda agent: (agent, {}))
        )
        lost = Durable(database_url, tmp_path, "netra", nothing)
        await lost.start()
        await lost.launch(run_id)
        await lost.stop()
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        assert (end["status"], end["error"]["code"]) == ("died", "died")


async def test_an_older_attempt_can_store_nothing(database_url: str, tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    stored: list[str] = []

    async def frozen(ctx: RunContext) -> str:
        arrived.set()
        await release.wait()
        await ctx.tool(stored.append, "too late")
        return "from the old attempt"

    async with workbench(database_url, tmp_path, [AgentSpec("frozen", frozen)]) as bench:
        thread, run_id = await bench.send(agent="frozen")
        await arrived.wait()
        await bench.log.transact(  # what another process does that takes the run over
            lambda tx: tx.connection.execute(update(runs).where(runs.c.id == run_id).values(attempt=2)).rowcount
        )
        release.set()
        await until(lambda: run_id not in bench.engine._active, "the old attempt to end")
        assert stored == []
        assert kinds(await bench.events(thread)) == ["user_message", "agent_started"]
        event = AgentThinking(
            event_id="evt_x",
            thread_id=thread,
            run_id=run_id,
            user_id=bench.user_id,
            agent_name="frozen",
            timestamp="2026-01-01T00:00:00.000Z",
            step_number=1,
            reasoning="old",
        )
        with pytest.raises(Fenced):
            await bench.log.append(thread, [Entry("x", event)], fence=Fence(run_id, 1))


async def test_a_run_goes_through_its_states_only_forward() -> None:
    from netra.engine.runs import ENDS, TRANSITIONS, check_transition

    for current, allowed in TRANSITIONS.items():
        for wanted in TRANSITIONS:
            if wanted in allowed:
                check_transition("run_x", current, wanted)
            else:
                with pytest.raises(IllegalTransition, match=wanted):
                    check_transition("run_x", current, wanted)
    assert all(not TRANSITIONS[end] for end in ENDS)


async def test_an_agent_that_changed_ends_with_a_clear_error(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def one() -> int:
        return 1

    async def two() -> int:
        return 2

    async def moody(ctx: RunContext) -> str:
        await ctx.tool(one if ctx.attempt == 1 else two)
        arrived.set()
        await release.wait()
        return "never"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("moody", moody)]) as bench:
        thread, run_id = await bench.send(agent="moody")
        await arrived.wait()
        await bench.engine.stop()
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        assert (end["status"], end["error"]["code"]) == ("failed", "not_repeatable")


async def test_finished_runs_are_forgotten_by_the_engines_own_database(database_url: str, tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    release.set()
    async with workbench(database_url, tmp_path, [agent_that_waits(arrived, release)]) as bench:
        done = [(await bench.send(agent="waits")) for _ in range(3)]
        for thread, run_id in done:
            await bench.ended(thread, run_id)
        release.clear()
        arrived.clear()
        thread, going = await bench.send(agent="waits")
        await arrived.wait()
        durable = bench.engine._durable
        async with asyncio.timeout(10):
            forgotten = 0
            while forgotten < 3:  # each is finished there a moment after its end is stored
                forgotten += await durable.tidy()
        known = await durable.progress([going, *(run_id for _, run_id in done)])
        assert list(known.values()) == ["open", "unknown", "unknown", "unknown"]
        release.set()
        assert (await bench.ended(thread, going))["status"] == "succeeded"


async def test_what_a_step_inside_a_tool_spent_is_remembered(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def nested(ctx: RunContext) -> str:
        async def model() -> int:
            ctx.add_usage(100, 10, 0.5)
            return 1

        async def inner() -> int:
            ctx.add_usage(1, 1, 0.25)
            return int(await ctx.step(model))

        async def outer() -> int:
            return int(await ctx.tool(inner))

        await ctx.tool(outer)
        arrived.set()
        await release.wait()
        return "done"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("nested", nested)]) as bench:
        thread, run_id = await bench.send(agent="nested")
        await arrived.wait()
        await bench.engine.stop()
        release.set()
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        assert end["usage"] == {"input_tokens": 101, "output_tokens": 11, "cost_usd": 0.75}
