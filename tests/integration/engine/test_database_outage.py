"""The database goes away in the middle of a run and comes back: the run goes on and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.executions import Phase
from support.engine import kinds, workbench
from support.executions import until_phase
from support.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.stress]


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server this test may crash."""
    server = PostgresServer(synchronous_commit="on", fsync="on")
    server.start()
    yield server
    server.stop()


async def test_a_run_survives_a_restart_of_postgresql(own_postgres: PostgresServer, tmp_path: Path) -> None:
    away, back = asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    async def count(number: int) -> int:
        calls.append(number)
        return number

    async def run(ctx: RunContext) -> str:
        await ctx.tool(count, 1)
        away.set()
        await back.wait()
        await ctx.think("While it is away.")
        await ctx.stream("still ")
        await ctx.tool(count, 2)
        await ctx.stream("here")
        return f"attempt {ctx.attempt}"

    url = own_postgres.create_database()
    async with workbench(url, tmp_path, [AgentSpec("run", run)]) as bench:
        thread, run_id = await bench.send(agent="run")
        await away.wait()
        await asyncio.to_thread(own_postgres.crash)
        back.set()
        await asyncio.sleep(0.5)  # into the outage: what is tried now must be tried again
        await asyncio.to_thread(own_postgres.resume)
        await bench.ended_row(run_id, seconds=60)
        events = await bench.events(thread)
    assert calls == [1, 2]
    assert kinds(events) == [
        "user_message",
        "agent_started",
        "tool_executing",
        "tool_completed",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "agent_completed",
    ]
    assert events[-1]["final_response"] == "attempt 1"
    assert [event["prev"] for event in events][1:] == [event["seq"] for event in events][:-1]


async def test_a_run_that_ends_during_the_outage_lets_the_engine_stop_and_ends_once_later(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    ready, away = asyncio.Event(), asyncio.Event()

    async def run(ctx: RunContext) -> str:
        ready.set()
        await away.wait()
        return f"attempt {ctx.attempt}"

    url, agents = own_postgres.create_database(), [AgentSpec("run", run)]
    async with workbench(url, tmp_path, agents) as bench:
        thread, run_id = await bench.send(agent="run")
        await ready.wait()
        await asyncio.to_thread(own_postgres.crash)
        away.set()
        await until_phase(run_id, Phase.FINALISING)
        bench.database.finish_within(0.5)
        async with asyncio.timeout(20):
            await bench.engine.stop()
    await asyncio.to_thread(own_postgres.resume)
    async with workbench(url, tmp_path, agents) as bench:
        assert (await bench.ended(thread, run_id))["final_response"] == "attempt 2"
        assert kinds(await bench.events(thread)).count("agent_completed") == 1
