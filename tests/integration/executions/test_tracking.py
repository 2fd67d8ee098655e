"""Every run is in the tracker as its row says; each end is told once; agents and hosts that fail rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from netra.agents import RunContext, tool
from netra.agents.spec import AgentSpec
from netra.clock import SystemClock
from netra.engine import EndedRun
from netra.errors import AgentError
from netra.executions import BreakerRules, Breakers, ExecutionState, Phase, TrackerLimits, get_execution_tracker
from netra.executions.tracker import configure_execution_tracker
from netra.log import Bus, ThreadLog
from netra.storage.tables import runs
from support.accounts import register
from support.engine import workbench
from support.executions import until_phase
from support.server import ServerProcess
from support.sockets import open_socket
from support.waiting import until


class Stage:
    """An agent that goes on when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def run(self, ctx: RunContext) -> str:
        async def hold() -> str:
            await self.go.wait()
            return "held"

        ctx.progress("holding on")
        await ctx.tool(hold)
        return "done"


@pytest.mark.spec("tracker.every-run")
async def test_a_run_is_tracked_from_its_claim_to_its_end(tmp_path: Path) -> None:
    stage, ended = Stage(), list[EndedRun]()
    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, [AgentSpec("staged", stage)]) as bench:
        bench.engine.on_ended(ended.append)
        thread, run_id = await bench.send(agent="staged")
        await until_phase(run_id, Phase.TOOL)
        tracker = get_execution_tracker()
        record = tracker.get_execution(run_id)
        assert record is not None
        assert (record.agent_name, record.user_id, record.thread_id) == ("staged", bench.user_id, thread)
        assert (record.state, record.timeout_seconds) == (ExecutionState.RUNNING, bench.settings.run_seconds)
        assert (await bench.row(run_id)).worker_id is not None
        assert get_execution_tracker({"user_id": "usr_other"}).get_execution(run_id) is None
        stage.go.set()
        await bench.ended(thread, run_id)
        await until(lambda: ended, "the end to be told")
        record = tracker.get_execution(run_id)
        assert record is not None
        assert record.state is ExecutionState.COMPLETED
        phases = [step.phase for step in record.steps]
        assert phases == ["created", "preparing", "working", "working", "tool", "working", "finalising", "ended"]
        assert "holding on" in [step.note for step in record.steps]
    assert [(each.run_id, each.user_id, each.agent, each.status, each.attempt) for each in ended] == [
        (run_id, bench.user_id, "staged", "succeeded", 1)
    ]


@pytest.mark.spec("tracker.every-run", "death.signals")
async def test_what_the_tracker_condemns_the_engine_ends_and_waiting_for_a_person_is_no_stall(tmp_path: Path) -> None:
    stage = Stage()

    async def asking(ctx: RunContext) -> str:
        return (await ctx.ask_approval("Go on?", expires_in=4)).decision

    specs = [AgentSpec("staged", stage), AgentSpec("asking", asking)]
    configure_execution_tracker(limits=TrackerLimits(stalled_seconds=1.5))
    try:
        async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, specs) as bench:
            asked, waiting = await bench.send(agent="asking")
            stalled, _ = await bench.ask("staged")
            assert (stalled["status"], stalled["error"]["code"]) == ("stalled", "stalled")
            assert get_execution_tracker().get_execution(stalled["run_id"]).state is ExecutionState.DEAD  # type: ignore[union-attr]
            assert (await bench.ended(asked, waiting))["final_response"] == "denied"
    finally:
        configure_execution_tracker()


@pytest.mark.spec("death.other-process")
async def test_an_end_from_another_process_is_noticed_told_and_shown_to_readers(
    database_url: str, tmp_path: Path
) -> None:
    from netra.engine.runs import End, end
    from netra.events import AgentCompleted, Failure
    from netra.ids import new_id

    stage, ended = Stage(), list[EndedRun]()
    async with workbench(database_url, tmp_path, [AgentSpec("staged", stage)]) as bench:
        bench.engine.on_ended(ended.append)
        thread, run_id = await bench.send(agent="staged")
        await until_phase(run_id, Phase.TOOL)
        elsewhere = ThreadLog(bench.database, Bus(), SystemClock())

        def completed(row: object, milliseconds: int) -> AgentCompleted:
            return AgentCompleted(
                event_id=new_id("evt"),
                thread_id=thread,
                run_id=run_id,
                user_id=bench.user_id,
                agent_name="staged",
                timestamp="2026-01-01T00:00:00.000Z",
                status="died",
                final_response="",
                error=Failure(code="died", message="elsewhere"),
                duration_ms=milliseconds,
            )

        await elsewhere.transact(lambda tx: end(tx, End(run_id, "died", None, completed)))
        assert (await bench.ended(thread, run_id))["status"] == "died"
        await until(lambda: ended, "the end to be told")
        stage.go.set()
        assert [(each.run_id, each.status) for each in ended] == [(run_id, "died")]
        assert get_execution_tracker().get_execution(run_id).state is ExecutionState.DEAD  # type: ignore[union-attr]
        types = [event["type"] for event in await bench.events(thread)]
        assert types.count("agent_completed") == 1
        assert types[-1] == "agent_completed"


async def test_a_callback_that_fails_breaks_nothing(tmp_path: Path) -> None:
    async def quick(ctx: RunContext) -> str:
        return "done"

    def failing(_: EndedRun) -> None:
        raise RuntimeError("not my day")

    told: list[EndedRun] = []
    async with workbench(f"sqlite:///{tmp_path / 'n.db'}", tmp_path, [AgentSpec("quick", quick)]) as bench:
        bench.engine.on_ended(failing)
        bench.engine.on_ended(told.append)
        thread, queued = await bench.send(agent="quick", wake=False)
        await bench.log.transact(
            lambda tx: tx.connection.execute(update(runs).where(runs.c.id == queued).values(cancel_requested_at=tx.now))
        )
        await bench.engine.cancel(queued)
        assert (await bench.ended(thread, queued))["status"] == "cancelled"
        end, _ = await bench.ask("quick")
        assert end["status"] == "succeeded"
        await until(lambda: len(told) == 2, "both ends to be told")
    assert [(each.status, each.attempt) for each in told] == [("cancelled", 0), ("succeeded", 1)]


@pytest.mark.spec("breaker.states")
async def test_a_host_that_fails_rests_and_what_a_tool_says_of_its_input_does_not_count(tmp_path: Path) -> None:
    asked: list[str] = []

    @tool(host="api.example.com")
    async def ask(what: str) -> str:
        asked.append(what)
        if what == "down":
            raise httpx.ConnectError("no route")
        if what == "missing":
            response = httpx.Response(404, request=httpx.Request("GET", "https://api.example.com"))
            raise httpx.HTTPStatusError("404", request=response.request, response=response)
        raise AgentError("There is no such report.")

    async def trying(ctx: RunContext) -> str:
        seen: list[str] = []
        for what in ["missing", "input"] * 4 + ["down"] * 6:
            try:
                await ctx.tool(ask, what)
            except Exception as error:  # noqa: BLE001 - all are looked at
                seen.append(type(error).__name__)
        return " ".join(seen[-3:])

    async def careless(ctx: RunContext) -> None:
        await ctx.tool(ask, "down")

    breakers = Breakers(BreakerRules(failures=5, share=0.3))
    url, specs = f"sqlite:///{tmp_path / 'n.db'}", [AgentSpec("trying", trying), AgentSpec("careless", careless)]
    async with workbench(url, tmp_path, specs, breakers=breakers) as bench:
        end, _ = await bench.ask("trying")
        uncaught, events = await bench.ask("careless")
    assert asked.count("down") == 5, "the sixth was refused"
    assert end["final_response"] == "ConnectError ConnectError CircuitOpen"
    assert breakers.get("host", "api.example.com").state == "open"
    assert (uncaught["status"], uncaught["error"]["code"]) == ("failed", "circuit_open")
    assert "api.example.com" in uncaught["error"]["message"]
    assert [e["error"]["code"] for e in events if e["type"] == "tool_completed"] == ["circuit_open"]


@pytest.mark.spec("breaker.states", "breaker.visible")
async def test_messages_for_an_agent_that_fails_are_refused_at_once(start_server: object, tmp_path: Path) -> None:
    environment = {"NETRA_BREAKER_FAILURES": "2", "NETRA_BREAKER_OPEN_SECONDS": "4"}
    server: ServerProcess = start_server(  # type: ignore[operator]
        agents=["support.deaths:raises", "support.deaths:returns_early"], environment=environment
    )
    account = await asyncio.to_thread(register, server.base_url)
    async with account.async_client() as client:

        async def send(key: str, agent: str = "raises") -> httpx.Response:
            return await client.post("/api/messages", json={"id": key, "content": key, "agent": agent})

        async def ended(answer: httpx.Response) -> dict[str, object]:
            thread = answer.json()["thread_id"]

            async def end() -> dict[str, object] | None:
                events = (await client.get(f"/api/threads/{thread}/events")).json()["events"]
                return next((event for event in events if event["type"] == "agent_completed"), None)

            return await until(end, "the end of the run")

        async def answer_other_than(status: int, key: str) -> httpx.Response | None:
            answer = await send(key)
            return answer if answer.status_code != status else None

        for key in ("one", "two"):
            assert (await ended(await send(key)))["status"] == "failed"
        refused = await until(lambda: answer_other_than(202, "three"), "a refusal")
        assert refused.status_code == 503
        problem = refused.json()
        assert problem["code"] == "circuit_open"
        assert 0 < problem["retry_after_seconds"] <= 4
        assert int(refused.headers["Retry-After"]) >= 1
        assert "'raises'" in problem["detail"]
        async with open_socket(account) as socket:
            error = await socket.ask("user_message", id="four", content="four", agent="raises")
        assert (error["type"], error["code"], error["id"]) == ("error", "circuit_open", "four")
        assert 0 < error["retry_after_seconds"] <= 4
        assert "'raises'" in error["message"]
        assert "Try again in" in error["hint"]
        assert (await send("one")).status_code == 202, "what was accepted before is still answered the same"
        assert (await ended(await send("other", "returns_early")))["status"] == "succeeded"
        metrics = (await client.get("/metrics")).text
        assert 'netra_breaker_state{kind="agent",name="raises"} 2.0' in metrics
        trial = await until(lambda: answer_other_than(503, "five"), "a trial, which the half-open circuit lets through")
        assert (await ended(trial))["status"] == "failed"
