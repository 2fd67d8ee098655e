"""Refresh tokens, access tokens, personal access tokens and socket tickets, and attacks on each of them."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import select

from netra.errors import NetraError, NotAuthenticated
from netra.storage.tables import access_tokens, logins, metadata, refresh_tokens, tickets, users
from netra.storage.tables import installation as facts

from .conftest import PASSWORD, Install, Installation


async def tokens_of(installation: Installation, email: str = "ada@example.com") -> dict[str, Any]:
    answer = await installation.client().post("/api/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Refresh tokens


async def test_refresh_gives_a_new_pair_each_time(installation: Installation) -> None:
    await installation.user()
    pair = await tokens_of(installation)
    seen = {pair["refresh_token"]}
    for _ in range(3):
        answer = await installation.client().post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        assert answer.status_code == 200
        pair = answer.json()
        assert pair["refresh_token"] not in seen
        seen.add(pair["refresh_token"])
        opened = await installation.client(headers=bearer(pair["access_token"])).get("/api/tokens")
        assert opened.status_code == 200


async def test_reuse_of_a_refresh_token_ends_the_login_for_thief_and_owner(installation: Installation) -> None:
    user_id = await installation.user()
    first = await tokens_of(installation)
    client = installation.client()
    second = (await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})).json()
    reuse = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert reuse.status_code == 401
    (revoked,) = installation.revoked
    assert revoked["user_id"] == user_id
    assert revoked["login_id"] is not None
    after = await client.post("/api/auth/refresh", json={"refresh_token": second["refresh_token"]})
    assert after.status_code == 401
    assert (await installation.client(headers=bearer(second["access_token"])).get("/api/tokens")).status_code == 401
    assert len(installation.revoked) == 1


async def test_of_many_who_refresh_at_once_one_wins_and_the_login_ends(installation: Installation) -> None:
    await installation.user()
    pair = await tokens_of(installation)
    body = {"refresh_token": pair["refresh_token"]}
    answers = await asyncio.gather(*(installation.client().post("/api/auth/refresh", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    winner = next(answer.json() for answer in answers if answer.status_code == 200)
    assert (await installation.client(headers=bearer(winner["access_token"])).get("/api/tokens")).status_code == 401


async def test_two_servers_on_one_database_never_rotate_the_same_token_twice(install: Install) -> None:
    one, two = await install(), await install()
    await one.user()
    for _ in range(5):
        body = {"refresh_token": (await tokens_of(one))["refresh_token"]}
        answers = await asyncio.gather(
            one.client().post("/api/auth/refresh", json=body), two.client().post("/api/auth/refresh", json=body)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 401]


async def test_the_page_refreshes_with_its_cookie_and_keeps_it(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    first = (await page.post("/api/auth/refresh")).json()
    second = (await page.post("/api/auth/refresh", json={})).json()
    assert (await page.get("/api/me")).json()["user"] is not None
    client = installation.client()
    replaced = await client.post("/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert replaced.status_code == 401
    assert (await client.post("/api/auth/refresh", json={"refresh_token": second["refresh_token"]})).status_code == 200


@pytest.mark.parametrize("token", ["", "netra_ref_unknown", "x" * 512, "netra_ref_\u0000", "ünïcode"])
async def test_made_up_refresh_tokens_are_refused(installation: Installation, token: str) -> None:
    answer = await installation.client().post("/api/auth/refresh", json={"refresh_token": token})
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


async def test_refresh_tokens_end_with_their_login(install: Install) -> None:
    installation = await install(session_days=1)
    await installation.user()
    pair = await tokens_of(installation)
    installation.clock.advance(days=1, seconds=1)
    answer = await installation.client().post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    assert answer.status_code == 401


# Access tokens


async def test_access_tokens_expire(installation: Installation) -> None:
    await installation.user()
    client = installation.client(headers=bearer((await tokens_of(installation))["access_token"]))
    installation.clock.advance(899)
    assert (await client.get("/api/tokens")).status_code == 200
    installation.clock.advance(1)
    answer = await client.get("/api/tokens")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_servers_on_one_database_accept_each_others_tokens(install: Install) -> None:
    one, two = await install(), await install()
    await one.user()
    token = (await tokens_of(one))["access_token"]
    assert (await two.client(headers=bearer(token)).get("/api/tokens")).status_code == 200


async def test_forged_access_tokens_are_refused(installation: Installation) -> None:
    """Each differs from a good token in one thing; all but the first few are even signed with the right key."""
    user_id = await installation.user()
    other = await installation.user("eve@example.com")
    good = (await tokens_of(installation))["access_token"]
    async with installation.database.read() as connection:
        raw = (await connection.execute(select(facts.c.value).where(facts.c.key == "signing_key"))).scalar_one()
    key = OctKey.import_key(bytes(raw))
    claims = jwt.decode(good, key, algorithms=["HS256"]).claims
    head, payload, signature = good.split(".")
    now = int(installation.clock.now().timestamp())

    def signed(header: dict[str, Any] | None = None, **changes: Any) -> str:
        body = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        head = {"alg": "HS256", "typ": "at+jwt", **(header or {})}
        return jwt.encode(head, body, key, algorithms=["HS256", "HS384", "HS512"])

    critical = {"alg": "HS256", "typ": "at+jwt", "crit": ["x"], "x": 1}

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    assert (await installation.client(headers=bearer(signed())).get("/api/tokens")).status_code == 200
    forged = {
        "no signature": f"{head}.{payload}.",
        "algorithm none": f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        "algorithm none in capitals": f"{part({'alg': 'NONE', 'typ': 'at+jwt'})}.{payload}.{signature}",
        "another's claims": f"{head}.{part({**claims, 'sub': other})}.{signature}",
        "another key": jwt.encode({"alg": "HS256", "typ": "at+jwt"}, claims, OctKey.import_key(b"k" * 32)),
        "an empty key": jwt.encode({"alg": "HS256", "typ": "at+jwt"}, claims, OctKey.import_key(b"\0" * 32)),
        "another algorithm": signed({"alg": "HS512"}),
        "another type": signed({"typ": "JWT"}),
        "a critical extension": f"{part(critical)}.{payload}.{signature}",
        "another issuer": signed(iss="evil"),
        "another audience": signed(aud="another-api"),
        "several audiences": signed(aud=["netra-api", "another-api"]),
        "no issuer": signed(iss=...),
        "no audience": signed(aud=...),
        "no expiry": signed(exp=...),
        "no time of issue": signed(iat=...),
        "a life over the cap": signed(exp=claims["iat"] + 901),
        "a life without end": signed(exp=2**62),
        "an expiry that is text": signed(exp=str(claims["exp"])),
        "an expiry that is a fraction": signed(exp=claims["exp"] + 0.5),
        "an expiry that is true": signed(iat=0, exp=True),
        "expired": signed(iat=now - 900, exp=now),
        "issued in the future": signed(iat=now + 60, exp=now + 120),
        "expired before it was issued": signed(iat=now + 20, exp=now + 10),
        "another user with this login": signed(sub=other),
        "this user with no login": signed(sid="ses_none"),
        "this user, login missing": signed(sid=...),
        "a login that is a list": signed(sid=[claims["sid"]]),
        "a user that is a number": signed(sub=1),
        "deep nesting": f"{base64.urlsafe_b64encode(b'[' * 1500).decode()}.e30.x",
        "a head that is a list": f"{part([])}.{payload}.{signature}",
        "a head that is null": f"{part(None)}.{payload}.{signature}",
        "an algorithm that is an object": f"{part({'alg': {}, 'typ': 'at+jwt'})}.{payload}.{signature}",
        "too long": good + "A" * 4000,
        "not base64": "!!.!!.!!",
        "four parts": good + ".x",
        "encrypted form": "a.b.c.d.e",
    }
    for what, token in forged.items():
        answer = await installation.client(headers=bearer(token)).get("/api/tokens")
        assert answer.status_code == 401, what
    assert user_id != other


# Personal access tokens


async def test_personal_token_is_shown_once_and_opens_the_api(installation: Installation) -> None:
    user_id = await installation.user()
    page = await installation.signed_in(page=True)
    answer = await page.post("/api/tokens", json={"name": "  nightly   export ", "expires_in": 3600})
    assert answer.status_code == 201
    made = answer.json()
    assert made["token"].startswith("netra_pat_")
    assert made["token"].startswith(made["prefix"])
    assert len(made["prefix"]) < 20
    listed = (await page.get("/api/tokens")).json()["items"]
    assert listed == [{name: value for name, value in made.items() if name != "token"}]
    assert made["name"] == "nightly export"
    assert made["created_at"] == "2030-01-01T00:00:00.000Z"
    assert made["expires_at"] == "2030-01-01T01:00:00.000Z"
    assert made["last_used_at"] is None
    script = installation.client(headers=bearer(made["token"]))
    assert (await script.get("/api/me")).json()["user"]["id"] == user_id
    installation.clock.advance(hours=1)
    assert (await script.get("/api/tokens")).status_code == 401


async def test_use_of_a_token_is_noted_at_most_once_a_minute(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    token = (await page.post("/api/tokens", json={"name": "script"})).json()["token"]
    script = installation.client(headers=bearer(token))

    async def noted() -> str:
        await asyncio.gather(*(script.get("/api/me") for _ in range(5)))
        await asyncio.gather(*installation.identity._noting.values())
        return str((await page.get("/api/tokens")).json()["items"][0]["last_used_at"])

    assert await noted() == "2030-01-01T00:00:00.000Z"
    installation.clock.advance(59)
    assert await noted() == "2030-01-01T00:00:00.000Z"
    await script.get("/api/me")
    assert installation.identity._noting == {}, "a write that could only change nothing was begun"
    installation.clock.advance(2)
    assert await noted() == "2030-01-01T00:01:01.000Z"


async def test_revoked_token_opens_nothing_and_closes_its_sockets(installation: Installation) -> None:
    user_id = await installation.user()
    page = await installation.signed_in(page=True)
    made = (await page.post("/api/tokens", json={"name": "script"})).json()
    assert (await page.delete(f"/api/tokens/{made['id']}")).status_code == 204
    assert installation.revoked == [{"user_id": user_id, "login_id": None, "access_token_id": made["id"]}]
    assert (await installation.client(headers=bearer(made["token"])).get("/api/tokens")).status_code == 401
    assert (await page.get("/api/tokens")).json() == {"items": []}
    assert (await page.delete(f"/api/tokens/{made['id']}")).status_code == 404


async def test_anothers_token_is_answered_like_one_that_does_not_exist(installation: Installation) -> None:
    await installation.user()
    await installation.user("eve@example.com")
    mine = (await (await installation.signed_in(page=True)).post("/api/tokens", json={"name": "script"})).json()
    eve = await installation.signed_in("eve@example.com", page=True)
    answers = []
    for token_id in (mine["id"], "pat_00000000000000000000000000", "%00", "x" * 5000, "%ff", "%ed%a0%80", "..%2fme"):
        answer = await eve.delete(f"/api/tokens/{token_id}")
        body = answer.json()
        body.pop("request_id")
        answers.append((answer.status_code, body))
    # The last one is another address, in an extra path segment; the rest must not differ in a byte.
    assert all(answer == answers[0] for answer in answers[:-1]), answers
    assert answers[0][0] == 404
    assert (await eve.get("/api/tokens")).json() == {"items": []}
    assert (await installation.client(headers=bearer(mine["token"])).get("/api/tokens")).status_code == 200


async def test_a_personal_token_can_neither_make_another_nor_log_out(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    token = (await page.post("/api/tokens", json={"name": "script", "expires_in": 60})).json()["token"]
    script = installation.client(headers=bearer(token))
    assert (await script.post("/api/tokens", json={"name": "for ever"})).status_code == 403
    assert (await script.post("/api/auth/logout")).status_code == 403


async def test_a_login_that_ended_cannot_leave_a_token_behind(installation: Installation) -> None:
    user_id = await installation.user()
    pair = await tokens_of(installation)
    principal = await installation.identity.authenticate_bearer(pair["access_token"])
    await installation.identity.sign_out(principal)
    with pytest.raises(NotAuthenticated):
        await installation.identity.create_token(principal, "left behind")
    assert await installation.identity._personal.list(user_id) == ()


async def test_tokens_of_one_user_are_bounded(installation: Installation) -> None:
    user_id = await installation.user()
    for number in range(100):
        await installation.identity._personal.create(user_id, f"token {number}")
    page = await installation.signed_in(page=True)
    answer = await page.post("/api/tokens", json={"name": "one more"})
    assert (answer.status_code, answer.json()["code"]) == (429, "limit_reached")


async def test_password_change_keeps_personal_tokens_and_a_reset_ends_them(installation: Installation) -> None:
    user_id = await installation.user()
    page = await installation.signed_in(page=True)
    token = (await page.post("/api/tokens", json={"name": "script"})).json()["token"]
    script = installation.client(headers=bearer(token))
    new = "another good long password"
    assert (await page.post("/api/auth/password", json={"current": PASSWORD, "new": new})).status_code == 204
    assert (await script.get("/api/tokens")).status_code == 200
    await installation.identity.set_password(user_id, PASSWORD)
    assert (await script.get("/api/tokens")).status_code == 401
    assert (await page.get("/api/me")).json()["user"] is None
    assert installation.revoked[-1] == {"user_id": user_id, "login_id": None, "access_token_id": None}


# Tickets


async def ticket_of(client: httpx.AsyncClient) -> str:
    answer = await client.post("/api/tickets")
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires_in"] == 30
    return str(answer.json()["ticket"])


async def test_ticket_works_once(installation: Installation) -> None:
    user_id = await installation.user()
    ticket = await ticket_of(await installation.signed_in(page=True))
    results = await asyncio.gather(
        *(installation.identity.redeem_ticket(ticket) for _ in range(8)), return_exceptions=True
    )
    accepted = [result for result in results if not isinstance(result, BaseException)]
    assert [principal.user.id for principal in accepted] == [user_id]
    assert accepted[0].login_id is not None


async def test_two_servers_on_one_database_redeem_a_ticket_once(install: Install) -> None:
    one, two = await install(), await install()
    await one.user()
    page = await one.signed_in(page=True)
    for _ in range(5):
        ticket = await ticket_of(page)
        results = await asyncio.gather(
            one.identity.redeem_ticket(ticket), two.identity.redeem_ticket(ticket), return_exceptions=True
        )
        assert sum(isinstance(result, NetraError) for result in results) == 1


async def test_ticket_lives_thirty_seconds(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    early, late = await ticket_of(page), await ticket_of(page)
    installation.clock.advance(29)
    await installation.identity.redeem_ticket(early)
    installation.clock.advance(1)
    with pytest.raises(NotAuthenticated):
        await installation.identity.redeem_ticket(late)


async def test_ticket_ends_with_the_credential_it_was_made_with(installation: Installation) -> None:
    await installation.user()
    page = await installation.signed_in(page=True)
    ticket = await ticket_of(page)
    made = (await page.post("/api/tokens", json={"name": "script"})).json()
    scripted = await ticket_of(installation.client(headers=bearer(made["token"])))
    unused = await ticket_of(installation.client(headers=bearer(made["token"])))
    principal = await installation.identity.redeem_ticket(scripted)
    assert principal.access_token_id == made["id"]
    await page.delete(f"/api/tokens/{made['id']}")
    await page.post("/api/auth/logout")
    for dead in (ticket, unused):
        with pytest.raises(NotAuthenticated):
            await installation.identity.redeem_ticket(dead)


async def test_other_secrets_are_not_tickets(installation: Installation) -> None:
    await installation.user()
    pair = await tokens_of(installation)
    for text in ("", pair["access_token"], pair["refresh_token"], "netra_tkt_", "x" * 10_000, "\ud800", "\0"):
        with pytest.raises(NotAuthenticated):
            await installation.identity.redeem_ticket(text)
        with pytest.raises(NotAuthenticated):
            await installation.identity.authenticate_cookie(text)


async def test_tickets_of_one_user_are_bounded_and_come_back_with_time(installation: Installation) -> None:
    await installation.user()
    client = await installation.signed_in()
    for _ in range(100):
        await ticket_of(client)
    assert (await client.post("/api/tickets")).status_code == 429
    installation.clock.advance(30)
    await ticket_of(client)


# What is kept


async def test_no_secret_is_stored_in_the_clear(install: Install) -> None:
    installation = await install()
    setup_token = installation.identity.setup_token
    assert setup_token is not None
    await installation.user()
    page = installation.page()
    pair = (await page.post("/api/auth/login", json={"email": "ada@example.com", "password": PASSWORD})).json()
    personal = (await page.post("/api/tokens", json={"name": "script"})).json()["token"]
    ticket = await ticket_of(page)
    secrets = [PASSWORD, setup_token, pair["refresh_token"], pair["access_token"], personal, ticket]
    secrets += list(page.cookies.values())
    stored = ""
    async with installation.database.read() as connection:
        for table in metadata.sorted_tables:
            stored += repr((await connection.execute(select(table))).all())
    for secret in secrets:
        assert secret not in stored
        assert re.sub("^netra_[a-z]+_", "", secret) not in stored


async def test_what_ended_long_ago_is_forgotten(installation: Installation) -> None:
    await installation.user()
    pair = await tokens_of(installation)
    await installation.client().post("/api/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    client = await installation.signed_in()
    made = (await client.post("/api/tokens", json={"name": "script"})).json()
    await client.delete(f"/api/tokens/{made['id']}")
    await ticket_of(client)
    installation.clock.advance(days=61)
    await installation.identity.purge()
    async with installation.database.read() as connection:
        for table in (logins, refresh_tokens, access_tokens, tickets):
            assert (await connection.execute(select(table))).all() == [], table.name
        assert len((await connection.execute(select(users))).all()) == 1
