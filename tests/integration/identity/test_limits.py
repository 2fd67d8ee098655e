"""Guessing is limited per account and per address, and the address is the real one."""

from __future__ import annotations

import asyncio
import time

import httpx

from .conftest import PASSWORD, Install, Installation


async def guess(client: httpx.AsyncClient, email: str, password: str = "wrong password", **options: object) -> int:
    answer = await client.post("/api/auth/login", json={"email": email, "password": password}, **options)  # type: ignore[arg-type]
    return answer.status_code


async def test_an_account_can_be_guessed_at_only_so_often_from_however_many_addresses(install: Install) -> None:
    installation = await install(login_attempts=3)
    await installation.user()
    for number in range(3):
        assert await guess(installation.client(f"203.0.113.{number}"), "ada@example.com") == 401
    client = installation.client("203.0.113.200")
    answer = await client.post("/api/auth/login", json={"email": " Ada@Example.COM", "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["retry-after"] == "900"
    installation.clock.advance(900)
    assert await guess(client, "ada@example.com", PASSWORD) == 200


async def test_accounts_that_do_not_exist_are_limited_alike(install: Install) -> None:
    installation = await install(login_attempts=3)
    await installation.user()
    for email in ("ada@example.com", "nobody@example.com"):
        client = installation.client()
        assert [await guess(client, email) for _ in range(5)] == [401, 401, 401, 429, 429], email


async def test_the_right_password_of_a_disabled_account_is_a_failure_too(install: Install) -> None:
    installation = await install(login_attempts=2)
    await installation.identity.disable(await installation.user())
    client = installation.client()
    assert [await guess(client, "ada@example.com", PASSWORD) for _ in range(3)] == [401, 401, 429]


async def test_an_address_can_try_only_so_many_accounts(install: Install) -> None:
    installation = await install(login_attempts=2)
    await installation.user()
    client = installation.client()
    assert [await guess(client, f"user{number}@example.com") for number in range(11)] == [401] * 10 + [429]
    assert await guess(client, "ada@example.com", PASSWORD) == 429
    assert await guess(installation.client("198.51.100.77"), "ada@example.com", PASSWORD) == 200


async def test_an_address_of_version_6_is_its_network(install: Install) -> None:
    installation = await install(login_attempts=1)
    for number in range(5):
        assert await guess(installation.client(f"2001:db8::{number}"), f"user{number}@example.com") == 401
    assert await guess(installation.client("2001:db8::ffff"), "other@example.com") == 429
    assert await guess(installation.client("2001:db8:0:1::1"), "another@example.com") == 401


async def test_a_success_clears_the_account_and_not_the_address(install: Install) -> None:
    installation = await install(login_attempts=2)
    await installation.user()
    client = installation.client()
    for _ in range(4):
        assert await guess(client, "ada@example.com") == 401
        assert await guess(client, "ada@example.com", PASSWORD) == 200
    for number in range(6):
        assert await guess(client, f"user{number}@example.com") == 401
    assert await guess(client, "ada@example.com", PASSWORD) == 429


async def test_guesses_sent_at_once_are_not_free(install: Install) -> None:
    installation = await install(login_attempts=5)
    await installation.user()
    clients = [installation.client(f"203.0.113.{number}") for number in range(40)]
    statuses = await asyncio.gather(*(guess(client, "ada@example.com") for client in clients))
    assert statuses.count(401) == 5
    assert statuses.count(429) == 35


async def test_many_right_sign_ins_at_once_all_succeed(installation: Installation) -> None:
    await installation.user()
    clients = [installation.client() for _ in range(30)]
    assert set(await asyncio.gather(*(guess(client, "ada@example.com", PASSWORD) for client in clients))) == {200}


async def test_a_storm_of_sign_ins_leaves_the_event_loop_free(installation: Installation) -> None:
    await installation.user()
    loop, everything = time.thread_time(), time.process_time()
    answers = await asyncio.gather(*(guess(installation.client(), "ada@example.com", PASSWORD) for _ in range(40)))
    loop, everything = time.thread_time() - loop, time.process_time() - everything
    assert set(answers) == {200}
    # Forty hashes take a second or more of processor time, nearly all there is; none of it may be the loop's.
    assert loop < everything / 2


async def test_forwarded_for_counts_only_from_trusted_proxies(install: Install) -> None:
    installation = await install(login_attempts=1, trusted_proxies=["10.0.0.1", "192.168.0.0/16"])

    async def tries(peer: str, *forwarded: str) -> int:
        tries.number += 1  # type: ignore[attr-defined]
        headers = [("X-Forwarded-For", value) for value in forwarded]
        return await guess(installation.client(peer), f"user{tries.number}@example.com", headers=headers)  # type: ignore[attr-defined]

    tries.number = 0  # type: ignore[attr-defined]
    # An attacker who is no proxy writes what he likes and stays who he is.
    assert [await tries("198.51.100.1", f"203.0.113.{number}") for number in range(6)] == [401] * 5 + [429]
    # One behind the proxy writes what he likes into the left part; the proxy adds where he came from.
    assert [await tries("10.0.0.1", f"1.2.3.{n}, 198.51.100.2") for n in range(6)] == [401] * 5 + [429]
    # The same through two proxies, and with the header in two lines.
    assert await tries("10.0.0.1", "1.2.3.9", "198.51.100.2, 192.168.7.7") == 429
    # Another client behind the same proxy is somebody else.
    assert await tries("10.0.0.1", "198.51.100.3") == 401
    # Nonsense ends the walk at the last hop that is known.
    assert [await tries("10.0.0.1", f"198.51.100.4, nonsense{n}") for n in range(6)] == [401] * 5 + [429]


async def test_registering_taken_emails_is_limited_and_registering_is_not(install: Install) -> None:
    installation = await install(login_attempts=1, allow_registration=True)
    client = installation.client()

    async def register(email: str) -> int:
        answer = await client.post("/api/auth/register", json={"email": email, "password": PASSWORD})
        return answer.status_code

    assert [await register(f"user{number}@example.com") for number in range(7)] == [201] * 7
    assert [await register("user1@example.com") for _ in range(6)] == [409] * 5 + [429]
