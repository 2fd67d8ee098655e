"""Open sockets end with their credentials, whoever ended those: this server, another one, or the command line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Engine, event

from netra.errors import Unavailable
from netra.identity import Principal
from netra.identity.passwords import Passwords
from netra.identity.personal import PersonalTokens
from netra.identity.principal import ADMIN
from netra.identity.users import Users
from netra.storage.audit import Actor

from .conftest import PASSWORD, Install, Installation


async def principals_of(installation: Installation, email: str) -> tuple[Principal, Principal, Principal]:
    """One of each kind: by cookie, by access token, by personal access token."""
    page = await installation.signed_in(email, page=True)
    cookie = await installation.identity.authenticate_cookie(next(iter(page.cookies.values())))
    answer = await installation.client().post("/api/auth/login", json={"email": email, "password": PASSWORD})
    bearer = await installation.identity.authenticate_bearer(answer.json()["access_token"])
    token = (await page.post("/api/tokens", json={"name": "script"})).json()["token"]
    return cookie, bearer, await installation.identity.authenticate_bearer(token)


async def test_what_the_command_line_does_is_noticed_by_the_server(install: Install) -> None:
    server = await install()
    elsewhere = await install()  # another process: its own database connections, no callback reaches the server
    ada, eve = await server.user(), await server.user("eve@example.com")
    of_ada = await principals_of(server, "ada@example.com")
    of_eve = await principals_of(server, "eve@example.com")
    everybody = [*of_ada, *of_eve]
    assert await server.identity.still_valid_many(everybody) == [True] * 6

    async with Passwords(1) as passwords:
        users = Users(elsewhere.database, elsewhere.clock, passwords)
        tokens = PersonalTokens(elsewhere.database, elsewhere.clock)
        assert of_ada[2].access_token_id is not None
        await tokens.revoke(ada, of_ada[2].access_token_id)
        assert await server.identity.still_valid_many(everybody) == [True, True, False, True, True, True]
        await users.set_password(ada, "another good long password")
        assert await server.identity.still_valid_many(everybody) == [False, False, False, True, True, True]
        await users.disable(eve)
        assert await server.identity.still_valid_many(everybody) == [False] * 6
        await users.enable(eve)
        assert await server.identity.still_valid_many(everybody) == [False] * 6
    assert server.revoked == []


async def test_a_password_changed_at_one_server_ends_sockets_at_another(install: Install) -> None:
    server, elsewhere = await install(), await install()
    await server.user()
    cookie, bearer, personal = await principals_of(server, "ada@example.com")
    assert await server.identity.still_valid_many([cookie, bearer, personal]) == [True] * 3
    await elsewhere.identity.change_password(cookie, PASSWORD, "another good long password")
    assert await server.identity.still_valid_many([cookie, bearer, personal]) == [True, False, True]


async def test_a_role_taken_at_one_server_ends_sockets_at_another_that_still_have_it(install: Install) -> None:
    server, elsewhere = await install(), await install()
    ada = await server.user()
    await server.user("eve@example.com")
    actor = Actor("usr_other", "other@example.com")
    await server.identity.accounts.set_admin(actor, (await server.user("root@example.com")), True)
    await server.identity.accounts.set_admin(actor, ada, True)
    personal, other = (
        (await principals_of(server, "ada@example.com"))[2],
        await principals_of(server, "eve@example.com"),
    )
    assert ADMIN in personal.scope.roles
    assert await server.identity.still_valid_many([personal, *other]) == [True] * 4
    await elsewhere.identity.accounts.set_admin(actor, ada, False)
    assert await server.identity.still_valid_many([personal, *other]) == [False, True, True, True]


async def test_credentials_end_by_themselves(install: Install) -> None:
    installation = await install(session_days=1)
    await installation.user()
    cookie, bearer, personal = await principals_of(installation, "ada@example.com")
    assert await installation.identity.still_valid_many([cookie, bearer, personal]) == [True, True, True]
    installation.clock.advance(900)
    assert await installation.identity.still_valid_many([cookie, bearer, personal]) == [True, False, True]
    installation.clock.advance(days=1)
    assert await installation.identity.still_valid_many([cookie, bearer, personal]) == [False, False, True]


async def test_asking_for_thousands_costs_one_row_while_nothing_changes(installation: Installation) -> None:
    user_id = await installation.user()
    cookie, bearer, personal = await principals_of(installation, "ada@example.com")
    crowd = [cookie, bearer, personal] * 1000
    made_up = [Principal(cookie.user, cookie.scope, f"ses_{number}", None, None) for number in range(1200)]
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    assert await installation.identity.still_valid_many(crowd) == [True] * 3000
    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert await installation.identity.still_valid_many(crowd) == [True] * 3000
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len([text for text in statements if "SELECT" in text]) == 1
    assert await installation.identity.still_valid_many(crowd[:3] + made_up) == [True] * 3 + [False] * 1200
    await installation.identity.disable(user_id)
    assert await installation.identity.still_valid_many(crowd) == [False] * 3000
    assert await installation.identity.still_valid_many([]) == []


async def test_a_revocation_between_two_questions_is_never_missed(install: Install) -> None:
    server, elsewhere = await install(), await install()
    await server.user()
    for _ in range(10):
        page = await server.signed_in(page=True)
        principal = await server.identity.authenticate_cookie(next(iter(page.cookies.values())))
        assert principal.login_id is not None
        asking = asyncio.gather(*(server.identity.still_valid_many([principal]) for _ in range(5)))
        await asyncio.gather(asking, elsewhere.identity._logins.revoke(principal.login_id))
        assert await server.identity.still_valid_many([principal]) == [False]


async def test_an_absent_database_is_not_an_answer(installation: Installation) -> None:
    await installation.user()
    cookie, _, _ = await principals_of(installation, "ada@example.com")
    await asyncio.gather(*installation.identity._noting.values())
    await installation.database.stop()
    with pytest.raises(Unavailable):
        await installation.identity.still_valid_many([cookie])
