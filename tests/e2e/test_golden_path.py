"""The first thing Netra must do, whole: attach real usage, ask, watch the agent work, get a correct report."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from genai_prices import Usage, calc_price
from playwright.sync_api import Locator, WebSocket, expect

from support.accounts import Account
from support.chat_page import ChatPage

QUESTION = "Where does my AI spend go, and how could I cut it?"
SUB_AGENTS = ("Triage", "Data", "Optimization", "Report")


def price_of(path: Path, model: str) -> Decimal:
    """The spend in USD, summed over the rows of the file by other means than the agent's."""
    now = datetime.now(UTC)
    with path.open(newline="") as file:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]
    return sum(
        (
            calc_price(Usage(input_tokens=sent, output_tokens=got), model, genai_request_timestamp=now).total_price
            for sent, got in rows
        ),
        Decimal(0),
    )


def amounts(table: Locator, column: int) -> tuple[list[Decimal], Decimal]:
    """The amounts of a column, and its total in the last row."""
    rows = table.get_by_role("row").all()[1:]
    cells = [row.get_by_role("cell").nth(column).inner_text() for row in rows]
    figures = [Decimal(re.sub(r"[$,]", "", cell)) for cell in cells]
    return figures[:-1], figures[-1]


def test_attach_ask_watch_and_read_a_correct_report(
    open_chat: Callable[..., ChatPage], user: Account, code_csv: Path
) -> None:
    chat = open_chat(user)
    page = chat.page
    frames: list[dict[str, Any]] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda data: frames.append(json.loads(data)))

    page.on("websocket", listen)
    page.reload()
    # What the run card says at any moment, as a person would see it pass.
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                for (const card of document.querySelectorAll('[aria-label^="Run of"]')) {
                    const text = card.innerText;
                    if (window.seen.at(-1) !== text) window.seen.push(text);
                }
            }).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    chat.attach(code_csv)
    expect(page.get_by_text("304 KiB")).to_be_visible()
    chat.ask(QUESTION)
    expect(chat.questions.get_by_role("link", name="code.csv")).to_be_visible()

    # The file names no model: the agent asks instead of guessing, and offers answers.
    asked = chat.answered(1)
    expect(asked).to_contain_text("Which model should I price this as?")
    page.get_by_role("list", name="Suggested next messages").get_by_role(
        "button", name="Price it as gpt-4o"
    ).first.click()

    report = chat.answered(2)
    total = price_of(code_csv, "gpt-4o")
    expect(report).to_contain_text(f"You spent ${total:.2f}")
    expect(chat.questions).to_have_count(2)

    # Every money table of the report adds up to its total as shown.
    checked = 0
    for table in report.get_by_role("table").all():
        last = table.get_by_role("row").last.get_by_role("cell")
        texts = last.all_inner_texts()
        if not texts or texts[0].strip() not in ("Total", "Together"):
            continue
        column = next(index for index in reversed(range(len(texts))) if texts[index].startswith("$"))
        parts, whole = amounts(table, column)
        assert sum(parts) == whole, texts
        checked += 1
    assert checked >= 2

    # Charts are drawn, and each has its figures as a table.
    figures = report.get_by_role("figure")
    assert figures.count() >= 2
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure.get_by_role("img")).to_have_accessible_name(re.compile("chart of"))
        figure.get_by_role("button", name="View as table").click()
        expect(figure.get_by_role("table")).to_be_visible()
    over_time = report.get_by_role("figure", name=re.compile("Spend", re.IGNORECASE)).first
    shown = over_time.get_by_role("table").get_by_role("cell").all_inner_texts()
    charted = sum((Decimal(re.sub(r"[$,]", "", text)) for text in shown if text.startswith("$")), Decimal(0))
    assert abs(charted - total) < Decimal("0.05"), (charted, total)

    # All five kinds of events came live, in order, and the timeline shows each sub-agent and its tools.
    events = [frame for frame in frames if "seq" in frame and frame["type"] not in ("live", "ack")]
    kinds = {event["type"] for event in events}
    assert kinds >= {"agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"}
    thread = [event["seq"] for event in events if event.get("thread_id") == chat.thread_id and "prev" in event]
    assert thread == sorted(set(thread))
    seen = "\n".join(page.evaluate("window.seen"))
    for words in ("Using", "Thought", *SUB_AGENTS):
        assert words in seen, f"{words!r} was never shown while the agent worked"
    card = chat.open_run()
    for name in SUB_AGENTS:
        expect(card.get_by_role("list", name=f"Steps of {name}")).to_be_visible()
    for tool in ("profile_usage", "price_usage", "find_savings"):
        expect(card.get_by_role("button", name=re.compile(f"{tool}.*done", re.DOTALL))).to_be_visible()


def test_the_sample_button_leads_to_a_report(chat: ChatPage) -> None:
    chat.page.get_by_role("button", name="Try with sample data").click()
    expect(chat.composer).to_have_value(QUESTION)
    expect(chat.send).to_be_enabled()
    chat.send.click()
    report = chat.answered(1)
    expect(report).to_contain_text(re.compile(r"You spent \$[\d,.]+"))
    expect(report.get_by_role("figure").first).to_be_visible()


def test_what_was_asked_is_there_on_another_device_with_its_charts_and_files(
    open_chat: Callable[..., ChatPage], user: Account, code_csv: Path
) -> None:
    first = open_chat(user)
    first.attach(code_csv)
    first.ask(f"{QUESTION} Price it as gpt-4o.")
    expect(first.heading).not_to_have_text("New thread")
    first.page.context.close()  # in the middle of the run

    second = open_chat(user)
    second.threads.get_by_role("listitem").get_by_role("link").first.click()
    report = second.answered(1)
    expect(report).to_contain_text(f"You spent ${price_of(code_csv, 'gpt-4o'):.2f}")
    expect(report.get_by_role("figure").first).to_be_visible()
    with second.page.expect_download() as download:
        second.questions.get_by_role("link", name="code.csv").click()
    assert Path(download.value.path()).read_bytes() == code_csv.read_bytes()
    assert download.value.suggested_filename == "code.csv"
