"""Flags, categories, and fixtures every test may use: databases, servers, people, browsers.

What the fixtures are made of is in `tests/support`. `--real-services` and `--authenticated` (or the environment
variables NETRA_TEST_REAL_SERVICES=1 and NETRA_TEST_AUTHENTICATED=1) allow what `support.services` guards.
`NETRA_REQUIRE_BROWSER=1` turns the skip of a machine without Chromium into a failure; continuous integration sets it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import services
from support.accounts import Account, register, set_up_admin
from support.categories import CATEGORIES, category_of
from support.ports import free_port
from support.schema import prepare
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from support.browser import Console
    from support.postgres import PostgresServer

_BROWSER_FIXTURES = {"browser", "context", "new_context", "page"}
_UNMEASURED = Path(__file__).parent / "integration" / "compliance"
"""Whole code bases are checked there, by code that cheaper tests cover: counting lines would double the time."""
_MARKERS = {"real_services": services.REAL_SERVICES, "authenticated": services.AUTHENTICATED}


def pytest_addoption(parser: pytest.Parser) -> None:
    for flag, meaning in services.MEANINGS.items():
        parser.addoption(flag, action="store_true", help=meaning)


def pytest_configure(config: pytest.Config) -> None:
    for category in CATEGORIES.values():
        config.addinivalue_line("markers", f"{category.name}: {category.meaning}")
    config.addinivalue_line("markers", "no_cover: is not measured (pytest-cov)")
    for marker, flag in _MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: needs {flag}, though no part of support says so")
        given = config.getoption(flag) or os.environ.get(f"NETRA_TEST_{marker.upper()}") == "1"
        services.allow(flag, bool(given))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, flag in _MARKERS.items():
        if item.get_closest_marker(marker) is not None:
            services.need(flag, "what it is marked with")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """FastAPI remembers what functions are, and with them forty applications and all their parts: hundreds of MB."""
    if (models := sys.modules.get("fastapi.dependencies.models")) is not None:
        for each in vars(models).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was left out for want of a flag."""
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    for flag in services.MEANINGS:
        if count := sum(f"add {flag}" in reason for reason in reasons):
            terminalreporter.write_line(f"{count} skipped: add {flag}", yellow=True, bold=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its category; put browser tests last: Playwright's own event loop would stop asynchronous
    tests after them."""
    browser: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        if (category := category_of(item.path)) is not None:
            item.add_marker(category.name)
        if item.path.is_relative_to(_UNMEASURED):
            item.add_marker(pytest.mark.no_cover)
        if _BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(f"browser {item.path}"))
            browser.append(item)
        else:
            others.append(item)
    items[:] = others + browser


# Databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started when the first test asks for it."""
    services.need(services.REAL_SERVICES, "PostgreSQL")
    try:
        from support.postgres import PostgresServer
    except ImportError as error:
        pytest.fail(f"no PostgreSQL ({error}), and {services.REAL_SERVICES} asks for it", pytrace=False)
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database of its own for each test, with the newest tables and nothing in them."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_kind(request: pytest.FixtureRequest) -> str:
    """A test that asks for this, or for what is made of it, runs on SQLite and on PostgreSQL."""
    return str(request.param)


@pytest.fixture
def database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the newest tables and nothing in them."""
    if database_kind == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    prepare(url)
    return url


@pytest.fixture
def empty_database_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'netra.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    url = postgres.create_database(empty=True)
    yield url
    postgres.drop_database(url)


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

    services.need(services.REAL_SERVICES, "Chromium")
    path = chromium()
    if path is None and os.environ.get("NETRA_REQUIRE_BROWSER") == "1":
        pytest.fail("no Chromium, and NETRA_REQUIRE_BROWSER=1 asks for it", pytrace=False)
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
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
