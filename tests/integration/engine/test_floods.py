"""Agents that do or say too much: what is stored stays within bounds, and the run ends soon."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.engine.port import MOST_ANSWER_CHARS, MOST_STEPS, SHOWN_BYTES
from netra.engine.streamed import DELTA_CHARS
from support.engine import workbench

QUICKLY = 20.0
"""Seconds, on a machine that has much else to do."""


async def test_no_event_is_larger_than_people_can_read(tmp_path: Path) -> None:
    held = asyncio.Event()
    text = "".join(f"{number:07d}\n" for number in range(10_000))

    async def work() -> str:
        return "done"

    async def talks(ctx: RunContext) -> None:
        await ctx.think("é" * 40_000)
        await ctx.tool(work, purpose="p" * 40_000)
        await ctx.stream(text)
        await ctx.ask_approval("q" * 40_000)
        await held.wait()

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("talks", talks)]) as bench:
        thread, run_id = await bench.send(agent="talks")
        events = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        deltas = [event for event in events if event["type"] == "text_delta"]
        assert "".join(event["text"] for event in deltas) == text
        assert [event["offset"] for event in deltas] == list(range(0, len(text), DELTA_CHARS))
        thought = next(event["reasoning"] for event in events if event["type"] == "agent_thinking")
        purpose = next(event["tool_purpose"] for event in events if event["type"] == "tool_executing")
        for shown in (thought, purpose, events[-1]["prompt"]):
            assert SHOWN_BYTES - 4 <= len(shown.encode()) <= SHOWN_BYTES
            assert shown.endswith("…")
        await bench.decide(events[-1]["approval_id"], "approved")
        held.set()
        assert (await bench.ended(thread, run_id))["status"] == "succeeded"


async def too_many_thoughts(ctx: RunContext) -> None:
    while True:
        await ctx.think("And another thing.")


async def too_many_thoughts_that_nothing_stops(ctx: RunContext) -> str:
    for _ in range(MOST_STEPS * 2):
        with contextlib.suppress(Exception):
            await ctx.think("And another thing.")
    return "never mind"


async def too_many_inside_a_tool(ctx: RunContext) -> None:
    async def tool() -> None:
        while True:
            await ctx.think("And another thing.")

    await ctx.tool(tool)


async def too_much_text(ctx: RunContext) -> None:
    while True:
        await ctx.stream("blah " * 1000)


async def too_long_an_answer(ctx: RunContext) -> str:
    return "x" * (MOST_ANSWER_CHARS + 1)


FLOODS = [
    too_many_thoughts,
    too_many_thoughts_that_nothing_stops,
    too_many_inside_a_tool,
    too_much_text,
    too_long_an_answer,
]


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.__name__)
async def test_a_flood_ends_the_run_quickly(tmp_path: Path, flood: object) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("flood", flood)]) as bench:
        started = time.monotonic()
        thread, run_id = await bench.send(agent="flood")
        row = await bench.ended_row(run_id, seconds=2 * QUICKLY)
        assert time.monotonic() - started < QUICKLY
        assert row.state == "failed"
        end = await bench.ended(thread, run_id)
        assert end["error"]["code"] == "too_much"
