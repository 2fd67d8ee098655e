"""A run's limits are for the run: what earlier attempts took is gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netra.agents import Answer, RunContext
from netra.agents.spec import AgentSpec
from netra.engine import engine as engine_module
from support.engine import workbench
from support.waiting import until


class Slow:
    """An agent that says it has begun, spends, and waits until it is told to go on."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.took: list[float] = []

    async def run(self, ctx: RunContext) -> str:
        async def spend() -> None:
            ctx.add_usage(cost_usd=0.25)

        await ctx.tool(spend)
        self.arrived.set()
        started = asyncio.get_running_loop().time()
        try:
            await self.release.wait()
        finally:
            self.took.append(asyncio.get_running_loop().time() - started)
        return "done"


async def test_a_deadline_counts_what_earlier_attempts_took(database_url: str, tmp_path: Path) -> None:
    slow = Slow()
    async with workbench(database_url, tmp_path, [AgentSpec("slow", slow)], run_seconds=3.0) as bench:
        thread, run_id = await bench.send(agent="slow")
        await slow.arrived.wait()
        await asyncio.sleep(1.5)  # this time is what is counted
        await bench.engine.stop()
        row = await bench.row(run_id)
        assert 1500 <= row.worked_ms < 3000
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
    assert end["status"] == "timed_out"
    first, second = slow.took
    assert first >= 1.5
    assert second <= 2.0, "what the first attempt left, not the whole deadline anew"


async def test_the_time_a_person_takes_is_nobodys(tmp_path: Path) -> None:
    async def asks(ctx: RunContext) -> str:
        return (await ctx.ask_approval("Shall I?")).decision

    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("asks", asks)], run_seconds=2.0) as bench:
        thread, run_id = await bench.send(agent="asks")
        events = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        await asyncio.sleep(1.0)  # which the person takes
        await bench.engine.stop()
        assert (await bench.row(run_id)).worked_ms < 1000
        await bench.engine.start()
        await bench.decide(events[-1]["approval_id"], "approved")
        assert (await bench.ended(thread, run_id))["final_response"] == "approved"


async def test_what_a_running_run_takes_is_noted_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "NOTE_SECONDS", 0.0)
    slow = Slow()
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("slow", slow)]) as bench:
        thread, run_id = await bench.send(agent="slow")

        async def noted() -> float:
            row = await bench.row(run_id)
            return float(row.cost_usd) if row.worked_ms else 0.0

        assert await until(noted, "what it has cost so far") == 0.25
        slow.release.set()
        assert (await bench.ended(thread, run_id))["usage"]["cost_usd"] == 0.25


async def test_an_agent_sees_what_is_left_to_its_run(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def asks(ctx: RunContext) -> Answer:
        before = ctx.budget
        ctx.add_usage(cost_usd=0.25)
        arrived.set()
        await release.wait()
        return Answer("done", [before.seconds, before.cost_usd, ctx.budget.cost_usd])

    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("asks", asks)], run_seconds=60.0, run_cost_usd=1.0) as bench:
        thread, run_id = await bench.send(agent="asks")
        await arrived.wait()
        await asyncio.sleep(0.5)  # which the first attempt takes
        await bench.engine.stop()
        release.set()
        await bench.engine.start()
        seconds, first, second = (await bench.ended(thread, run_id))["result"]
    assert 50 < seconds <= 59.5
    assert (first, second) == (0.75, 0.75), "no step recorded the spending: it counts once, whoever tries again"
    async with workbench(url, tmp_path, [AgentSpec("asks", asks)]) as bench:
        assert (await bench.ask("asks"))[0]["result"][1:] == [None, None]
