"""The page from its sources, as `netra dev --ui` serves it: a real browser works with the server behind Vite."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.accounts import PASSWORD
from support.chat_page import ChatPage
from support.dev_process import ROOT, DevProcess, make_checkout

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.real_services, pytest.mark.authenticated]
AGENT = "from netra import agent\n\n@agent\nasync def repeat(ctx):\n    await ctx.stream(ctx.message.content)\n"
READ_STREAM = """async path => {
  const response = await fetch(path, { headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("agent_completed")) text += (await reader.read()).value;
  await reader.cancel();
  return text;
}"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with `ui/`. Its packages are those of this one, if they are installed here; else npm gets them."""
    checkout = make_checkout(tmp_path / "checkout")
    shutil.copytree(ROOT / "ui", checkout / "ui", ignore=shutil.ignore_patterns("node_modules", "test"))
    installed = ROOT / "ui" / "node_modules"
    if installed.is_dir():
        packages = checkout / "ui" / "node_modules"
        packages.mkdir()
        for entry in installed.iterdir():
            if entry.name != ".vite":  # what Vite makes of them is each checkout's own
                (packages / entry.name).symlink_to(entry)
    (checkout / "my_agents.py").write_text(AGENT)
    return checkout


@pytest.fixture
def dev(checkout: Path) -> Iterator[DevProcess]:
    """`netra dev` with the page's development server, on the Node that every machine with the test tools has."""
    with DevProcess(checkout, "my_agents:repeat", "--ui", environment={"NETRA_NODE": "wheel"}) as process:
        process.wait_until_ready()
        yield process
        assert process.interrupt() < 5


def test_people_enter_and_read_answers_over_socket_and_stream_through_the_pages_server(
    dev: DevProcess, browser: Browser
) -> None:
    from playwright.sync_api import expect

    page = browser.new_page()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{dev.base_url}/setup#token={dev.setup_token}")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    chat = ChatPage(page)
    expect(chat.composer).to_be_visible(timeout=20_000)

    chat.ask("Say this again")
    expect(chat.answered(1)).to_contain_text("Say this again", timeout=20_000)
    assert f"{dev.base_url.replace('http', 'ws')}/ws" in sockets

    stream = page.evaluate(READ_STREAM, f"/api/threads/{chat.thread_id}/events?after=0")
    assert re.findall(r'"type":"(user_message|agent_started|agent_completed)"', stream) == [
        "user_message",
        "agent_started",
        "agent_completed",
    ]
    page.goto(f"{dev.base_url}/ops/report")
    expect(page.get_by_role("heading", name="Netra, week from")).to_be_visible()
    page.close()
