"""Session metrics behind a real login: what real traffic moves on a real server, and who may see it.

No browser takes part: people sign in over HTTP and talk over sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from netra.sessions.metrics import SessionState
from support.accounts import Account, register, set_up_admin, sign_in
from support.server import ServerProcess
from support.sockets import open_socket
from support.waiting import until

SESSIONS = "/api/admin/sessions"
ENVIRONMENT = {"NETRA_ALLOW_REGISTRATION": "true"}


@pytest.fixture(scope="session", autouse=True)
def _patience() -> None:
    """The browser tests' patience is not needed here, nor is a browser."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of this file's own, which it may stop."""
    agents = ("support.agents:echo", "support.agents:broken")
    with ServerProcess(tmp_path_factory.mktemp("metrics"), agents=agents, environment=ENVIRONMENT) as process:
        yield process


@pytest.fixture(scope="module", autouse=True)
def admin(server: ServerProcess) -> Account:
    """Its administrator."""
    return set_up_admin(server)


def figures(admin: Account) -> dict[str, Any]:
    """What the administrator sees of everybody."""
    with admin.client() as client:
        answer = client.get(SESSIONS)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def row(admin: Account, user: Account) -> dict[str, Any]:
    """What the administrator sees of one user."""
    with admin.client() as client:
        answer = client.get(f"{SESSIONS}/users/{user.id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def talk(user: Account, *words: str, agent: str = "echo") -> str:
    """Send messages in one new thread, each after the answer to the one before; gives the thread."""
    thread_id: str | None = None
    async with open_socket(user) as socket:
        for number, content in enumerate(words):
            sent = await socket.ask(
                "user_message", id=f"{agent}-{number}-{content}", content=content, thread_id=thread_id, agent=agent
            )
            if thread_id is None:
                thread_id = sent["thread_id"]
                await socket.send("subscribe", thread_id=thread_id, after=0)
                await socket.of_type("live", thread_id=thread_id)
            await socket.of_type("agent_completed", run_id=sent["run_id"])
    assert thread_id is not None
    return thread_id


@pytest.mark.spec("provider.admin-page", "user-tracker.engagement")
async def test_an_administrator_sees_what_real_traffic_moved(server: ServerProcess, admin: Account) -> None:
    ada, bob = register(server.base_url), register(server.base_url)
    before = figures(admin)
    assert row(admin, ada)["stage"] == "signed_up"
    assert row(admin, ada)["last_activity"] is row(admin, ada)["quality"] is None

    signed_in = sign_in(server.base_url, ada.email, ada.password)
    thread_id = await talk(signed_in, "one", "two")
    await talk(bob, "three", agent="broken")
    async with ada.async_client() as client:
        assert (await client.post("/api/files", files={"file": ("a.csv", b"a,b\n1,2\n")})).is_success
        assert (await client.get("/api/threads", params={"q": "one"})).is_success
        await client.get("/api/threads", params={"q": "two"})

    of_ada, of_bob = row(admin, ada), row(admin, bob)
    assert (of_ada["messages"], of_ada["runs"], of_ada["runs_succeeded"]) == (2, 2, 2)
    assert of_ada["features"] == {"search": 2, "upload": 1}
    assert (of_ada["sessions"], of_ada["active_days"], of_ada["stage"]) == (2, 1, "succeeded")
    assert (of_bob["messages"], of_bob["runs"], of_bob["runs_succeeded"]) == (1, 1, 0)
    assert (of_bob["features"], of_bob["stage"]) == ({}, "wrote")

    after = figures(admin)
    users, earlier = after["users"], before["users"]
    assert users["messages"] == earlier["messages"] + 3
    assert users["runs_succeeded"] == earlier["runs_succeeded"] + 2
    assert users["conversion"]["wrote"] == earlier["conversion"]["wrote"] + 2
    assert users["active_users"]["1"] == earlier["active_users"]["1"] + 2
    assert after["live"]["active_sessions"] >= before["live"]["active_sessions"] + 4
    assert after["last_activity"] > before["last_activity"]
    database = after["database"]
    for moved in ("attempted", "succeeded", "ended", "commits"):
        assert database[moved] > before["database"][moved], moved
    assert (database["health"], database["failed"], database["leaks"]) == ("healthy", 0, 0)
    assert database["oldest_open"]["user_id"] == admin.id, "the session of the request that asks"
    assert database["by_state"].keys() <= {state.value for state in SessionState}
    assert sum(database["by_state"].values()) == database["open"] >= 1
    assert database["pools"]["read"]["checked_out"] == 0

    async with admin.async_client() as client:  # a thread that is gone takes nothing of its user's history along
        assert (await client.get(f"{SESSIONS}/users", params={"limit": 1})).json()["next_cursor"]
    async with ada.async_client() as client:
        assert (await client.delete(f"/api/threads/{thread_id}")).status_code == 204
    assert row(admin, ada)["messages"] == 2


@pytest.mark.spec("provider.admin-page")
async def test_metrics_show_the_sessions_of_users(server: ServerProcess, admin: Account) -> None:
    user = register(server.base_url)
    async with open_socket(user):
        expected = figures(admin)["live"]["active_sessions"]
        assert expected >= 1
        async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as client:

            async def shown() -> bool:
                return f"netra_user_sessions {float(expected)}" in (await client.get("/metrics")).text

            await until(shown, "the gauge")


@pytest.mark.spec("provider.admin-page")
def test_everybody_else_sees_nothing_there(server: ServerProcess, admin: Account) -> None:
    user = register(server.base_url)
    stranger = {"Authorization": "Bearer nonsense"}
    with httpx.Client(base_url=server.base_url, trust_env=False) as client:
        nothing = client.get("/api/admin/nothing", headers=user.headers)
        assert nothing.status_code == 404
        for path in (SESSIONS, f"{SESSIONS}/users", f"{SESSIONS}/users/{user.id}", f"{SESSIONS}/users/{admin.id}"):
            for headers in (user.headers, stranger, {}):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 404
                told, expected = answer.json(), nothing.json()
                for each in (told, expected):
                    each.pop("request_id", None), each.pop("instance", None)
                assert told == expected
                assert "www-authenticate" not in answer.headers
    with admin.client() as client:
        assert client.get(f"{SESSIONS}/users/usr_nobody").status_code == 404
        assert client.get(f"{SESSIONS}/users", params={"limit": 0}).status_code == 422


@pytest.mark.spec("user-tracker.survives-restart")
async def test_a_restart_of_the_server_changes_no_figure(server: ServerProcess, admin: Account) -> None:
    user = register(server.base_url)
    await talk(user, "before")
    before, everybody = row(admin, user), figures(admin)["users"]
    server.restart()
    assert row(admin, user) == before
    told = figures(admin)["users"]
    assert {k: v for k, v in told.items() if k != "minutes_per_session"} == {
        k: v for k, v in everybody.items() if k != "minutes_per_session"
    }
    await talk(user, "after")
    now = row(admin, user)
    assert (now["messages"], now["runs_succeeded"]) == (2, 2)
    assert now["sessions"] == before["sessions"] + 1, "a new thread; outside of threads, the session went on"
