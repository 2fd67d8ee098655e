"""The server and the people of the browser tests. One server serves them all; each test has users of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.accounts import Account, set_up_admin
from support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from support.chat_page import ChatPage

DATA = Path(__file__).parents[1] / "data"
NAMES = ("streaming", "tools", "approving", "endless", "broken", "echo", "document", "hostile")
AGENTS = ("netra.agents.optimizer:optimizer", *(f"support.agents:{name}" for name in NAMES))
ENVIRONMENT = {
    "NETRA_ALLOW_REGISTRATION": "true",
    "NETRA_FILE_BYTES": str(4 * 1024 * 1024),
    "NETRA_LOGIN_ATTEMPTS": "5",
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the built-in agent and the test agents."""
    with ServerProcess(tmp_path_factory.mktemp("e2e"), agents=AGENTS, environment=ENVIRONMENT) as process:
        yield process


@pytest.fixture(scope="session", autouse=True)
def admin(server: ServerProcess) -> Account:
    """Its administrator. Its own fixture: the shared one may stand already, for the other tests' server."""
    return set_up_admin(server)


@pytest.fixture(scope="session", autouse=True)
def _patience(browser_type_launch_args: dict[str, object]) -> None:
    """What is awaited may take long on a busy machine; nothing is faster for waiting less."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)


@pytest.fixture
def sign_in_context() -> Callable[[BrowserContext, Account], None]:
    """Give a browser the login cookie of an account, without the form."""

    def enter(context: BrowserContext, account: Account, base_url: str | None = None) -> None:
        answer = context.request.post(
            f"{base_url or account.base_url}/api/auth/login",
            data={"email": account.email, "password": account.password},
        )
        assert answer.ok, answer.text()

    return enter


@pytest.fixture
def open_chat(
    new_context: Callable[..., BrowserContext], sign_in_context: Callable[..., None]
) -> Callable[..., ChatPage]:
    """Open the page as somebody, in a browser (a device) of their own."""
    from playwright.sync_api import expect

    from support.chat_page import ChatPage

    def open_page(
        account: Account,
        path: str = "/chat",
        *,
        base_url: str | None = None,
        size: tuple[int, int] | None = None,
        **options: object,
    ) -> ChatPage:
        context = new_context(**options)
        sign_in_context(context, account, base_url)
        chat = ChatPage(context.new_page())
        if size is not None:
            chat.page.set_viewport_size({"width": size[0], "height": size[1]})
        chat.page.goto(f"{base_url or account.base_url}{path}")
        if path.startswith("/chat"):
            expect(chat.composer).to_be_visible()
        return chat

    return open_page


@pytest.fixture
def chat(open_chat: Callable[..., ChatPage], user: Account) -> ChatPage:
    """The page of a user of the test's own."""
    return open_chat(user)


@pytest.fixture
def code_csv() -> Path:
    """A day of requests to a code model, without a column for the model."""
    return DATA / "azure-llm-inference-2023" / "code.csv"
