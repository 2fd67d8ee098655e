"""Questions to people: asked once, bound to what was asked, decided once, and they outlive the process."""

from __future__ import annotations

from pathlib import Path

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from support.engine import kinds, workbench
from support.waiting import until


def asking(expires_in: float = 3600, question: str = "Go?") -> AgentSpec:
    async def run(ctx: RunContext) -> str:
        decision = await ctx.ask_approval(question, schema={"type": "object"}, expires_in=expires_in, default="denied")
        return f"{decision.decision} by {decision.by} with {decision.payload}, attempt {ctx.attempt}"

    return AgentSpec("asking", run)


async def test_a_decision_lets_the_run_go_on(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [asking()]) as bench:
        thread, run_id = await bench.send(agent="asking")
        (*_, asked) = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        assert (asked["prompt"], asked["schema"], asked["default"]) == ("Go?", {"type": "object"}, "denied")
        await bench.decide(asked["approval_id"], "approved", {"amount": 3})
        end = await bench.ended(thread, run_id)
        assert end["final_response"] == f"approved by {bench.user_id} with {{'amount': 3}}, attempt 1"


async def test_a_decision_nobody_announced_is_found(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [asking()]) as bench:
        thread, run_id = await bench.send(agent="asking")
        (*_, asked) = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        await bench.decide(asked["approval_id"], "approved", signal=False)
        assert (await bench.ended(thread, run_id))["final_response"].startswith("approved")


async def test_when_nobody_answers_the_default_counts_and_the_wait_is_not_the_runs_time(tmp_path: Path) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [asking(0.6)], run_seconds=0.4) as bench:
        end, events = await bench.ask("asking")
    assert end["final_response"] == "denied by timeout with None, attempt 1"
    assert kinds(events) == [
        "user_message",
        "agent_started",
        "approval_requested",
        "approval_resolved",
        "agent_completed",
    ]
    assert (events[3]["decision"], events[3]["by"]) == ("denied", "timeout")


async def test_a_question_outlives_the_process_and_is_asked_once(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [asking()]) as bench:
        thread, run_id = await bench.send(agent="asking")
        (*_, asked) = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        await bench.engine.stop()
        await bench.decide(asked["approval_id"], "approved")
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        assert end["final_response"] == f"approved by {bench.user_id} with None, attempt 2"
        assert kinds(await bench.events(thread)).count("approval_requested") == 1


async def test_a_decision_counts_only_for_what_was_asked(tmp_path: Path) -> None:
    amounts = iter(["1", "1000000"])

    async def shifty(ctx: RunContext) -> str:
        decision = await ctx.ask_approval(f"Pay {next(amounts)}?")
        return decision.decision

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("shifty", shifty)]) as bench:
        thread, run_id = await bench.send(agent="shifty")
        (*_, asked) = await bench.until(thread, lambda event: event["type"] == "approval_requested")
        await bench.engine.stop()
        await bench.decide(asked["approval_id"], "approved")
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        assert end["status"] == "failed"
        assert "asks something else" in end["error"]["message"]


async def test_a_cancelled_run_no_longer_waits(tmp_path: Path) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [asking()]) as bench:
        thread, run_id = await bench.send(agent="asking")
        await bench.until(thread, lambda event: event["type"] == "approval_requested")
        await bench.engine.cancel(run_id)
        assert (await bench.ended(thread, run_id))["status"] == "cancelled"
        await until(lambda: not bench.engine._desk.waiting, "nobody to wait")
