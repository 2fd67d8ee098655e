"""Traces of runs as a real collector receives them: whole, whatever becomes of sockets and processes, and discreet."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from support.accounts import Account, set_up_admin
from support.collector import Collector, Received, unbroken
from support.server import ServerProcess
from support.sockets import open_socket

DISCONNECTS = 200
SERVER, CLIENT, PRODUCER = 2, 3, 4


def ask(account: Account, agent: str, content: str, **members: Any) -> dict[str, Any]:
    with account.client() as client:
        answer = client.post(
            "/api/messages", json={"id": f"m{random.random()}", "content": content, "agent": agent, **members}
        )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def has_ended(run_id: str, spans: list[Received]) -> bool:
    return any(span.name == "message" and span.about["netra.run.id"] == run_id for span in spans)


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
            sent = ask(set_up_admin(server), "tools", "word-of-the-user")
            spans = collector.wait(lambda spans: has_ended(sent["run_id"], spans))
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
        with ServerProcess(tmp_path, agents=["support.agents:tools"], environment=environment) as server:
            sent = ask(set_up_admin(server), "tools", "word-of-the-user")
            spans = collector.wait(lambda spans: has_ended(sent["run_id"], spans))
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


@pytest.mark.stress
async def test_readers_that_come_and_go_do_not_break_the_trace(tmp_path: Path) -> None:
    await disconnected(tmp_path, DISCONNECTS)


async def disconnected(tmp_path: Path, many: int) -> list[Received]:
    """One run that goes on while `many` readers follow it for a moment and go without a word."""
    gates = tmp_path / "gates"
    gates.mkdir()
    with Collector() as collector:
        environment = collector.environment | {"NETRA_SOCKETS_PER_USER": "1000"}
        server = ServerProcess(tmp_path / "data", agents=["support.agents:steps"], environment=environment)
        with server:
            account = await asyncio.to_thread(set_up_admin, server)
            sent = await asyncio.to_thread(ask, account, "steps", f"4 {gates}")
            chance = random.Random(5)
            left = iter(range(many))

            async def reader() -> None:
                for number in left:
                    async with open_socket(account) as socket:
                        await socket.send("subscribe", thread_id=sent["thread_id"], after=0)
                        if chance.random() < 0.5:
                            await socket.of_type("agent_started")
                        socket.connection.transport.abort()
                    if number % (many // 4) == 0:
                        (gates / str(2 + number // (many // 4))).touch()

            await asyncio.gather(*(reader() for _ in range(8)))
            for number in (2, 3, 4):
                (gates / str(number)).touch()
            await asyncio.to_thread(collector.wait, lambda spans: has_ended(sent["run_id"], spans))
            await asyncio.to_thread(server.stop)
        spans = list(collector.spans)
    unbroken(spans)
    assert [span.name for span in spans if span.name.startswith("execute_tool")] == ["execute_tool step"] * 4
    return spans
