"""Takes the screenshots of the README: a real server, the sample file, the question people begin with.

    python scripts/take_screenshots.py

Needs the test tools (`pip install -e '.[test]'`) and a Chromium. Writes docs/images/report-light.png, report-dark.png
and mobile.png. The same page on the same machine gives nearly the same pictures; times in them differ.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402 - the tests' helpers are found by the line above

from support.accounts import PASSWORD, Account, set_up_admin  # noqa: E402
from support.browser import ARGUMENTS, chromium  # noqa: E402
from support.chat_page import ChatPage  # noqa: E402
from support.server import ServerProcess  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDE = (1280, 860)
NARROW = (390, 844)
PATIENCE_MS = 60_000


def main() -> None:
    """Start a server, make the report once, and take it in three ways."""
    path = chromium()
    if path is None:
        raise SystemExit("There is no Chromium. Install one, or name it in NETRA_CHROMIUM.")
    expect.set_options(timeout=PATIENCE_MS)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, ServerProcess(Path(data)) as server, sync_playwright() as playwright:
        account = set_up_admin(server, email="ada@example.com")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        thread = ask(browser, account)
        take(browser, account, thread, "report-light", WIDE, "light")
        take(browser, account, thread, "report-dark", WIDE, "dark")
        take(browser, account, thread, "mobile", NARROW, "light")
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
