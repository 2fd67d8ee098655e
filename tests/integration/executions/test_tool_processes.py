"""Tools in processes of their own: they die alone, are killed for real, and what they say of it is typed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.agents.tools import ToolDied, ToolOutOfMemory, ToolTimedOut
from netra.executions import BreakerRules, Breakers
from support import deaths
from support.deaths import named_by_naps
from support.engine import Workbench, workbench
from support.processes import runs
from support.waiting import until


async def gone(pids: list[int], within: float = 5) -> None:
    await until(lambda: not any(runs(pid) for pid in pids), "the tool's processes to end", seconds=within)


async def pids_in(folder: Path, many: int = 1) -> list[int]:
    """The processes that `nap` has named, once it has in so many calls."""
    await until(lambda: len(named_by_naps(folder)) == 2 * many, "the tool's processes")
    return named_by_naps(folder)


async def test_a_call_in_a_process_gives_what_the_function_gives(tmp_path: Path) -> None:
    async def calculating(ctx: RunContext) -> str:
        first = await ctx.tool(deaths.add, 1, b=2, loud=True)
        second = await ctx.tool(deaths.add, 3, 4)
        assert first["pid"] not in (second["pid"], os.getpid())
        with pytest.raises(ValueError, match="value"):
            await ctx.tool(deaths.complain, "value")
        here = await ctx.tool(deaths.add, 5, 6, process=False)
        assert here["pid"] == os.getpid()
        return f"{first['sum']} {second['sum']} {first['words']}"

    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, [AgentSpec("a", calculating)]) as bench:
        end, events = await bench.ask("a")
    assert end["final_response"] == "3 7 ['a', 'b']", end
    shown = [event for event in events if event["type"] == "tool_executing"]
    assert shown[0]["parameters"] == {"a": 1, "b": 2, "loud": True}


@pytest.mark.spec("death.one-terminal-state")
async def test_what_kills_a_tool_is_typed_and_may_be_caught(tmp_path: Path) -> None:
    caught: list[str] = []

    async def careful(ctx: RunContext) -> str:
        for work, arguments in (
            (deaths.swallow, (4096,)),
            (deaths.end_with, (int(signal.SIGKILL),)),
            (deaths.end_with, (int(signal.SIGSEGV),)),
            (deaths.nap_too_long, ()),
        ):
            try:
                await ctx.tool(work, *arguments)
            except (ToolDied, ToolTimedOut) as error:
                caught.append(f"{type(error).__name__} {error.code}")
        return "went on"

    async def careless(ctx: RunContext) -> None:
        await ctx.tool(deaths.swallow, 4096)

    specs = [AgentSpec("careful", careful), AgentSpec("careless", careless)]
    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, specs) as bench:
        end, events = await bench.ask("careful")
        uncaught, _ = await bench.ask("careless")
    assert (end["status"], end["final_response"]) == ("succeeded", "went on")
    assert caught == [
        f"{ToolOutOfMemory.__name__} out_of_memory",
        "ToolDied tool_died",
        "ToolDied tool_died",
        "ToolTimedOut tool_timed_out",
    ]
    completed = [event for event in events if event["type"] == "tool_completed"]
    assert [(event["success"], event["error"]["code"]) for event in completed] == [
        (False, "out_of_memory"),
        (False, "tool_died"),
        (False, "tool_died"),
        (False, "tool_timed_out"),
    ]
    assert (uncaught["status"], uncaught["error"]["code"]) == ("failed", "out_of_memory")
    assert "512 MiB" in uncaught["error"]["message"]


async def test_the_process_and_its_children_are_killed_when_the_run_is_cancelled(tmp_path: Path) -> None:
    async def left_alone(ctx: RunContext) -> None:
        kept.append(asyncio.create_task(ctx.tool(deaths.nap, str(tmp_path), 600)))
        await asyncio.Event().wait()

    kept: list[asyncio.Task[None]] = []
    specs = [AgentSpec("napping", deaths.napping), AgentSpec("left", left_alone)]
    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, specs) as bench:
        sent = [await bench.send(str(tmp_path), agent=agent) for agent in ("napping", "left")]
        pids = await pids_in(tmp_path, 2)
        assert len(pids) == 4
        assert all(runs(pid) for pid in pids)
        for _, run_id in sent:
            await bench.engine.cancel(run_id)
        await gone(pids)
        for thread, run_id in sent:
            assert (await bench.ended(thread, run_id))["status"] == "cancelled"
        await asyncio.wait(kept)
        assert all(task.exception() is not None for task in kept)


async def test_only_so_many_processes_run_at_once(tmp_path: Path) -> None:
    async def many(ctx: RunContext) -> str:
        began = time.monotonic()
        await asyncio.gather(*(ctx.tool(deaths.nap, str(tmp_path), 0.3) for _ in range(3)))
        return str(time.monotonic() - began)

    url = f"sqlite:///{tmp_path / 'n.db'}"
    async with workbench(url, tmp_path, [AgentSpec("many", many)], tool_processes=1) as bench:
        end, _ = await bench.ask("many")
    assert float(end["final_response"]) > 0.9


async def test_a_function_that_cannot_be_found_from_a_process_is_refused_at_once(tmp_path: Path) -> None:
    refused: list[str] = []

    async def wrong(ctx: RunContext) -> str:
        def inner() -> None: ...

        async def coroutine() -> None: ...

        for work in (inner, coroutine, lambda: None):
            try:
                await ctx.tool(work, process=True)
            except TypeError as error:
                refused.append(str(error))
        return "none ran"

    bench: Workbench
    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, [AgentSpec("wrong", wrong)]) as bench:
        end, _ = await bench.ask("wrong")
    assert end["final_response"] == "none ran"
    assert len(refused) == 3
    assert all("top of a module" in each for each in refused)


@pytest.mark.spec("breaker.states")
async def test_a_host_that_fails_a_tool_in_a_process_rests_too(tmp_path: Path) -> None:
    """The library's exception stays in the tool's process; what it says of the host does not."""

    async def asking(ctx: RunContext) -> str:
        seen: list[str] = []
        for what in ("missing", "down", "down", "down"):
            try:
                await ctx.tool(deaths.ask_in_vain, what)
            except Exception as error:  # noqa: BLE001 - all are looked at
                seen.append(type(error).__name__)
        return " ".join(seen)

    breakers = Breakers(BreakerRules(failures=2, share=0.5))
    url, specs = f"sqlite:///{tmp_path / 'n.db'}", [AgentSpec("asking", asking)]
    async with workbench(url, tmp_path, specs, breakers=breakers) as bench:
        end, _ = await bench.ask("asking")
    assert end["final_response"] == "AgentError AgentError AgentError CircuitOpen", end
    assert breakers.get("host", "reports.example.com").state == "open"
