"""Agents that do or say too much: what is stored stays within bounds, and the run ends soon."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.engine.port import DELTA_CHARS, SHOWN_BYTES
from support.engine import workbench


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
