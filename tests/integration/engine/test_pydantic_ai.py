"""pydantic-ai agents as ours: streamed text, visible tools, recorded model requests, usage, history, approvals."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, DeferredToolRequests, ModelRetry
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import RunContext as ToolContext
from pydantic_ai.toolsets import FunctionToolset
from pydantic_ai.usage import RequestUsage

from netra.agents import RunContext, tool
from netra.agents.pydantic_ai import host_of
from netra.agents.spec import spec_of
from netra.executions import BreakerRules, Breakers
from support.clock import ManualClock
from support.engine import kinds, workbench
from support.openai_server import openai_server


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'netra.db'}"


async def test_pydantic_ais_own_test_model_runs_with_its_tools(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="tested")

    @agent.tool_plain
    def weather(city: str, api_token: str) -> dict[str, str]:
        """What the weather is like.

        At length.
        """
        return {"city": city, "sky": "grey"}

    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)]) as bench:
        end, events = await bench.ask("tested")
    assert end["status"] == "succeeded"
    assert "grey" in end["final_response"]
    assert kinds(events) == ["user_message", "agent_started", "tool_executing", "tool_completed", "agent_completed"]
    assert events[2]["tool_name"] == "weather"
    assert events[2]["tool_purpose"] == "What the weather is like."
    assert events[2]["parameters"] == {"city": "a", "api_token": "•••"}
    assert events[3]["results"] == {"city": "a", "sky": "grey"}
    assert end["usage"]["input_tokens"] > 0


async def test_an_openai_compatible_server_is_asked_with_history_and_its_tokens_are_priced(tmp_path: Path) -> None:
    async with openai_server([[("lookup", {"key": "x"})], "The value is 7.", "As I said: 7."]) as script:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=script.base_url, api_key="none"))
        agent = Agent(model, name="remote", deps_type=RunContext, system_prompt="Be brief.")

        @agent.tool
        async def lookup(ctx: ToolContext[RunContext], key: str) -> int:
            await ctx.deps.think(f"Looking for {key}.")
            return 7

        async with workbench(url(tmp_path), tmp_path, [spec_of(agent)]) as bench:
            thread = await bench.thread()
            end, events = await bench.ask("remote", "What is x?", thread=thread)
            assert end["final_response"] == "The value is 7."
            assert end["usage"]["input_tokens"] == 200
            assert end["usage"]["output_tokens"] == 40
            assert end["usage"]["cost_usd"] == pytest.approx(200 * 0.15e-6 + 40 * 0.6e-6)
            assert [e["reasoning"] for e in events if e["type"] == "agent_thinking"] == ["Looking for x."]
            end, _ = await bench.ask("remote", "Again?", thread=thread)
            assert end["final_response"] == "As I said: 7."
        await model.client.close()
    asked = [(each["role"], each.get("content")) for each in script.requests[2]["messages"]]
    assert asked == [
        ("system", "Be brief."),
        ("user", "What is x?"),
        ("assistant", "The value is 7."),
        ("user", "Again?"),
    ]


async def test_a_model_that_fails_ends_the_run_with_a_message_for_people(tmp_path: Path) -> None:
    async with openai_server([400]) as script:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=script.base_url, api_key="none"))
        async with workbench(url(tmp_path), tmp_path, [spec_of(Agent(model, name="failing"))]) as bench:
            end, _ = await bench.ask("failing")
        await model.client.close()
    assert end["status"] == "failed"
    assert end["error"]["code"] == "agent_error"
    assert "The model could not answer" in end["error"]["message"]


@pytest.mark.spec("breaker.states", "breaker.visible")
async def test_a_model_server_that_fails_rests_and_is_tried_again(tmp_path: Path) -> None:
    clock = ManualClock()
    breakers = Breakers(BreakerRules(failures=3, open_seconds=30), clock)
    async with openai_server([503, 503, 503, "Back again."]) as script:
        client = AsyncOpenAI(base_url=script.base_url, api_key="none", max_retries=0)
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(openai_client=client))
        agents = [spec_of(Agent(model, name="remote"))]
        async with workbench(url(tmp_path), tmp_path, agents, breakers=breakers) as bench:
            for _ in range(3):
                assert (await bench.ask("remote"))[0]["error"]["code"] == "agent_error"
            refused, _ = await bench.ask("remote")
            assert (refused["status"], refused["error"]["code"]) == ("failed", "circuit_open")
            host = urlsplit(script.base_url).netloc
            assert f"The server '{host}' has failed repeatedly" in refused["error"]["message"]
            assert "Try again in 30 seconds." in refused["error"]["message"]
            assert len(script.requests) == 3, "a server that rests is not asked"
            assert breakers.get("agent", "remote").state == "closed", "the agent is not to blame"
            clock.advance(30)
            assert (await bench.ask("remote"))[0]["final_response"] == "Back again."
        await client.close()
    assert breakers.get("host", host).state == "half_open"


async def test_two_model_servers_on_one_host_rest_apart(tmp_path: Path) -> None:
    breakers = Breakers(BreakerRules(failures=2, open_seconds=30), ManualClock())
    async with openai_server([503, 503]) as failing, openai_server(["Still here."]) as working:
        clients = [AsyncOpenAI(base_url=each.base_url, api_key="none", max_retries=0) for each in (failing, working)]
        agents = [
            spec_of(Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client)), name=name))
            for name, client in zip(("failing", "working"), clients, strict=True)
        ]
        async with workbench(url(tmp_path), tmp_path, agents, breakers=breakers) as bench:
            for _ in range(2):
                await bench.ask("failing")
            assert (await bench.ask("failing"))[0]["error"]["code"] == "circuit_open"
            assert (await bench.ask("working"))[0]["final_response"] == "Still here."
        for client in clients:
            await client.close()


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://api.openai.com/v1/", "api.openai.com"),
        ("https://user:secret@API.openai.com:443/v1/", "api.openai.com"),
        ("http://127.0.0.1:8001/v1", "127.0.0.1:8001"),
        ("http://[::1]:8001/v1", "[::1]:8001"),
        ("http://[::1]/v1", "[::1]"),
        ("http://a:notaport/", None),
        ("", None),
    ],
)
def test_a_model_server_is_told_by_host_and_port(base_url: str, host: str | None) -> None:
    assert host_of(base_url) == host


@tool(process=True, host="archive.example", timeout=20)
def apart(offset: int, /, *, factor: int = 1) -> list[int]:
    """Runs in a process of its own."""
    return [offset * factor, os.getpid()]


async def test_marks_of_tools_count_for_the_tools_of_a_pydantic_ai_agent(tmp_path: Path) -> None:
    breakers = Breakers(BreakerRules(failures=1, open_seconds=30), ManualClock())

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            name = str(messages[0].parts[-1].content)  # type: ignore[union-attr]
            (wanted,) = [each for each in info.function_tools if each.name.endswith(name)]
            arguments = {"offset": 2, "factor": 3} if name == "apart" else {}
            return ModelResponse(parts=[ToolCallPart(wanted.name, arguments)])
        return ModelResponse(parts=[TextPart(str(messages[-1].parts[-1].content))])  # type: ignore[union-attr]

    agent = Agent(FunctionModel(model), name="marked", toolsets=[FunctionToolset([apart]).prefixed("far")])

    @agent.tool_plain
    @tool(timeout=0.05, host="slow.example")
    async def slow() -> None:
        """Takes for ever."""
        await asyncio.Event().wait()

    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)], breakers=breakers) as bench:
        _, events = await bench.ask("marked", "apart")
        (done,) = [each for each in events if each["type"] == "tool_completed"]
        assert done["tool_name"] == "far_apart"
        assert done["results"][0] == 6
        assert done["results"][1] != os.getpid(), "it ran in a process of its own"
        end, _ = await bench.ask("marked", "slow")
        assert end["error"]["code"] == "tool_timed_out"
    assert breakers.get("host", "slow.example").state == "open"
    assert breakers.get("host", "archive.example").status().calls == 1


@tool(process=True)
def needs_context(ctx: ToolContext[None]) -> None:
    """Cannot run elsewhere."""


async def test_a_tool_that_wants_its_context_cannot_run_in_a_process_of_its_own(tmp_path: Path) -> None:
    agent = Agent(TestModel(), name="torn", tools=[needs_context])
    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)]) as bench:
        end, _ = await bench.ask("torn")
    assert end["status"] == "failed"
    assert "cannot run in a process of its own" in end["error"]["message"]


async def test_after_a_restart_no_model_request_is_made_twice(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()
    requests: list[int] = []
    retries: list[str] = []

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        requests.append(len(messages))
        if len(messages) == 1:
            yield "First I "
            yield "look."
            yield {1: DeltaToolCall(name="careful", json_args='{"n": 1}', tool_call_id="one")}
        elif len(messages) == 3:
            yield {0: DeltaToolCall(name="careful", json_args='{"n": 2}', tool_call_id="two")}
        else:
            yield "Then I answer."

    agent = Agent(FunctionModel(stream_function=stream), name="replayed")

    @agent.tool_plain(retries=3)
    async def careful(n: int) -> int:
        if n == 1:
            retries.append("asked")
            raise ModelRetry("try a larger number")
        arrived.set()
        await release.wait()
        return n

    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)]) as bench:
        thread, run_id = await bench.send(agent="replayed")
        await arrived.wait()
        await bench.engine.stop()
        release.set()
        await bench.engine.start()
        end = await bench.ended(thread, run_id)
        events = await bench.events(thread)
    assert end["status"] == "succeeded", end["error"]
    assert end["final_response"] == "First I look.\n\nThen I answer."
    assert requests == [1, 3, 5]
    assert retries == ["asked"]
    completed = [(e["success"], e["results"]) for e in events if e["type"] == "tool_completed"]
    assert completed == [(False, None), (True, 2)]


async def test_a_tool_that_needs_approval_asks_in_the_conversation(tmp_path: Path) -> None:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("wipe", {"disk": "sda"}, tool_call_id="call_wipe")])
        return ModelResponse(parts=[TextPart(str(messages[-1].parts[0].content))])

    agent = Agent(FunctionModel(respond), name="asking", output_type=[str, DeferredToolRequests])

    @agent.tool_plain(requires_approval=True)
    def wipe(disk: str) -> str:
        return f"{disk} is gone"

    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)]) as bench:
        for decision, answer in (("approved", "sda is gone"), ("denied", "The user said: denied.")):
            thread, run_id = await bench.send(agent="asking")
            events = await bench.until(thread, lambda event: event["type"] == "approval_requested")
            assert events[-1]["prompt"] == "May I run wipe(disk='sda')?"
            await bench.decide(events[-1]["approval_id"], decision)
            assert (await bench.ended(thread, run_id))["final_response"] == answer


async def test_odd_figures_of_a_provider_do_not_fail_the_run(tmp_path: Path) -> None:
    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart("fine")], usage=RequestUsage(input_tokens=-5, output_tokens=3))

    async with workbench(url(tmp_path), tmp_path, [spec_of(Agent(FunctionModel(respond), name="odd"))]) as bench:
        end, _ = await bench.ask("odd")
    assert (end["status"], end["final_response"]) == ("succeeded", "fine")
    assert end["usage"]["input_tokens"] == 0


async def test_synchronous_tools_run_in_the_tool_threads_and_are_given_up_on_cancel(tmp_path: Path) -> None:
    begun, release = threading.Event(), threading.Event()
    names: list[str] = []

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("block", {}, tool_call_id="one")])
        return ModelResponse(parts=[TextPart("done")])

    agent = Agent(FunctionModel(respond), name="blocking")

    @agent.tool_plain
    def block() -> str:
        names.append(threading.current_thread().name)
        begun.set()
        release.wait(20)
        return "late"

    async with workbench(url(tmp_path), tmp_path, [spec_of(agent)], tool_workers=1) as bench:
        try:
            thread, run_id = await bench.send(agent="blocking")
            assert await asyncio.to_thread(begun.wait, 10)
            await bench.engine.cancel(run_id)
            assert (await bench.ended(thread, run_id))["status"] == "cancelled"
            begun.clear()
            second = await bench.send(agent="blocking")
            assert await asyncio.to_thread(begun.wait, 10), "the only tool thread was replaced"
            release.set()
            assert (await bench.ended(*second))["status"] == "succeeded"
        finally:
            release.set()
    assert names == ["netra-tool"] * 2
