"""Agents run in memory, for the people who write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netra.agents import Answer, BudgetExceeded, Decision, RunContext, Thought, Turn
from netra.agents.rehearsal import Rehearsal, Step
from netra.errors import AgentError


def add(first: int, second: int) -> int:
    return first + second


async def thorough(ctx: RunContext) -> Any:
    yield Thought("Adding.")
    total = await ctx.sub("adder").tool(add, 1, second=2, purpose="To know.")
    decision = await ctx.ask_approval("Publish?")
    yield f"{total}, {decision.decision}, {ctx.history[0].answer}, {[file.name for file in ctx.files]}"
    yield Answer(result={"total": total})


async def test_a_rehearsal_shows_what_an_agent_did(tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text("a,b\n")
    rehearsal = Rehearsal(
        "Add",
        files=[tmp_path / "usage.csv"],
        history=[Turn("q", "before")],
        decisions=[Decision("approved", None, "me")],
    )
    answer = await rehearsal.run(thorough)
    assert answer == Answer("3, approved, before, ['usage.csv']", {"total": 3})
    assert rehearsal.steps[:3] == [
        Step("think", "agent", "Adding."),
        Step("tool", "adder", "add", {"first": 1, "second": 2}, 3),
        Step("approval", "agent", "Publish?", result="approved"),
    ]
    (file,) = rehearsal.context.files.all()
    assert (file.media_type, file.size, file.path.read_text()) == ("text/csv", 4, "a,b\n")
    assert rehearsal.context.files.get(file.id) is file


async def test_what_fails_in_a_rehearsal_fails_like_in_a_run() -> None:
    async def wrong(ctx: RunContext) -> Any:
        yield 7

    async def expensive(ctx: RunContext) -> None:
        ctx.add_usage(cost_usd=2)

    async def opaque(ctx: RunContext) -> None:
        await ctx.tool(object)

    with pytest.raises(AgentError, match="yielded int"):
        await Rehearsal("x").run(wrong)
    with pytest.raises(BudgetExceeded):
        await Rehearsal("x", cost_usd=1).run(expensive)
    with pytest.raises(TypeError, match="not JSON-serialisable"):
        await Rehearsal("x").run(opaque)


async def test_a_context_is_immutable() -> None:
    context = Rehearsal("x").context
    with pytest.raises(AttributeError):
        context.run_id = "run_other"  # type: ignore[misc]
    assert context.sub("other").agent_name == "other"
    assert context.agent_name == "agent"


async def test_a_rehearsal_has_a_budget_to_look_at() -> None:
    async def looks(ctx: RunContext) -> str:
        ctx.add_usage(cost_usd=0.25)
        return f"{ctx.budget.cost_usd} {9 < ctx.budget.seconds <= 10}"

    assert (await Rehearsal("go", cost_usd=1.0, seconds=10).run(looks)).text == "0.75 True"
