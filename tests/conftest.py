"""Fixtures every test may use: databases, servers, people, browsers. What they are made of is in `tests/support`.

`NETRA_REQUIRE_POSTGRES=1` and `NETRA_REQUIRE_BROWSER=1` turn the skip of a machine without PostgreSQL or Chromium into
a failure; continuous integration sets both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.accounts import Account, register, set_up_admin
from support.ports import free_port
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from support.browser import Console
    from support.postgres import PostgresServer

_BROWSER_FIXTURES = {"browser", "context", "new_context", "page"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark browser tests and put them last: Playwright's own event loop would stop asynchronous tests after them."""
    browser: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        if _BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(f"browser {item.path}"))
            browser.append(item)
        else:
            others.append(item)
    items[:] = others + browser


def _missing(what: str, variable: str) -> None:
    if os.environ.get(variable) == "1":
        pytest.fail(f"{what}, and {variable}=1 asks for it", pytrace=False)
    pytest.skip(what)


# Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started when the first test asks for it."""
    try:
        from support.postgres import PostgresServer
    except ImportError as error:
        _missing(f"no PostgreSQL: {error}", "NETRA_REQUIRE_POSTGRES")
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database of its own for each test."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database; a test that asks for this runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'netra.db'}"
    return str(request.getfixturevalue("postgres_url"))


# Servers and people


@pytest.fixture
def port() -> int:
    """A free port on 127.0.0.1."""
    return free_port()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start a server of the test's own; takes the arguments of `ServerProcess` except the data directory."""
    servers: list[ServerProcess] = []

    def start(**options: Any) -> ServerProcess:
        data_dir = options.pop("data_dir", tmp_path / f"server{len(servers)}")
        environment = {"NETRA_ALLOW_REGISTRATION": "true", **options.pop("environment", {})}
        server = ServerProcess(data_dir, environment=environment, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server shared by tests that do not stop it; anybody may register, and its administrator exists."""
    data_dir = tmp_path_factory.mktemp("shared-server")
    environment = {"NETRA_ALLOW_REGISTRATION": "true"}
    with ServerProcess(data_dir, environment=environment) as process:
        yield process


@pytest.fixture(scope="session")
def admin(server: ServerProcess) -> Account:
    """The administrator of the shared server."""
    return set_up_admin(server)


@pytest.fixture
def new_user(server: ServerProcess, admin: Account) -> Callable[[], Account]:
    """Make a further user of the shared server."""
    assert admin.id
    return lambda: register(server.base_url)


@pytest.fixture
def user(new_user: Callable[[], Account]) -> Account:
    """A user of the shared server, nobody else's."""
    return new_user()


# Browsers (pytest-playwright asks for these by name)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own Chromium; Playwright's download is never used."""
    from support.browser import ARGUMENTS, chromium

    path = chromium()
    if path is None:
        _missing("no Chromium: apt-get install chromium", "NETRA_REQUIRE_BROWSER")
    return {**browser_type_launch_args, "executable_path": path, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """The same language, zone and size wherever tests run."""
    return {
        **browser_context_args,
        "locale": "en-GB",
        "timezone_id": "Europe/Berlin",
        "viewport": {"width": 1280, "height": 800},
    }


@pytest.fixture
def console() -> Iterator[Console]:
    """What the pages of this test complained about; anything not allowed fails it."""
    from support.browser import Console

    watched = Console()
    yield watched
    assert not watched.unexpected, "\n".join(watched.unexpected)


@pytest.fixture
def new_context(new_context: Callable[..., BrowserContext], console: Console) -> Callable[..., BrowserContext]:
    """A fresh browser (its own cookies) whose console is watched."""

    def open_context(**options: Any) -> BrowserContext:
        context = new_context(**options)
        console.watch(context)
        return context

    return open_context


@pytest.fixture(scope="session")
def base_url(server: ServerProcess) -> str:
    """Where `page.goto("/")` leads."""
    return server.base_url
