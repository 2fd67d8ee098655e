"""Every way a run can die, on real server processes: each ends in exactly one terminal event within its bound."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.accounts import Account, register
from support.history import Log, Sent, check
from support.server import ServerProcess

AGENTS = [
    f"support.deaths:{name}"
    for name in ("raises", "returns_early", "waits_for_ever", "busy", "blocks", "blocks_in_a_task", "steps", "quiet")
]
QUICK = {
    "NETRA_LOOP_STALL_SECONDS": "1",
    "NETRA_RUN_STALLED_SECONDS": "2",
    "NETRA_RUN_ORPHAN_SECONDS": "3",
    "NETRA_DRAIN_SECONDS": "0",
    "NETRA_RUNS_RUNNING": "8",
}


class Scene:
    """One user of one server, what was sent, and what the log says in the end."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.account: Account = register(server.base_url)
        self.sent: list[Sent] = []

    def send(self, agent: str, content: str = "hello") -> str:
        """A message in a thread of its own; returns the thread."""
        key = f"key-{len(self.sent)}"
        content = f"{content} #{len(self.sent)}"  # the judge knows messages by what they say
        with self.account.client(timeout=30) as client:
            answer = client.post("/api/messages", json={"id": key, "content": content, "agent": agent})
        assert answer.status_code == 202, answer.text
        body = answer.json()
        self.sent.append(Sent(self.account.id, key, content, body["thread_id"], body["seq"], body["run_id"]))
        return str(body["thread_id"])

    def events(self, thread: str) -> list[dict[str, Any]]:
        with self.account.client(timeout=30) as client:
            return list(client.get(f"/api/threads/{thread}/events", params={"limit": 1000}).json()["events"])

    def until(self, thread: str, kind: str, within: float = 30) -> dict[str, Any]:
        """The first event of a kind, once it is there."""
        deadline = time.monotonic() + within
        while True:
            try:
                for event in self.events(thread):
                    if event["type"] == kind:
                        return event
            except (httpx.TransportError, KeyError):
                pass  # the server is away for a moment
            assert time.monotonic() < deadline, f"no {kind} within {within} s\n{self.server.output[-4000:]}"
            time.sleep(0.05)

    def end(self, thread: str, within: float) -> dict[str, Any]:
        return self.until(thread, "agent_completed", within)

    def judge(self) -> None:
        """The histories keep every promise; among them: exactly one end for each run."""
        threads = dict.fromkeys(sent.thread for sent in self.sent if sent.thread)
        history = [*self.sent, *(Log(self.account.id, thread, tuple(self.events(thread))) for thread in threads)]
        assert check(history) == []


Start = Callable[..., ServerProcess]


@pytest.fixture
def scene(start_server: Start) -> Scene:
    return Scene(start_server(agents=AGENTS, environment=QUICK))


@pytest.mark.spec("death.one-terminal-state", "death.signals")
def test_errors_returns_hangs_and_held_loops_end_within_their_bounds(scene: Scene) -> None:
    """One server for all of them: each is ended while the others' readers go on."""
    expected = {
        "raises": ("failed", "internal"),
        "returns_early": ("succeeded", None),
        "waits_for_ever": ("stalled", "stalled"),
    }
    threads = {agent: scene.send(agent) for agent in expected}
    for agent, thread in threads.items():
        end = scene.end(thread, 8)
        assert (end["status"], (end["error"] or {}).get("code")) == expected[agent]
    quiet = scene.end(scene.send("quiet", "4"), 10)
    assert quiet["status"] == "succeeded", "work that says it gets on is not stalled"
    scene.judge()


@pytest.mark.spec("death.one-terminal-state", "death.signals")
@pytest.mark.parametrize(
    ("agent", "content", "line"),
    [
        ("busy", "hello", "number += 1"),
        ("busy", "stubborn", "number += 1"),
        ("blocks", "sleep", "time.sleep"),
        ("blocks", "socket", "near.recv"),
        ("blocks_in_a_task", "sleep", "time.sleep"),
    ],
)
def test_a_run_that_holds_the_loop_is_interrupted_and_says_where(
    scene: Scene, agent: str, content: str, line: str
) -> None:
    began = time.monotonic()
    end = scene.end(scene.send(agent, content), 12)
    assert (end["status"], end["error"]["code"]) == ("stalled", "loop_held")
    assert "deaths.py:" in end["error"]["message"]
    assert "ctx.tool" in end["error"]["message"]
    assert time.monotonic() - began < 8
    assert scene.end(scene.send("returns_early"), 5)["status"] == "succeeded", "the loop is everybody's again"
    scene.judge()
