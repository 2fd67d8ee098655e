"""Nobody reaches what is somebody else's: every route and every socket command, tried with another user's ids.

Routes come from the OpenAPI document and commands from `netra.events`, so a new one is tried as soon as it exists. The
answer must be, byte for byte, that for an id which does not exist. Words that only Ann wrote are searched for in
everything Bob was given and in the server's log.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import typing
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from netra.events import Command
from netra.ids import new_id
from support.accounts import Account, register
from support.server import ServerProcess
from support.sockets import open_socket, read_stream

PREFIXES = {
    "thread_id": "thr",
    "run_id": "run",
    "approval_id": "apr",
    "file_id": "fil",
    "blob_id": "blob",
    "token_id": "pat",
    "user_id": "usr",
    "login_id": "ses",
    "incident_id": "alr",
    "silence_id": "sil",
    "session_id": "dbs",
}
PUBLIC = {"name"}  # of an agent
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /api/threads/{thread_id}": {"title": "Taken over"},
    "POST /api/threads/{thread_id}/messages": {"id": "k", "content": "hello"},
    "POST /api/approvals/{approval_id}": {"decision": "approved"},
    "PUT /api/runs/{run_id}/feedback": {"rating": 1},
    "PATCH /api/admin/users/{user_id}": {"disabled": True},
    "POST /api/admin/alerts/{incident_id}/acknowledge": {"note": "seen"},
}


@dataclass(frozen=True)
class Possessions:
    """What belongs to Ann: ids by the name of the parameter that takes them, and the word only she has written."""

    ids: dict[str, str]
    canary: str
    waiting_run: str


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    agents = [f"support.chatty:{name}" for name in ("talk", "big", "ask", "hang")]
    environment = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_RUNS_RUNNING": "8"}
    url = request.getfixturevalue("postgres").create_database() if request.param == "postgresql" else None
    data_dir = tmp_path_factory.mktemp("isolation")
    with ServerProcess(data_dir, agents=agents, database_url=url, environment=environment) as process:
        yield process


@pytest.fixture(scope="module")
def ann(server: ServerProcess) -> Account:
    return register(server.base_url)


@pytest.fixture(scope="module")
def bob(server: ServerProcess) -> Account:
    return register(server.base_url)


@pytest.fixture(scope="module")
def hers(server: ServerProcess, ann: Account) -> Possessions:
    """Ann's thread with a message, a file, a blob, an open approval and a running run; and one of her tokens."""
    canary = "canary" + secrets.token_hex(8)
    with ann.client() as client:
        token = client.post("/api/tokens", json={"name": canary}).json()["id"]
        upload = client.post("/api/files", files={"file": (f"{canary}.csv", canary.encode())})
        file_id = upload.json()["id"]
        body = {"id": canary, "content": canary, "agent": "big", "attachments": [file_id]}
        sent = client.post("/api/messages", json=body).json()
        thread = sent["thread_id"]
        client.patch(f"/api/threads/{thread}", json={"title": canary})
        big = until(client, thread, "agent_completed")
        blob = next(e["results"]["$blob"] for e in big if e["type"] == "tool_completed")
        asked = client.post("/api/messages", json={"id": "ask", "content": canary, "agent": "ask"}).json()
        questions = until(client, asked["thread_id"], "approval_requested")
        approval = next(e["approval_id"] for e in questions if e["type"] == "approval_requested")
        running = client.post("/api/messages", json={"id": "hang", "content": canary, "agent": "hang"}).json()
        until(client, running["thread_id"], "agent_thinking")
    ids = {
        "thread_id": thread,
        "run_id": running["run_id"],
        "approval_id": approval,
        "file_id": file_id,
        "blob_id": blob,
        "token_id": token,
        "user_id": ann.id,
    }
    return Possessions(ids, canary, running["run_id"])


def until(client: httpx.Client, thread_id: str, type: str) -> list[dict[str, Any]]:
    """The events of a thread, once there is one of this type."""
    events: list[dict[str, Any]] = []
    with client.stream("GET", f"/api/threads/{thread_id}/events", headers={"Accept": "text/event-stream"}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if events[-1]["type"] == type:
                    return events
    raise AssertionError(events)


def operations(server: ServerProcess) -> list[tuple[str, str, list[str], bool]]:
    """Every operation: method, path, the names of its path parameters, and whether it takes a body."""
    document = httpx.get(f"{server.base_url}/api/openapi.json", trust_env=False).json()
    return [
        (method.upper(), path, re.findall(r"{(\w+)}", path), "requestBody" in operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def answer_of(response: httpx.Response, used: dict[str, str]) -> tuple[int, list[tuple[str, str]], str]:
    """An answer without what differs between any two requests: its id, its date, and the ids that were sent."""
    varying = {"date", "x-request-id"}
    headers = sorted((name, value) for name, value in response.headers.items() if name not in varying)
    text = re.sub(r'"request_id":"[^"]*"', "", response.text)
    for name, value in used.items():
        text = text.replace(value, f"<{name}>")
    return response.status_code, headers, text


def missing() -> dict[str, str]:
    return {name: new_id(prefix) for name, prefix in PREFIXES.items()}


def test_every_route_answers_for_anothers_id_as_for_one_that_does_not_exist(
    server: ServerProcess, ann: Account, bob: Account, hers: Possessions
) -> None:
    tried = []
    with bob.client() as client:
        for method, path, names, takes_body in operations(server):
            private = [name for name in names if name not in PUBLIC]
            if not private:
                continue
            assert set(private) <= PREFIXES.keys(), f"{path} takes an id this test knows nothing of"
            body = BODIES[f"{method} {path}"] if takes_body else None
            accepts = ["*/*", "text/event-stream"] if path.endswith("/events") else ["*/*"]
            for accept in accepts:
                answers = []
                for ids in (hers.ids, missing()):
                    used = {name: ids.get(name) or new_id(PREFIXES[name]) for name in private}
                    response = client.request(method, path.format(**used), json=body, headers={"Accept": accept})
                    answers.append(answer_of(response, used))
                    assert hers.canary not in response.text
                assert answers[0] == answers[1], f"{method} {path}"
                assert answers[0][0] == 404, f"{method} {path}"
                tried.append(f"{method} {path}")
    assert len(tried) >= 12, tried


def test_ids_within_bodies_and_queries_reach_nothing_either(
    server: ServerProcess, ann: Account, bob: Account, hers: Possessions
) -> None:
    with bob.client() as client, ann.client() as owner:
        answers = []
        for file_id in (hers.ids["file_id"], new_id("fil")):
            body = {"id": secrets.token_hex(4), "content": "x", "agent": "talk", "attachments": [file_id]}
            answers.append(answer_of(client.post("/api/messages", json=body), {"file": file_id}))
        assert answers[0] == answers[1]
        assert answers[0][0] == 422
        her_own = owner.get("/api/threads", params={"q": hers.canary}).json()["items"]
        assert {thread["id"] for thread in her_own} >= {hers.ids["thread_id"]}
        assert client.get("/api/threads", params={"q": hers.canary}).json() == {"items": [], "next_cursor": None}
        cursor = owner.get("/api/threads", params={"limit": 1}).json()["next_cursor"]
        assert hers.canary not in client.get("/api/threads", params={"cursor": cursor}).text
        # Her key is hers: the same one from him is another message.
        sent = client.post("/api/messages", json={"id": hers.canary, "content": "1 1", "agent": "talk"})
        assert sent.status_code == 202
        assert sent.json()["thread_id"] != hers.ids["thread_id"]


async def test_every_socket_command_answers_for_anothers_id_as_for_one_that_does_not_exist(
    bob: Account, hers: Possessions
) -> None:
    kinds = {kind.__struct_config__.tag: kind.__struct_fields__ for kind in typing.get_args(Command)}
    others: dict[str, dict[str, Any]] = {
        "user_message": {"id": "k", "content": "x", "agent": "talk"},
        "resolve_approval": {"decision": "approved"},
    }
    tried = set()
    async with open_socket(bob) as socket:
        for kind, fields in kinds.items():
            names = [name for name in fields if name in PREFIXES]
            extra = [name for name in fields if name.endswith("_id") and name not in PREFIXES]
            assert not extra, f"{kind} takes an id this test knows nothing of"
            for name in names:
                answers = []
                for ids in (hers.ids, missing()):
                    answer = await socket.ask(kind, **others.get(kind, {}), **{name: ids[name]})
                    answers.append(json.dumps(answer).replace(ids[name], f"<{name}>"))
                assert answers[0] == answers[1], kind
                assert kind == "unsubscribe" or '"not_found"' in answers[0], answers[0]
                tried.add(kind)
        with_file = [
            json.dumps(
                await socket.ask("user_message", id=f"f{n}", content="x", agent="talk", attachments=[file_id])
            ).replace(file_id, "<file>")
            for n, file_id in enumerate((hers.ids["file_id"], new_id("fil")))
        ]
        assert with_file[0].replace("f0", "f") == with_file[1].replace("f1", "f")
        assert hers.canary not in json.dumps(socket.frames)
    assert tried == {"user_message", "subscribe", "unsubscribe", "cancel_run", "resolve_approval"}


async def test_nothing_of_ann_reaches_bob_while_she_works(ann: Account, bob: Account, hers: Possessions) -> None:
    async with open_socket(ann) as hers_socket, open_socket(bob) as his, bob.async_client() as client:
        await hers_socket.send("subscribe", thread_id=hers.ids["thread_id"])
        await hers_socket.of_type("live")
        await his.send("subscribe", thread_id=hers.ids["thread_id"])
        await his.of_type("error")
        own = (await client.post("/api/messages", json={"id": "own", "content": "20 5", "agent": "talk"})).json()
        async with asyncio.TaskGroup() as group:
            group.create_task(_converse(hers_socket, hers))
            group.create_task(_listen(client, own["thread_id"], hers))
        assert (await his.ask("ping"))["type"] == "pong"
        text = json.dumps(his.frames)
        for value in (hers.canary, ann.id, ann.email, *hers.ids.values()):
            assert value not in text.replace(hers.ids["thread_id"], "", 1)  # his own question, echoed once


async def _converse(socket: Any, hers: Possessions) -> None:
    for number in range(3):
        start = len(socket.frames)
        command = {"id": secrets.token_hex(4), "content": f"{number + 1} 5 {hers.canary}", "agent": "big"}
        await socket.send("user_message", thread_id=hers.ids["thread_id"], **command)
        await socket.of_type("agent_completed", start=start)


async def _listen(client: httpx.AsyncClient, thread_id: str, hers: Possessions) -> None:
    path = f"/api/threads/{thread_id}/events"
    async with client.stream("GET", path, headers={"Accept": "text/event-stream"}) as answer:
        async for item in _items(answer):
            assert hers.canary not in json.dumps(item)
            if item[1]["type"] == "agent_completed":
                return


async def _items(answer: httpx.Response) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    async for item in read_stream(answer.aiter_lines()):
        if item is not None:
            yield item


def test_what_bob_can_list_holds_nothing_of_ann(server: ServerProcess, bob: Account, hers: Possessions) -> None:
    with bob.client() as client:
        for method, path, names, takes_body in operations(server):
            if method != "GET" or names or takes_body:
                continue
            text = client.get(path).text
            for value in (hers.canary, *hers.ids.values()):
                assert value not in text, path


def test_ann_still_has_everything_as_it_was(ann: Account, hers: Possessions) -> None:
    with ann.client() as client:
        thread = client.get(f"/api/threads/{hers.ids['thread_id']}").json()
        assert thread["title"] == hers.canary
        assert client.get(f"/api/files/{hers.ids['file_id']}").content == hers.canary.encode()
        assert len(client.get(f"/api/blobs/{hers.ids['blob_id']}").json()) == 200
        assert client.get(f"/api/runs/{hers.waiting_run}").json()["state"] == "running"
        assert hers.ids["token_id"] in client.get("/api/tokens").text
        assert client.post(f"/api/approvals/{hers.ids['approval_id']}", json={"decision": "denied"}).status_code == 200
        assert client.post(f"/api/runs/{hers.waiting_run}/cancel").status_code == 202


def test_the_servers_log_holds_no_message_no_name_and_no_token(
    server: ServerProcess, ann: Account, bob: Account, hers: Possessions
) -> None:
    for word in (hers.canary, "canary-of-the-blob", ann.access_token, ann.refresh_token, ann.password, ann.email):
        assert word not in server.output
    assert server.tracebacks == []
