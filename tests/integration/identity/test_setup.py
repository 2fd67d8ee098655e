"""The first administrator: only with the printed token, once, and never again."""

from __future__ import annotations

import asyncio

import pytest

from netra.errors import Forbidden

from .conftest import PASSWORD, Install, Installation

BODY = {"email": "root@example.com", "password": PASSWORD, "name": "Root"}


async def test_the_printed_token_makes_the_first_administrator(installation: Installation) -> None:
    page = installation.page()
    assert (await page.get("/api/me")).json()["setup_required"] is True
    answer = await page.post("/api/auth/setup", json={**BODY, "token": installation.identity.setup_token})
    assert answer.status_code == 201
    assert answer.json()["user"]["roles"] == ["admin", "user"]
    me = (await page.get("/api/me")).json()
    assert me["user"]["email"] == "root@example.com"
    assert me["setup_required"] is False
    assert installation.identity.setup_token is None


@pytest.mark.parametrize("token", ["", "netra_set_", "netra_set_wrong", "x" * 512, "\u0000"])
async def test_without_the_token_nobody_becomes_administrator(installation: Installation, token: str) -> None:
    answer = await installation.client().post("/api/auth/setup", json={**BODY, "token": token})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert await installation.identity.users.list() == ()


async def test_of_many_who_hold_the_token_one_becomes_administrator(install: Install) -> None:
    one = await install()
    two = await install()  # the newer start: its token is the one that counts
    old = await one.client().post("/api/auth/setup", json={**BODY, "token": one.identity.setup_token})
    assert old.status_code == 403
    token = two.identity.setup_token
    answers = await asyncio.gather(
        *(
            server.client().post("/api/auth/setup", json={**BODY, "email": f"root{number}@example.com", "token": token})
            for number, server in enumerate((one, two, one, two))
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403]
    assert len(await one.identity.users.list()) == 1


async def test_setup_stays_closed_for_ever(install: Install) -> None:
    first = await install()
    token = first.identity.setup_token
    answer = await first.client().post("/api/auth/setup", json={**BODY, "token": token})
    administrator = answer.json()["user"]["id"]
    again = {**BODY, "email": "again@example.com", "token": token}
    assert (await first.client().post("/api/auth/setup", json=again)).status_code == 403
    await first.identity.disable(administrator)
    restarted = await install()
    assert restarted.identity.setup_token is None, "a disabled administrator opened the setup again"
    assert (await restarted.client().post("/api/auth/setup", json=again)).status_code == 403
    assert (await restarted.client().get("/api/me")).json()["setup_required"] is False


async def test_an_administrator_made_elsewhere_closes_the_setup(installation: Installation) -> None:
    await installation.user("cli@example.com", roles=("admin",))
    body = {**BODY, "token": installation.identity.setup_token}
    assert (await installation.client().post("/api/auth/setup", json=body)).status_code == 403
    assert (await installation.client().get("/api/me")).json()["setup_required"] is False


async def test_an_administrator_made_while_the_token_is_redeemed_closes_the_setup(installation: Installation) -> None:
    token = installation.identity.setup_token
    assert token is not None
    await installation.identity._setup.check(token)
    await installation.user("cli@example.com", roles=("admin",))
    with pytest.raises(Forbidden):
        await installation.identity._setup.redeem(token, "root@example.com", "Root", "hash")


async def test_a_bad_form_does_not_use_the_token_up(installation: Installation) -> None:
    token = installation.identity.setup_token
    await installation.user("taken@example.com")
    client = installation.client()
    for change, status, field in (
        ({"password": "short"}, 422, "password"),
        ({"password": "root@example.com"}, 422, "password"),
        ({"email": "no email"}, 422, "email"),
        ({"name": "x" * 101}, 422, "name"),
        ({"email": "taken@example.com"}, 409, None),
    ):
        answer = await client.post("/api/auth/setup", json={**BODY, "token": token, **change})
        assert (answer.status_code, answer.json().get("field")) == (status, field), change
    assert (await client.post("/api/auth/setup", json={**BODY, "token": token})).status_code == 201


async def test_guesses_of_the_token_are_limited_by_address(install: Install) -> None:
    installation = await install(login_attempts=2)
    client = installation.client()
    for _ in range(10):
        assert (await client.post("/api/auth/setup", json={**BODY, "token": "guess"})).status_code == 403
    right = {**BODY, "token": installation.identity.setup_token}
    answer = await client.post("/api/auth/setup", json=right)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert (await installation.client("198.51.100.2").post("/api/auth/setup", json=right)).status_code == 201
