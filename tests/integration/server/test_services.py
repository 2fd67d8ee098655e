"""The helpers that the specification names: services that start for real, and people who sign in for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from test_framework.fixtures.lightweight_services import LightweightServicesFixture
from test_framework.ssot.e2e_auth_helper import Account, register, sign_in
from websockets.asyncio.client import connect

from support.sockets import open_socket


@pytest.mark.spec("framework.lightweight-services")
def test_services_on_sqlite_are_a_database_a_server_and_people_and_leave_nothing_behind() -> None:
    with LightweightServicesFixture(agents=["support.agents:echo"]) as services:
        assert Path(services.database_url.removeprefix("sqlite:///")).is_file()
        with services.admin.client() as client:
            assert "admin" in client.get("/api/me").json()["user"]["roles"]
        user = services.new_user()
        assert user.id != services.admin.id
        folder, pid = services.server.data_dir.parent, services.server.pid
        assert f"/{folder.name}/" in services.database_url
    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.postgres
@pytest.mark.spec("framework.lightweight-services")
def test_services_on_postgresql_keep_their_users_in_it() -> None:
    with LightweightServicesFixture("postgresql") as services:
        user = services.new_user()
        with psycopg.connect(services.database_url) as connection:
            rows = connection.execute("SELECT email FROM users WHERE id = %s", [user.id]).fetchall()
        assert rows == [(user.email,)]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(services.database_url)


@pytest.mark.postgres
def test_what_was_started_ends_when_a_later_part_does_not_start() -> None:
    services = LightweightServicesFixture("postgresql", agents=["support.agents:nothing"])
    with pytest.raises(RuntimeError, match="did not become ready"), services:
        pytest.fail("it started")
    assert not services.server.data_dir.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(services.database_url)


def test_another_database_is_refused() -> None:
    with pytest.raises(ValueError, match="not 'mysql'"):
        LightweightServicesFixture("mysql")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def people() -> Iterator[LightweightServicesFixture]:
    with LightweightServicesFixture() as services:
        yield services


@pytest.mark.spec("framework.auth-helper")
def test_a_registered_user_signs_in_again_and_proves_who_asks(people: LightweightServicesFixture) -> None:
    base_url = people.server.base_url
    ann = register(base_url, "ann@example.com", "a password of her own")
    again = sign_in(base_url, ann.email, ann.password)
    assert (again.id, again.email) == (ann.id, "ann@example.com")
    assert again.access_token != ann.access_token
    answer = httpx.get(f"{base_url}/api/me", headers=again.headers, trust_env=False)
    assert answer.json()["user"]["id"] == ann.id
    assert ann.access_token not in repr(ann)


@pytest.mark.spec("framework.auth-helper")
def test_a_wrong_password_signs_nobody_in(people: LightweightServicesFixture) -> None:
    ben = people.new_user()
    with pytest.raises(AssertionError, match="answered 401"):
        sign_in(ben.base_url, ben.email, "something else entirely")


@pytest.mark.spec("framework.auth-helper")
async def test_headers_and_tickets_open_sockets(people: LightweightServicesFixture) -> None:
    user: Account = people.new_user()
    async with open_socket(user) as socket:
        first = await socket.of_type("connection_established")
    url = f"{people.server.ws_url}?ticket={user.ticket()}"
    async with connect(url, subprotocols=["netra.v1"], proxy=None) as connection:
        assert f'"{first["user"]["id"]}"' in str(await connection.recv())
