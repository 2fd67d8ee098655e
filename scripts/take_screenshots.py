"""Takes the screenshots of the documents: a real server, the sample file, the question people begin with; a dashboard.

    python scripts/take_screenshots.py

Needs the test tools (`pip install -e '.[test]'`) and a Chromium. Writes docs/images/report-light.png, report-dark.png,
mobile.png and operations-light.png. The same page on the same machine gives nearly the same pictures; times differ.
"""

from __future__ import annotations

import itertools
import math
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402 - the tests' helpers are found by the line above

from support.accounts import PASSWORD, Account, register, set_up_admin  # noqa: E402
from support.browser import ARGUMENTS, chromium  # noqa: E402
from support.chat_page import ChatPage  # noqa: E402
from support.runs import begin  # noqa: E402
from support.server import ServerProcess  # noqa: E402

IMAGES = ROOT / "docs" / "images"
AGENTS = (
    "netra.agents.optimizer:optimizer",
    *(f"support.agents:{name}" for name in ("streaming", "tools", "echo", "broken")),
)
WIDE = (1280, 860)
NARROW = (390, 844)
PATIENCE_MS = 60_000
TRAFFIC_SECONDS = 12 * 60  # their tokens are good for a quarter of an hour
PAUSE_SECONDS = 10
PEOPLE = 8
RUNNING = 3


def main() -> None:
    """Start a server, make the report once and take it in three ways; then take the dashboard, after some traffic."""
    path = chromium()
    if path is None:
        raise SystemExit("There is no Chromium. Install one, or name it in NETRA_CHROMIUM.")
    expect.set_options(timeout=PATIENCE_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        ServerProcess(Path(data), agents=AGENTS, environment={"NETRA_ALLOW_REGISTRATION": "true"}) as server,
        sync_playwright() as playwright,
    ):
        account = set_up_admin(server, email="ada@example.com")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        thread = ask(browser, account)
        take(browser, account, thread, "report-light", WIDE, "light")
        take(browser, account, thread, "report-dark", WIDE, "dark")
        take(browser, account, thread, "mobile", NARROW, "light")
        work(server)
        take_operations(browser, account)
        browser.close()


def open_page(browser: Browser, account: Account, path: str, size: tuple[int, int], theme: str) -> ChatPage:
    """The page as somebody who is signed in."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=2,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    login = {"email": account.email, "password": PASSWORD}
    assert context.request.post(f"{account.base_url}/api/auth/login", data=login).ok
    chat = ChatPage(context.new_page())
    chat.page.goto(account.base_url + path)
    return chat


def ask(browser: Browser, account: Account) -> str:
    """Ask the first example over the sample data; the id of the thread with the report."""
    chat = open_page(browser, account, "/chat", WIDE, "light")
    chat.page.get_by_role("button", name="Try with sample data").click()
    expect(chat.send).to_be_enabled()
    chat.send.click()
    expect(chat.answered(1).get_by_role("figure").first).to_be_visible()
    thread = chat.thread_id
    chat.page.context.close()
    return thread


def work(server: ServerProcess) -> None:
    """Twelve minutes of a few people's messages, so that the charts are full; some are being answered still."""
    people = [register(server.base_url) for _ in range(PEOPLE)]
    threads: dict[tuple[str, str], str] = {}

    def say(who: Account, agent: str, content: str) -> None:
        key = who.id, agent
        threads[key] = begin(who, agent, content, thread=threads.get(key))["thread_id"]

    began = time.monotonic()
    for number in itertools.count():
        if time.monotonic() - began > TRAFFIC_SECONDS:
            break
        # More and more of them work, then fewer.
        busy = 1 + round((PEOPLE - 1) * math.sin(math.pi * (time.monotonic() - began) / TRAFFIC_SECONDS))
        who = people[number % busy]
        say(who, "streaming", str(400 + number * 7 % 11 * 400))
        say(who, "broken" if number % 25 == 7 else "tools" if number % 2 else "echo", "Hello")
        time.sleep(PAUSE_SECONDS * (0.4 + number % 5 / 3) / busy)
    for who in people[:RUNNING]:
        say(who, "streaming", "20000")


def take_operations(browser: Browser, account: Account) -> None:
    """Photograph the overview."""
    page = open_page(browser, account, "/ops?range=15", WIDE, "light").page
    expect(page.get_by_text("updated now")).to_be_visible()
    expect(page.get_by_role("figure", name="Executions", exact=True).get_by_role("img")).to_be_visible()
    page.wait_for_timeout(3000)  # the charts take in the pushed pictures
    page.screenshot(path=IMAGES / "operations-light.png")
    print("docs/images/operations-light.png")
    page.context.close()


def take(browser: Browser, account: Account, thread: str, name: str, size: tuple[int, int], theme: str) -> None:
    """Photograph the beginning of the report, with the steps of its run where there is room for them."""
    chat = open_page(browser, account, f"/chat/{thread}", size, theme)
    answer = chat.answered(1)
    if size == WIDE:
        answer.get_by_role("button", name="Details").click()
        expect(chat.page.get_by_role("complementary", name="Run details")).to_be_visible()
    chart = answer.get_by_role("figure").first
    chart.scroll_into_view_if_needed()
    expect(chart.get_by_role("img")).to_be_visible()
    chat.conversation.evaluate("view => view.scrollTo(0, 0)")
    chat.page.mouse.move(0, 0)
    chat.page.evaluate("document.activeElement?.blur()")
    chat.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    chat.page.screenshot(path=IMAGES / f"{name}.png")
    print(f"{(IMAGES / name).relative_to(ROOT)}.png")
    chat.page.context.close()


if __name__ == "__main__":
    main()
