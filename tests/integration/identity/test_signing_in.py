"""Signing in and out over HTTP: the page's cookie, the client's tokens, and what a wrong one learns."""

from __future__ import annotations

import asyncio

import pytest

from netra.identity.passwords import Passwords

from .conftest import ORIGIN, PASSWORD, Install, Installation


async def test_me_of_nobody_is_null(installation: Installation) -> None:
    answer = await installation.client().get("/api/me")
    assert answer.status_code == 200
    assert answer.json() == {"user": None, "setup_required": True, "registration": False, "version": "0.1.0"}


async def test_login_gives_tokens_and_a_cookie_that_scripts_and_other_sites_cannot_use(
    installation: Installation,
) -> None:
    user_id = await installation.user(name="Ada")
    page = installation.page()
    answer = await page.post("/api/auth/login", json={"email": " ADA@example.com", "password": PASSWORD})
    assert answer.status_code == 200
    body = answer.json()
    assert body["user"] == {"id": user_id, "email": "ada@example.com", "name": "Ada", "roles": ["user"]}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("netra_session=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    assert answer.headers["cache-control"] == "no-store"
    assert (await page.get("/api/me")).json()["user"]["id"] == user_id


async def test_over_tls_the_cookie_is_secure_and_bound_to_the_host(install: Install) -> None:
    installation = await install(public_url="https://netra.example")
    await installation.user()
    page = await installation.signed_in(page=True)
    answer = await page.post("/api/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-netra_session=")
    assert "Secure" in cookie
    assert "Domain" not in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    plain = installation.client(headers={"Cookie": f"netra_session={value}"})
    assert (await plain.get("/api/me")).json()["user"] is None, "a name that another host can plant counts"


async def test_access_token_opens_the_api_without_a_cookie(installation: Installation) -> None:
    user_id = await installation.user()
    client = await installation.signed_in()
    assert (await client.get("/api/me")).json()["user"]["id"] == user_id
    assert (await client.get("/api/tokens")).json() == {"items": []}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ada@example.com", "wrong"),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("not an email", PASSWORD),
    ],
)
async def test_unknown_wrong_and_disabled_are_answered_alike(
    installation: Installation, email: str, password: str
) -> None:
    await installation.user()
    await installation.identity.disable(await installation.user("gone@example.com"))
    answer = await installation.client().post("/api/auth/login", json={"email": email, "password": password})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers
    body = answer.json()
    assert body.pop("request_id").startswith("req_")
    assert body == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "code": "invalid_credentials",
        "detail": "Email or password is wrong.",
    }


async def test_unknown_users_cost_exactly_one_hash_like_known_ones(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time on a shared machine is noise, so the work is counted: one argon2id verification, same parameters."""
    await installation.user()
    await installation.identity.disable(await installation.user("gone@example.com"))
    done: list[str] = []
    original = Passwords._run

    async def counted(self: Passwords, work):  # type: ignore[no-untyped-def]
        done.append("hash")
        return await original(self, work)

    monkeypatch.setattr(Passwords, "_run", counted)
    client = installation.client()
    for email in ("ada@example.com", "nobody@example.com", "gone@example.com"):
        done.clear()
        await client.post("/api/auth/login", json={"email": email, "password": "wrong password"})
        assert done == ["hash"], email
    dummy = installation.identity._passwords._dummy
    stored = await installation.identity.users.with_hash(email="ada@example.com")
    assert stored is not None
    assert dummy.split("$")[:4] == stored[1].split("$")[:4]
    assert [len(part) for part in dummy.split("$")] == [len(part) for part in stored[1].split("$")]


async def test_logout_ends_the_cookie_and_the_access_token_of_that_login_only(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    other = await installation.signed_in(page=True)
    answer = await page.post("/api/auth/refresh")
    bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    stolen = dict(page.cookies)
    answer = await page.post("/api/auth/logout")
    assert answer.status_code == 204
    assert 'netra_session=""' in answer.headers["set-cookie"]
    assert (await installation.client(cookies=stolen).get("/api/me")).json()["user"] is None
    assert (await installation.client(headers=bearer).get("/api/tokens")).status_code == 401
    assert (await other.get("/api/me")).json()["user"] is not None
    (revoked,) = installation.revoked
    assert revoked["login_id"] is not None


async def test_logout_of_nobody_changes_nothing(installation: Installation) -> None:
    assert (await installation.page().post("/api/auth/logout")).status_code == 204
    assert installation.revoked == []


async def test_an_unused_login_ends_and_a_used_one_goes_on(install: Install) -> None:
    installation = await install(session_days=2)
    await installation.user()
    used = await installation.signed_in(page=True)
    unused = await installation.signed_in(page=True)
    for _ in range(3):
        installation.clock.advance(days=1)
        assert (await used.get("/api/me")).json()["user"] is not None
        await asyncio.gather(*installation.identity._noting.values())
    assert (await unused.get("/api/me")).json()["user"] is None
    answer = await used.get("/api/me")
    assert "Max-Age=172800" in answer.headers["set-cookie"], "the browser would forget a login that lives on"


async def test_password_change_ends_other_sessions_and_keeps_this_one(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    other = await installation.signed_in()
    body = {"current": PASSWORD, "new": "another good long password"}
    assert (await page.post("/api/auth/password", json=body)).status_code == 204
    assert (await page.get("/api/me")).json()["user"] is not None
    assert (await other.get("/api/tokens")).status_code == 401
    assert len(installation.revoked) == 1
    client = installation.client()
    old = await client.post("/api/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
    assert old.status_code == 401
    new = await client.post("/api/auth/login", json={"email": "ada@example.com", "password": body["new"]})
    assert new.status_code == 200


async def test_password_change_needs_the_current_one_and_is_limited(install: Install) -> None:
    installation = await install(login_attempts=3)
    await installation.user()
    page = await installation.signed_in(page=True)
    body = {"current": "a guess of the thief", "new": "another good long password"}
    for _ in range(3):
        answer = await page.post("/api/auth/password", json=body)
        assert (answer.status_code, answer.json()["field"]) == (401, "current")
    answer = await page.post("/api/auth/password", json={**body, "current": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 900


@pytest.mark.parametrize("new", ["short", "ADA@example.com", "password1234", "aaaaaaaaaaaaaaa", "x" * 1025])
async def test_weak_passwords_are_refused_with_their_field_and_not_repeated(
    installation: Installation, new: str
) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    answer = await page.post("/api/auth/password", json={"current": PASSWORD, "new": new})
    assert (answer.status_code, answer.json()["field"]) == (422, "new")
    assert new not in answer.text
    assert PASSWORD not in answer.text


async def test_disabling_a_user_ends_everything_at_once(installation: Installation) -> None:
    user_id = await installation.user()
    page = await installation.signed_in(page=True)
    client = await installation.signed_in()
    token = (await client.post("/api/tokens", json={"name": "script"})).json()["token"]
    script = installation.client(headers={"Authorization": f"Bearer {token}"})
    assert (await script.get("/api/tokens")).status_code == 200
    await installation.identity.disable(user_id)
    assert installation.revoked == [{"user_id": user_id, "login_id": None, "access_token_id": None}]
    assert (await page.get("/api/me")).json()["user"] is None
    assert (await client.get("/api/tokens")).status_code == 401
    assert (await script.get("/api/tokens")).status_code == 401
    await installation.identity.users.enable(user_id)
    assert (await script.get("/api/tokens")).status_code == 401, "enabling revived what had ended"


async def test_registration_is_nothing_when_it_is_off(installation: Installation) -> None:
    body = {"email": "eve@example.com", "password": PASSWORD}
    answer = await installation.client().post("/api/auth/register", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert await installation.identity.users.list() == ()


async def test_registration_signs_in_and_never_makes_an_administrator(install: Install) -> None:
    installation = await install(allow_registration=True)
    page = installation.page()
    answer = await page.post("/api/auth/register", json={"email": "Eve@Example.com", "password": PASSWORD})
    assert answer.status_code == 201
    assert answer.json()["user"]["roles"] == ["user"]
    assert answer.json()["user"]["name"] == "eve"
    assert (await page.get("/api/me")).json()["registration"] is True
    again = await page.post("/api/auth/register", json={"email": "eve@EXAMPLE.com ", "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    roles = {"email": "mallory@example.com", "password": PASSWORD, "roles": ["admin"]}
    assert (await page.post("/api/auth/register", json=roles)).status_code == 422


async def test_registering_one_email_twice_at_once_makes_one_account(install: Install) -> None:
    installation = await install(allow_registration=True)
    body = {"email": "eve@example.com", "password": PASSWORD}
    answers = await asyncio.gather(*(installation.client().post("/api/auth/register", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_password_changed_while_the_old_one_is_hashed_wins(installation: Installation) -> None:
    user_id = await installation.user()
    users, logins = installation.identity.users, installation.identity._logins
    found = await users.with_hash(user_id=user_id)
    assert found is not None
    await users.set_password(user_id, "another good long password")
    assert await logins.create(found[0], found[1], "") is None
    await users.disable(user_id)
    current = await users.with_hash(user_id=user_id)
    assert current is not None
    assert await logins.create(current[0], current[1], "") is None


async def test_hashes_made_with_older_parameters_are_replaced_at_the_next_sign_in(
    installation: Installation,
) -> None:
    from argon2 import PasswordHasher

    user_id = await installation.user()
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await installation.identity.users.replace_hash(user_id, old)
    await installation.signed_in()
    found = await installation.identity.users.with_hash(user_id=user_id)
    assert found is not None
    assert "m=19456,t=2,p=1" in found[1]
    await installation.signed_in()


async def test_the_page_of_another_site_cannot_use_the_cookie(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    bodies = {
        "password": {"current": PASSWORD, "new": "another good long password"},
        "logout": {},
        "refresh": {},
        "../tokens": {"name": "planted"},
        "../tickets": {},
    }
    for origin in (
        "https://evil.example",
        "http://localhost:8001",
        "https://localhost:8000",
        "null",
        "",
        f"{ORIGIN}.evil",
    ):
        for path, body in bodies.items():
            answer = await page.post(f"/api/auth/{path}", json=body, headers={"Origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (origin, path)
    del page.headers["Origin"]
    assert (await page.post("/api/tickets")).status_code == 403, "a cookie without any Origin counts"
    assert (await page.get("/api/me")).json()["user"] is not None
    assert installation.revoked == []


async def test_the_page_of_another_site_cannot_sign_its_visitor_in(installation: Installation) -> None:
    await installation.user()
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = await installation.client(headers={"Origin": "https://evil.example"}).post("/api/auth/login", json=body)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert (await installation.client().post("/api/auth/login", json=body)).status_code == 200


async def test_a_wrong_bearer_is_not_made_up_for_by_a_right_cookie(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    for value in ("Bearer wrong", "Basic YTpi", "Bearer", "", "bearer\tx"):
        assert (await page.get("/api/tokens", headers={"Authorization": value})).status_code == 401, value
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    assert (await page.get("/api/tokens", headers=twice)).status_code == 401
