"""What the page costs, printed rather than judged: a busy machine must not fail a test, but a person should see it.

Run with `-s` to read the figures.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, Response, expect

from support.accounts import Account
from support.agents import pieces
from support.chat_page import ChatPage

DELTAS = 5000
TURNS = 200
LARGEST_SCRIPT_KB = 200
LONG_TASKS = """() => {
    window.longTasks = [];
    new PerformanceObserver(list => window.longTasks.push(...list.getEntries().map(each => each.duration)))
        .observe({ type: 'longtask', buffered: false });
}"""


def measure(page: Page) -> tuple[CDPSession, dict[str, float]]:
    """A session of the browser's own meter, and what it says now."""
    meter = page.context.new_cdp_session(page)
    meter.send("Performance.enable")
    return meter, read(meter)


def read(meter: CDPSession) -> dict[str, float]:
    """Seconds of each kind of work so far."""
    return {each["name"]: each["value"] for each in meter.send("Performance.getMetrics")["metrics"]}


def report(what: str, meter: CDPSession, before: dict[str, float], page: Page) -> None:
    """Print the work since `before`."""
    after = read(meter)
    spent = {name: after[name] - before[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")}
    tasks: list[float] = page.evaluate("window.longTasks ?? []")
    print(f"\n{what}: " + ", ".join(f"{name[:-8].lower()} {1000 * value:.0f} ms" for name, value in spent.items()))
    print(f"  long tasks: {len(tasks)}, longest {max(tasks, default=0):.0f} ms")


def test_what_a_first_visit_loads_fits_the_budget(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user)
    scripts: dict[str, bytes] = {}

    def keep(response: Response) -> None:
        if re.search(r"\.js(\?|$)", response.url):
            scripts[response.url] = response.body()

    chat.page.on("response", keep)
    chat.page.reload()
    expect(chat.page.get_by_role("list", name="Examples")).to_be_visible()
    size = sum(len(gzip.compress(body)) for body in scripts.values()) / 1000
    print(f"\nfirst visit: {len(scripts)} scripts, {size:.0f} kB compressed")
    assert scripts
    assert size <= LARGEST_SCRIPT_KB


def test_a_long_stream_measured(chat: ChatPage) -> None:
    chat.page.evaluate(LONG_TASKS)
    meter, before = measure(chat.page)
    chat.ask(str(DELTAS), agent="Streaming")
    expect(chat.answer).to_have_attribute("aria-busy", "false", timeout=60_000)
    expect(chat.answer).to_contain_text(pieces(DELTAS)[-6:].strip())
    report(f"a stream of {DELTAS} pieces", meter, before, chat.page)


@pytest.mark.stress
@pytest.mark.timeout(240)
def test_opening_a_long_thread_measured(open_chat: Callable[..., ChatPage], user: Account) -> None:
    thread = long_thread(user)
    chat = open_chat(user)
    chat.page.evaluate(LONG_TASKS)
    meter, before = measure(chat.page)
    chat.threads.get_by_role("link").first.click()
    expect(chat.page).to_have_url(re.compile(thread))
    expect(chat.answers.last.get_by_role("heading", name="Section 2", exact=True)).to_be_in_viewport()
    report(f"a thread of {TURNS} turns", meter, before, chat.page)
    assert chat.answers.count() < TURNS
    chat.page.get_by_role("button", name=re.compile(r"^Show \d+ older messages")).click()
    # The way to the button may have shown older ones already, as scrolling up does.
    expect(chat.answers.nth(59)).to_be_attached()


def long_thread(user: Account) -> str:
    """A thread of `TURNS` answered questions."""
    with user.client() as client:
        first: dict[str, Any] = client.post(
            "/api/messages", json={"id": "turn-0", "content": "2", "agent": "document"}
        ).json()
        thread = str(first["thread_id"])
        for number in range(1, TURNS):
            body = {"id": f"turn-{number}", "content": "2", "agent": "document"}
            answer = client.post(f"/api/threads/{thread}/messages", json=body)
            while answer.status_code == 429:  # so many may wait
                wait_for_rest(user, thread)
                answer = client.post(f"/api/threads/{thread}/messages", json=body)
            assert answer.status_code == 202, answer.text
    wait_for_rest(user, thread)
    return thread


def wait_for_rest(user: Account, thread: str) -> None:
    """Return when no run of the thread is under way or waits, as its own stream says."""
    with (
        user.client() as client,
        client.stream("GET", f"/api/threads/{thread}/events", headers={"Accept": "text/event-stream"}) as stream,
    ):
        asked = ended = 0
        for line in stream.iter_lines():
            kind = json.loads(line[6:])["type"] if line.startswith("data: {") else ""
            asked += kind == "user_message"
            ended += kind == "agent_completed"
            if kind and asked == ended and not client.get(f"/api/threads/{thread}").json()["running"]:
                return
