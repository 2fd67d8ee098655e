"""One server with busy agents, and people on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from support.accounts import Account, register
from support.server import ServerProcess

AGENTS = [f"support.chatty:{name}" for name in ("talk", "flood", "hang", "big", "ask")]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose agents are those of `support.chatty`."""
    environment = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_RUNS_RUNNING": "4", "NETRA_SOCKETS_PER_USER": "40"}
    with ServerProcess(tmp_path_factory.mktemp("chat"), agents=AGENTS, environment=environment) as server:
        yield server
        assert server.tracebacks == []


@pytest.fixture
def join(chat: ServerProcess) -> Callable[[], Account]:
    """A further user of that server."""
    return lambda: register(chat.base_url)


@pytest.fixture
def ann(join: Callable[[], Account]) -> Account:
    return join()


@pytest.fixture
def bob(join: Callable[[], Account]) -> Account:
    return join()
