"""A server on each database, its administrator, and somebody who is none."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from support.accounts import Account, register, set_up_admin
from support.server import ServerProcess

AGENTS = [f"support.agents:{name}" for name in ("echo", "endless", "approving")]


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The server, for the tests of all files here."""
    url = request.getfixturevalue("postgres").create_database() if request.param == "postgresql" else None
    environment = {"NETRA_ALLOW_REGISTRATION": "true"}
    data_dir = tmp_path_factory.mktemp("admin")
    with ServerProcess(data_dir, agents=AGENTS, database_url=url, environment=environment) as process:
        yield process
        assert process.tracebacks == []


@pytest.fixture(scope="session")
def admin(server: ServerProcess) -> Account:
    return set_up_admin(server)


@pytest.fixture
def operator(admin: Account) -> Iterator[httpx.Client]:
    """A client that asks as the administrator."""
    with admin.client() as client:
        yield client


@pytest.fixture
def ann(server: ServerProcess, admin: Account) -> Account:
    """A user, who is no administrator."""
    assert admin.id
    return register(server.base_url)
