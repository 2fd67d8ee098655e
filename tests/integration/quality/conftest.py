"""A server on each database whose agents answer well and badly, its administrator, and people on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator

import httpx
import pytest

from support.accounts import Account, register, set_up_admin
from support.server import ServerProcess

AGENTS = ["support.agents:echo", "support.agents:endless", "support.answers:ledger", "support.answers:silent"]


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def judged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server."""
    environment = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_RUNS_RUNNING": "8"}
    url = request.getfixturevalue("postgres").create_database() if request.param == "postgresql" else None
    data_dir = tmp_path_factory.mktemp("quality")
    with ServerProcess(data_dir, agents=AGENTS, database_url=url, environment=environment) as process:
        yield process
        assert process.tracebacks == []


@pytest.fixture(scope="session")
def admin(judged: ServerProcess) -> Account:
    """The administrator of that server."""
    return set_up_admin(judged)


@pytest.fixture
def join(judged: ServerProcess, admin: Account) -> Callable[[], Account]:
    """A further user of that server."""
    assert admin.id
    return lambda: register(judged.base_url)


@pytest.fixture
def ann(join: Callable[[], Account]) -> Account:
    return join()


@pytest.fixture
def bob(join: Callable[[], Account]) -> Account:
    return join()


def run_to_end(client: httpx.Client, agent: str, content: str, thread_id: str | None = None) -> dict[str, str]:
    """Send a message and wait for its run's end. Returns what sending answered."""
    body = {"id": secrets.token_hex(8), "content": content, "agent": agent}
    path = f"/api/threads/{thread_id}/messages" if thread_id else "/api/messages"
    sent = client.post(path, json=body)
    assert sent.status_code == 202, sent.text
    answer: dict[str, str] = sent.json()
    accept = {"Accept": "text/event-stream"}
    with client.stream("GET", f"/api/threads/{answer['thread_id']}/events", headers=accept) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                event = json.loads(line[6:])
                if event["type"] == "agent_completed" and event["run_id"] == answer["run_id"]:
                    return answer
    raise AssertionError("the stream ended before the run")
