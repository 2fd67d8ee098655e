"""Accounts as administrators see and change them: who may, what ends at once, and the trace it leaves."""

from __future__ import annotations

import secrets
import subprocess
import sys

import httpx

from support.accounts import Account, sign_in
from support.runs import begin, ended
from support.server import ServerProcess
from support.sockets import open_socket

WORDS = "words nobody else may read"


def audited(operator: httpx.Client, target: str) -> list[str]:
    items = operator.get("/api/admin/audit", params={"limit": 200}).raise_for_status().json()["items"]
    return [each["action"] for each in items if each["target"] == target]


def test_a_created_user_signs_in_with_the_password_that_is_shown_once(
    server: ServerProcess, operator: httpx.Client
) -> None:
    email = f"{secrets.token_hex(4)}@example.com"
    answer = operator.post("/api/admin/users", json={"email": email.upper(), "name": "Eve"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    made = answer.json()
    assert (made["user"]["email"], made["user"]["roles"], made["user"]["logins"]) == (email, ["user"], 0)
    assert sign_in(server.base_url, email, made["password"]).id == made["user"]["id"]
    assert operator.post("/api/admin/users", json={"email": email}).status_code == 409
    assert operator.post("/api/admin/users", json={"email": "nobody"}).status_code == 422
    assert audited(operator, email) == ["user.create", "user.create"]
    assert made["password"] not in operator.get("/api/admin/audit").text


def test_users_are_found_by_part_of_email_or_name_and_paged(operator: httpx.Client) -> None:
    tag = secrets.token_hex(4)
    for number in range(3):
        operator.post("/api/admin/users", json={"email": f"{number}-{tag}@example.com", "name": f"N_{tag}%"})
    first = operator.get("/api/admin/users", params={"search": tag.upper(), "limit": 2}).json()
    second = operator.get("/api/admin/users", params={"search": tag, "limit": 2, "cursor": first["next_cursor"]}).json()
    emails = [each["email"] for each in first["items"] + second["items"]]
    assert emails == [f"{number}-{tag}@example.com" for number in (2, 1, 0)]
    assert second["next_cursor"] is None
    assert len(operator.get("/api/admin/users", params={"search": f"n_{tag}%"}).json()["items"]) == 3
    assert operator.get("/api/admin/users", params={"search": f"n%{tag}"}).json()["items"] == []


async def test_disabling_ends_sockets_and_logins_at_once(operator: httpx.Client, ann: Account) -> None:
    async with open_socket(ann) as socket:
        (login,) = operator.get(f"/api/admin/users/{ann.id}/logins").json()["items"]
        assert login["connections"] == 1
        changed = operator.patch(f"/api/admin/users/{ann.id}", json={"disabled": True}).json()
        assert changed["disabled_at"] is not None
        assert await socket.close_code_within() == 4401
    with ann.client() as client:
        assert client.get("/api/threads").status_code == 401
    assert operator.get(f"/api/admin/users/{ann.id}/logins").json()["items"] == []
    assert operator.patch(f"/api/admin/users/{ann.id}", json={"disabled": False}).json()["disabled_at"] is None
    assert audited(operator, ann.id) == ["user.enable", "user.disable"]


async def test_ending_a_login_closes_its_connections_and_no_other(
    server: ServerProcess, operator: httpx.Client, ann: Account
) -> None:
    other = sign_in(server.base_url, ann.email)
    async with open_socket(ann) as first, open_socket(other) as second:
        logins = operator.get(f"/api/admin/users/{ann.id}/logins").json()["items"]
        assert [each["connections"] for each in logins] == [1, 1]
        everybody = operator.get("/api/admin/logins").json()["items"]
        assert [each for each in everybody if each["user_id"] == ann.id] == logins
        assert {each["email"] for each in logins} == {ann.email}
        assert operator.get("/api/admin/logins", params={"limit": 1}).json()["items"] == everybody[:1]
        newest = max(logins, key=lambda each: str(each["id"]))
        assert operator.delete(f"/api/admin/logins/{newest['id']}").status_code == 204
        assert await second.close_code_within() == 4401
        assert (await first.ask("ping"))["type"] == "pong"
    assert operator.delete(f"/api/admin/logins/{newest['id']}").status_code == 404


def test_tokens_of_anybody_are_listed_without_their_secret_and_revoked(operator: httpx.Client, ann: Account) -> None:
    with ann.client() as client:
        made = client.post("/api/tokens", json={"name": "script"}).json()
    listed = operator.get(f"/api/admin/users/{ann.id}/tokens")
    assert [each["name"] for each in listed.json()["items"]] == ["script"]
    assert made["token"] not in listed.text
    assert operator.delete(f"/api/admin/tokens/{made['id']}").status_code == 204
    with ann.client(headers={"Authorization": f"Bearer {made['token']}"}) as client:
        assert client.get("/api/threads").status_code == 401


def test_a_new_password_ends_the_old_one(server: ServerProcess, operator: httpx.Client, ann: Account) -> None:
    password = operator.post(f"/api/admin/users/{ann.id}/password").raise_for_status().json()["password"]
    with ann.client() as client:
        assert client.get("/api/threads").status_code == 401
    assert sign_in(server.base_url, ann.email, password).id == ann.id


def test_the_role_is_given_and_taken_with_a_new_login_and_never_from_oneself(
    server: ServerProcess, operator: httpx.Client, admin: Account, ann: Account
) -> None:
    assert "admin" in operator.patch(f"/api/admin/users/{ann.id}", json={"admin": True}).json()["roles"]
    with ann.client() as client:
        assert client.get("/api/threads").status_code == 401
    with sign_in(server.base_url, ann.email).client() as client:
        assert client.get("/api/admin/users").status_code == 200
        assert client.patch(f"/api/admin/users/{admin.id}", json={"disabled": False}).status_code == 200
    assert operator.patch(f"/api/admin/users/{ann.id}", json={"admin": False}).json()["roles"] == ["user"]
    for change in ({"admin": False}, {"disabled": True}):
        refused = operator.patch(f"/api/admin/users/{admin.id}", json=change)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_an_administrator_stops_a_run_and_sees_what_happened_without_a_word_of_it(
    operator: httpx.Client, ann: Account
) -> None:
    run_id = begin(ann, "endless", WORDS)["run_id"]
    assert operator.post(f"/api/admin/executions/{run_id}/cancel").status_code == 202
    assert ended(ann, run_id)["state"] == "cancelled"
    trace = operator.get(f"/api/admin/executions/{run_id}/events").raise_for_status()
    types = [each["type"] for each in trace.json()["items"]]
    assert (types[0], types[-1]) == ("user_message", "agent_completed")
    assert trace.json()["items"][-1]["success"] is False
    assert WORDS not in trace.text
    assert audited(operator, run_id) == ["run.stop"]
    assert operator.get("/api/admin/executions/run_nothing/events").status_code == 404
    assert operator.post("/api/admin/executions/run_nothing/cancel").status_code == 404


def test_others_get_the_answer_for_nothing_and_change_nothing(admin: Account, ann: Account) -> None:
    tries = [
        ("GET", "/api/admin/users", None),
        ("POST", "/api/admin/users", {"email": "x@example.com", "admin": True}),
        ("GET", f"/api/admin/users/{admin.id}", None),
        ("PATCH", f"/api/admin/users/{ann.id}", {"admin": True}),
        ("POST", f"/api/admin/users/{admin.id}/password", None),
        ("GET", f"/api/admin/users/{admin.id}/logins", None),
        ("GET", "/api/admin/logins", None),
        ("GET", f"/api/admin/users/{admin.id}/tokens", None),
        ("DELETE", "/api/admin/logins/ses_1", None),
        ("DELETE", "/api/admin/tokens/pat_1", None),
        ("GET", "/api/admin/audit", None),
        ("POST", "/api/admin/executions/run_1/cancel", None),
        ("GET", "/api/admin/executions/run_1/events", None),
    ]
    with ann.client() as client:
        for method, path, body in tries:
            assert client.request(method, path, json=body).status_code == 404, path
        assert client.get("/api/me").json()["user"]["roles"] == ["user"]


def test_the_command_line_leaves_a_trace_too(server: ServerProcess, operator: httpx.Client) -> None:
    email = f"{secrets.token_hex(4)}@example.com"
    place = ["--data-dir", str(server.data_dir), "--database-url", server.database_url]
    command = [sys.executable, "-m", "netra", "user", "add", email, *place]
    subprocess.run(command, input=f"{secrets.token_urlsafe()}\n", text=True, check=True, capture_output=True)
    items = operator.get("/api/admin/audit").json()["items"]
    (entry,) = [each for each in items if each["target"] == email]
    assert (entry["actor"], entry["action"]) == ("command line", "user.create")
