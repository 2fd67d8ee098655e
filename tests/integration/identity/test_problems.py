"""Errors over HTTP: one form, declared in OpenAPI, and nothing in them that should not be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import Depends
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netra.errors import ConfigurationError, Unavailable
from netra.gateway.http.security import Doors
from netra.identity import Principal

from .conftest import PASSWORD, Installation

BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "application/json"),
    (b"{", "application/json"),
    (b"[" * 100_000, "application/json"),
    (b'{"email": ' + b"[" * 500 + b"]" * 500 + b"}", "application/json"),
    (b'{"email": ' + b"9" * 5000 + b', "password": "x"}', "application/json"),
    (b'{"email": "\xff\xfe", "password": "x"}', "application/json"),
    (b'{"email": "\\ud800", "password": "x"}', "application/json"),
    (b'{"email": "a\\u0000@b.c", "password": "x"}', "application/json"),
    (b'{"email": "a@b.c", "password": "\\u0000"}', "application/json"),
    (b'{"email": ["a@b.c"], "password": "x"}', "application/json"),
    (b'{"email": "a@b.c"}', "application/json"),
    (b'{"email": "a@b.c", "password": "x", "\\ud800": 1}', "application/json"),
    (b'{"email": "a@b.c", "password": "x", "\\u0000\\u001b[31m": 1}', "application/json"),
    (b"null", "application/json"),
    (b"[]", "application/json"),
    (b"email=a@b.c&password=x", "application/x-www-form-urlencoded"),
    (b'{"email": "a@b.c", "password": "x"}', "text/plain"),
    (b'{"email": "a@b.c", "password": "x"}', "nonsense"),
    (json.dumps({"email": "a@b.c", "password": "x" * 1025}).encode(), "application/json"),
    (json.dumps({"email": "a" * 255, "password": "x"}).encode(), "application/json"),
]


@pytest.mark.parametrize("path", ["login", "register", "setup", "refresh", "password", "../tokens"])
async def test_bad_bodies_are_problems_and_never_failures(installation: Installation, path: str) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    for body, kind in BAD_BODIES:
        answer = await page.post(f"/api/auth/{path}", content=body, headers={"Content-Type": kind})
        if path == "refresh" and body in (b"", b"null"):  # the cookie is enough
            assert answer.status_code == 200
            continue
        assert answer.status_code == 422, (body[:60], kind, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "invalid_input"
        assert problem["status"] == 422
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert "x" * 30 not in answer.text
        assert "pydantic" not in answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
async def test_any_json_is_answered_below_500(installation: Installation, value: Any) -> None:
    client = installation.client()
    for path in ("login", "refresh", "setup"):
        for body in (value, {"email": value, "password": value, "token": value, "refresh_token": value}):
            answer = await client.post(
                f"/api/auth/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
            )
            assert answer.status_code < 500, answer.text


async def test_field_names_every_field_that_is_wrong(installation: Installation) -> None:
    answer = await installation.client().post("/api/auth/login", json={"email": 1, "extra": 2})
    problem = answer.json()
    assert problem["field"] == "email"
    assert {each["field"] for each in problem["errors"]} == {"email", "password", "extra"}


async def test_unknown_addresses_and_methods_are_problems(installation: Installation) -> None:
    client = installation.client()
    answer = await client.get("/api/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = await client.put("/api/me")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_failures_of_ours_tell_nothing(installation: Installation) -> None:
    @installation.app.get("/settings")
    async def settings_fail() -> None:
        raise ConfigurationError("/etc/netra/secret.toml is wrong", hint="edit /etc/netra", path="/etc")

    @installation.app.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError("secret detail")

    @installation.app.get("/away")
    async def away() -> None:
        raise Unavailable("The database cannot be reached.", hint="Try again in a moment.")

    client = installation.client()
    for path in ("/settings", "/crash"):
        answer = await client.get(path)
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        for secret in ("etc", "secret", "Traceback", "ZeroDivision"):
            assert secret not in answer.text
    answer = await client.get("/away")
    assert (answer.status_code, answer.json()["hint"]) == (503, "Try again in a moment.")
    assert int(answer.headers["retry-after"]) >= 1


async def test_administrator_addresses_do_not_exist_for_others(installation: Installation) -> None:
    doors = Doors(installation.identity, installation.settings)

    @installation.app.get("/api/admin/users")
    async def administration(caller: Principal = Depends(doors.administrator)) -> str:
        return caller.user.email

    await installation.user("root@example.com", roles=("admin",))
    await installation.user()
    root = await installation.signed_in("root@example.com")
    assert (await root.get("/api/admin/users")).json() == "root@example.com"

    def shown(answer: Any) -> tuple[int, dict[str, Any]]:
        body = dict(answer.json())
        body.pop("request_id")
        return answer.status_code, body

    nobody = installation.client()
    absent = shown(await nobody.get("/api/admin/absent"))
    assert absent[0] == 404
    for client in (nobody, await installation.signed_in(), await installation.signed_in(page=True)):
        assert shown(await client.get("/api/admin/users")) == absent
    wrong = installation.client(headers={"Authorization": "Bearer wrong"})
    assert shown(await wrong.get("/api/admin/users")) == absent


async def test_every_operation_declares_its_errors(installation: Installation) -> None:
    document = installation.app.openapi()
    assert document["openapi"].startswith("3.1")
    problem = document["components"]["schemas"]["Problem"]
    assert {"type", "title", "status", "code", "detail"} <= set(problem["required"])
    needed = {
        ("post", "/api/auth/setup"): {"201", "403", "409", "422", "429"},
        ("post", "/api/auth/register"): {"201", "403", "404", "409", "422", "429"},
        ("post", "/api/auth/login"): {"200", "401", "403", "422", "429"},
        ("post", "/api/auth/refresh"): {"200", "401", "403", "422"},
        ("post", "/api/auth/logout"): {"204", "403"},
        ("post", "/api/auth/password"): {"204", "401", "403", "422", "429"},
        ("get", "/api/me"): {"200"},
        ("get", "/api/tokens"): {"200", "401"},
        ("post", "/api/tokens"): {"201", "401", "403", "422", "429"},
        ("delete", "/api/tokens/{token_id}"): {"204", "401", "403", "404"},
        ("post", "/api/tickets"): {"200", "401", "403", "429"},
    }
    found = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert found == set(needed)
    for (method, path), statuses in needed.items():
        responses = document["paths"][path][method]["responses"]
        assert statuses <= set(responses), (method, path)
        for status, response in responses.items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)
    schemes = document["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    assert document["paths"]["/api/tokens"]["get"]["security"]


async def test_password_never_appears_in_log_or_answer(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    cookie = next(iter(page.cookies.values()))
    texts = ""
    for body in (
        {"email": "ada@example.com", "password": PASSWORD + "!"},
        {"email": "ada@example.com", "password": [PASSWORD]},
        {"email": {PASSWORD: 1}, "password": PASSWORD},
    ):
        texts += (await page.post("/api/auth/login", json=body)).text
    made = (await page.post("/api/tokens", json={"name": "script"})).json()["token"]
    await installation.client(headers={"Authorization": f"Bearer {made}x"}).get("/api/tokens")
    captured = capsys.readouterr()
    for secret in (PASSWORD, cookie, made):
        assert secret not in texts
        assert secret not in captured.out + captured.err
    assert "ada@example.com" not in captured.out + captured.err
