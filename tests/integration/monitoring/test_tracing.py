"""Traces of runs as a real collector receives them: whole, whatever becomes of sockets and processes, and discreet."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from sqlalchemy import delete

from netra.agents import RunContext
from netra.agents.spec import AgentSpec, spec_of
from netra.ids import new_id
from netra.monitoring import tracing
from netra.storage.tables import threads
from support.accounts import set_up_admin
from support.collector import Collector, Received, unbroken
from support.engine import workbench
from support.leaving import ask, has_ended, read_and_left
from support.openai_server import openai_server
from support.server import ServerProcess

DISCONNECTS = 200
SERVER, CLIENT, PRODUCER = 2, 3, 4


def below(spans: list[Received], parent: Received, name: str) -> Received:
    (found,) = [span for span in spans if span.parent == parent.id and span.name == name]
    return found


def one(spans: list[Received], name: str) -> Received:
    (found,) = [span for span in spans if span.name == name]
    return found


def test_a_run_is_one_trace_from_its_message_to_the_database_and_shows_no_content(tmp_path: Path) -> None:
    with Collector() as collector:
        server = ServerProcess(tmp_path, agents=["support.agents:tools"], environment=collector.environment)
        with server:
            account, key = set_up_admin(server), new_id("m")
            sent = ask(account, "tools", "word-of-the-user", id=key)
            assert ask(account, "tools", "word-of-the-user", id=key) == sent, "the same message again"
            collector.wait(lambda spans: has_ended(sent["run_id"], spans))
            server.stop()
            spans = list(collector.spans)
            log = server.output
        wire = collector.wire
    unbroken(spans)
    message = one(spans, "message")
    assert (message.kind, message.service, message.failed) == (SERVER, "netra", False)
    assert message.about["gen_ai.conversation.id"] == sent["thread_id"]
    assert message.about["netra.run.status"] == "succeeded"
    stored = below(spans, message, "send message")
    assert stored.kind == PRODUCER
    assert below(spans, stored, "database write").about["db.system.name"] == "sqlite"
    attempt = below(spans, message, "invoke_agent tools")
    assert attempt.about["gen_ai.operation.name"] == "invoke_agent"
    assert attempt.about["gen_ai.agent.name"] == "tools"
    assert attempt.about["gen_ai.usage.input_tokens"] == 0
    tools = {span.name: span for span in spans if span.about.get("gen_ai.operation.name") == "execute_tool"}
    assert sorted(tools) == ["execute_tool fetch", "execute_tool lookup", "execute_tool search"]
    assert all(span.parent == attempt.id for span in tools.values())
    assert all(span.began >= attempt.began and span.ended <= attempt.ended for span in tools.values())
    fetch = tools["execute_tool fetch"]
    assert (fetch.failed, fetch.words, fetch.about["error.type"]) == (True, "", "agent_error")
    assert fetch.about["gen_ai.agent.name"] == "research"
    assert str(fetch.about["gen_ai.tool.call.id"]).startswith("call_")
    for secret in (b"word-of-the-user", b"Two sources", b"sk-secret", b"spend", b"did not answer"):
        assert secret not in wire
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (ended,) = [line for line in lines if line["event"] == "run_ended"]
    assert ended["trace_id"] == message.trace
    assert any(line.get("span_id") == attempt.id for line in lines)
    assert all("trace_id" not in line for line in lines if line["event"] == "started")


def test_content_is_sent_when_that_is_wanted_and_arguments_stay_masked(tmp_path: Path) -> None:
    with Collector() as collector:
        environment = collector.environment | {"NETRA_TRACING_CONTENT": "true"}
        agents = ["support.agents:tools", "support.traced:library"]
        with ServerProcess(tmp_path, agents=agents, environment=environment) as server:
            account = set_up_admin(server)
            sent, other = ask(account, "tools", "word-of-the-user"), ask(account, "library", "look it up")
            collector.wait(lambda spans: has_ended(sent["run_id"], spans) and has_ended(other["run_id"], spans))
            server.stop()
            spans = list(collector.spans)
        assert b"sk-secret" not in collector.wire
    attempt = one(spans, "invoke_agent tools")
    assert json.loads(str(attempt.about["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "word-of-the-user"}]}
    ]
    assert "Two sources" in str(attempt.about["gen_ai.output.messages"])
    lookup = one(spans, "execute_tool lookup")
    assert json.loads(str(lookup.about["gen_ai.tool.call.arguments"])) == {"query": "prices", "api_key": "•••"}
    assert json.loads(str(lookup.about["gen_ai.tool.call.result"])) == {"query": "prices", "hits": 3}
    assert "did not answer" in one(spans, "execute_tool fetch").words
    assert one(spans, "GET library").parent == one(spans, "execute_tool look_up").id, "an agent's libraries trace too"
    assert not [span for span in spans if span.name == "of nobody"]
    unbroken([span for span in spans if span.trace == attempt.trace])
    unbroken([span for span in spans if span.trace != attempt.trace])


def test_a_run_that_goes_on_after_kill_9_is_one_trace_with_a_second_attempt(tmp_path: Path) -> None:
    gates = tmp_path / "gates"
    gates.mkdir()
    with Collector() as collector:
        server = ServerProcess(tmp_path / "data", agents=["support.agents:steps"], environment=collector.environment)
        with server:
            account = set_up_admin(server)
            sent = ask(account, "steps", f"3 {gates}")
            collector.wait(lambda spans: any(span.name == "execute_tool step" for span in spans))
            server.kill9()
            for number in (2, 3):
                (gates / str(number)).touch()
            server.start()
            collector.wait(lambda spans: has_ended(sent["run_id"], spans))
            server.stop()
            spans = list(collector.spans)
    unbroken(spans)
    assert one(spans, "message").about["netra.run.attempts"] == 2
    first, second = sorted(
        (span for span in spans if span.name == "invoke_agent steps"), key=lambda span: str(span.about["netra.attempt"])
    )
    assert first.about["netra.attempt.interrupted"] is True
    assert second.links == (first.id,)
    assert first.ended <= second.began
    steps = [span for span in spans if span.name == "execute_tool step"]
    assert [span.parent for span in steps] == [first.id, second.id, second.id], "what was finished is not done again"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """What this very process traces to, once it does."""
    with Collector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        yield collector


def end(run_id: str, *, attempts: int = 1, status: str = "succeeded") -> tracing.TracedEnd:
    return tracing.TracedEnd(run_id, "thr_1", "usr_1", "agent", status, attempts, 0.0)


async def test_a_model_request_is_named_after_its_model_and_says_what_it_took(
    collector: Collector, tmp_path: Path
) -> None:
    stop = tracing.start("auto")
    async with openai_server(["The value is 7."]) as script:
        model = OpenAIChatModel("gpt-4o-mini", provider=OpenAIProvider(base_url=script.base_url, api_key="none"))
        url = f"sqlite:///{tmp_path / 'netra.db'}"
        async with workbench(url, tmp_path, [spec_of(Agent(model, name="remote"))]) as bench:
            assert (await bench.ask("remote", "What is x?"))[0]["status"] == "succeeded"
        await model.client.close()
    await asyncio.to_thread(stop)
    assert b"What is x?" not in collector.wire and b"The value" not in collector.wire
    spans = collector.spans
    unbroken(spans)
    request = one(spans, "chat gpt-4o-mini")
    assert request.kind == CLIENT
    assert one(spans, "step model request").id == request.parent
    assert request.about["gen_ai.operation.name"] == "chat"
    assert request.about["gen_ai.provider.name"] == "openai"
    server = f"{request.about['server.address']}:{request.about['server.port']}"
    assert server == urlsplit(script.base_url).netloc
    tokens = (request.about["gen_ai.usage.input_tokens"], request.about["gen_ai.usage.output_tokens"])
    assert tokens == (100, 20)
    total = one(spans, "invoke_agent remote").about
    assert (total["gen_ai.usage.input_tokens"], total["gen_ai.usage.output_tokens"]) == tokens


async def test_a_run_that_is_cancelled_before_it_begins_is_a_trace_of_its_message(
    collector: Collector, tmp_path: Path
) -> None:
    stop = tracing.start("auto")
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [], start=False) as bench:
        _, run_id = await bench.send(agent="nobody", wake=False)
        await bench.engine.cancel(run_id)
    await asyncio.to_thread(stop)
    (message,) = collector.spans
    assert (message.name, message.failed, message.about["error.type"]) == ("message", True, "cancelled")
    assert message.about["netra.run.attempts"] == 0


async def test_a_run_whose_thread_is_deleted_ends_its_trace(collector: Collector, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def waiting(ctx: RunContext) -> None:
        begun.set()
        await asyncio.Event().wait()

    stop = tracing.start("auto")
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("waiting", waiting)]) as bench:
        thread, _ = await bench.send(agent="waiting")
        await begun.wait()
        await bench.log.transact(
            lambda tx: tx.connection.execute(delete(threads).where(threads.c.id == thread)) and None
        )
        spans = await asyncio.to_thread(
            collector.wait, lambda spans: {"message", "invoke_agent waiting"} <= {span.name for span in spans}
        )
    await asyncio.to_thread(stop)
    unbroken(spans)
    assert one(spans, "message").about["netra.run.status"] == "deleted"


def test_what_is_below_an_open_step_is_not_sent_before_it(collector: Collector) -> None:
    killed, whole = new_id("run"), new_id("run")
    stop = tracing.start("auto")
    with tracing.attempt(killed, 1):
        tracing.tool("agent", "outer", "call_1", {}).__enter__()  # and the process ends here
        with tracing.tool("agent", "inner", "call_2", {}), tracing.database("read", "sqlite"):
            pass
    with tracing.attempt(whole, 1), tracing.tool("agent", "outer", "call_3", {}):
        with tracing.tool("agent", "inner", "call_4", {}), tracing.database("read", "sqlite"):
            pass
        with pytest.raises(ZeroDivisionError), tracing.step("agent", "divide"):
            raise ZeroDivisionError("private")
    tracing.ended(end(whole))
    tracing.ended(end(killed, attempts=2))
    stop()
    names = [span.name for span in collector.spans]
    assert names.count("execute_tool inner") == names.count("database read") == 1
    assert names.index("execute_tool outer") < names.index("execute_tool inner") < names.index("database read")
    assert one(collector.spans, "step divide").about["error.type"] == "ZeroDivisionError"
    assert b"private" not in collector.wire
    for run in {span.trace for span in collector.spans}:
        unbroken([span for span in collector.spans if span.trace == run])


def test_a_run_is_sampled_as_a_whole_by_every_process_alike(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    ids = [new_id("run") for _ in range(60)]
    logged = set()
    for first in (True, False):  # the second as another process would
        stop = tracing.start("auto")
        for run_id in ids:
            with tracing.attempt(run_id, 1 if first else 2), tracing.step("agent", "count"):
                if (found := tracing.ids()) is not None:
                    logged.add(found["trace_id"])
            if not first:
                tracing.ended(end(run_id, attempts=2))
        stop()
    traces = {span.trace for span in collector.spans}
    assert 10 < len(traces) < 50
    assert logged == traces, "what is not sent is not named in the log"
    for run in traces:
        spans = [span for span in collector.spans if span.trace == run]
        unbroken(spans)
        assert len(spans) == 5


def test_a_run_that_asks_the_database_again_and_again_leaves_a_bounded_trace(collector: Collector) -> None:
    run_id = new_id("run")
    stop = tracing.start("auto")
    with tracing.database("read", "sqlite"):
        pass
    with tracing.attempt(run_id, 1):
        for _ in range(1_100):
            with tracing.database("write", "sqlite"):
                pass
    tracing.ended(end(run_id))
    stop()
    unbroken(collector.spans)
    assert len(collector.spans) == 1_002


def test_a_collector_that_does_not_answer_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        stop = tracing.start("auto")
        began = time.monotonic()
        for _ in range(3_000):  # more than its queue takes
            tracing.ended(end(new_id("run")))
        stop()
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("mode", "environment"),
    [
        ("off", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}),
        ("auto", {}),
        ("auto", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}),
        ("on", {"OTEL_SDK_DISABLED": "true"}),
    ],
)
def test_without_tracing_nothing_of_it_is_imported(mode: str, environment: dict[str, str]) -> None:
    said = in_python(
        f"import sys, netra.monitoring.logs; from netra.monitoring import tracing; tracing.start({mode!r})\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'netra.monitoring.spans'))])\n"
        "print(tracing.ids(), tracing.step('a', 'b') is tracing.sending('run_1'))",
        environment,
    )
    assert said.stdout.splitlines() == ["[]", "None True"], said.stderr


def test_without_the_extra_a_collector_is_warned_about_and_tracing_on_is_refused() -> None:
    said = in_python(
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from netra.errors import ConfigurationError; from netra.monitoring import logs, tracing\n"
        "logs.configure(format='json')\n"
        "tracing.start('auto')()\n"
        "try: tracing.start('on')\n"
        "except ConfigurationError as error: print(error.hint)",
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert said.stdout.strip() == "Install it: pip install 'netra[otel]'.", said.stderr
    assert json.loads(said.stderr)["event"] == "tracing_not_installed"


def in_python(code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.stress
async def test_readers_that_come_and_go_do_not_break_the_trace(tmp_path: Path) -> None:
    spans = await read_and_left(tmp_path, DISCONNECTS)
    unbroken(spans)
    assert [span.name for span in spans if span.name.startswith("execute_tool")] == ["execute_tool step"] * 4
