"""A run from its message to its end: events in order, results, history, files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from netra.agents import Answer, RunContext, Thought, agent
from netra.agents.spec import spec_of
from support.engine import kinds, workbench


def double(number: int) -> int:
    return number * 2


async def describe(city: str, api_key: str = "") -> dict[str, str]:
    return {"city": city}


@agent(title="Trivial")
async def trivial(ctx: RunContext) -> Any:
    yield Thought("Thinking.")
    value = await ctx.tool(double, 21, purpose="To know.")
    town = await ctx.tool(describe, "Uppsala", api_key="sk-very-secret")
    for piece in ("The ", "answer ", "is "):
        yield piece
    yield f"{value} in {town['city']}."
    yield Answer(result={"value": value})


async def test_an_async_generator_runs_to_its_end(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [spec_of(trivial)]) as bench:
        end, events = await bench.ask("trivial", "How much?")
    assert kinds(events) == [
        "user_message",
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "tool_executing",
        "tool_completed",
        "agent_completed",
    ]
    assert end["status"] == "succeeded"
    assert end["final_response"] == "The answer is 42 in Uppsala."
    assert end["result"] == {"value": 42}
    assert events[1]["message"] == "Trivial is starting."
    assert events[3]["parameters"] == {"number": 21}
    assert events[3]["tool_purpose"] == "To know."
    assert events[4]["results"] == 42
    assert events[4]["tool_call_id"] == events[3]["tool_call_id"]
    assert "sk-very-secret" not in str(events)
    assert not any(event["type"] == "text_delta" for event in events), "streamed text is removed at the end"
    assert [event["prev"] for event in events][1:] == [event["seq"] for event in events][:-1]
