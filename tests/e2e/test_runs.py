"""A run as it is seen while it goes on: steps, text, stopping, approvals, failures, and messages that wait."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from support.accounts import Account
from support.agents import pieces
from support.chat_page import ChatPage


def test_parallel_tools_and_a_sub_agent_are_seen_while_they_work(chat: ChatPage, tmp_path: Path) -> None:
    chat.ask(str(tmp_path), agent="Tools")
    card = chat.answer.get_by_role("region", name="Run of Tools")
    steps = card.get_by_role("list", name="Steps", exact=True)
    research = card.get_by_role("list", name="Steps of Research")
    expect(chat.answer).to_have_attribute("aria-busy", "true")
    expect(
        steps.get_by_role("button", name=re.compile("search.*Search the archive.*running", re.DOTALL))
    ).to_be_visible()
    expect(research.get_by_role("button", name=re.compile("lookup.*running", re.DOTALL))).to_be_visible()
    expect(research.get_by_role("button", name=re.compile("fetch.*running", re.DOTALL))).to_be_visible()
    expect(steps.get_by_role("button", name=re.compile("Thought.*Three sources.*done", re.DOTALL))).to_be_visible()

    (tmp_path / "go").touch()
    expect(steps.get_by_role("button", name=re.compile("search.*done", re.DOTALL))).to_be_visible()
    expect(research.get_by_role("button", name=re.compile("fetch.*failed", re.DOTALL))).to_be_visible()
    expect(research.get_by_text("The source ledger did not answer.")).to_be_visible()
    expect(steps.get_by_role("button", name=re.compile("Thinking.*Two of them.*running", re.DOTALL))).to_be_visible()

    (tmp_path / "end").touch()
    expect(chat.answered()).to_contain_text("Two sources answered, one did not.")
    card = chat.open_run()
    card.get_by_role("button", name=re.compile("search.*done", re.DOTALL)).click()
    expect(card.get_by_role("group", name="Result")).to_contain_text('"hits": 3')
    expect(card.get_by_role("button", name=re.compile("3 tools, 1 failed"))).to_be_visible()
    assert "sk-secret" not in card.inner_text()

    chat.answer.get_by_role("button", name="Details").click()
    details = chat.page.get_by_role("complementary", name="Run details")
    expect(details).to_contain_text("Done in")
    details.get_by_role("button", name="Close details").click()
    expect(details).to_be_hidden()


def test_stopping_keeps_what_was_written(chat: ChatPage) -> None:
    chat.ask("go on", agent="Endless")
    expect(chat.answer).to_contain_text("The first half of a sentence")
    chat.stop.click()
    answer = chat.answered(1)
    expect(answer).to_contain_text(re.compile(r"Stopped by you after"))
    expect(answer.get_by_role("heading", name="Half a report")).to_be_visible()
    expect(answer).to_contain_text("The first half of a sentence")
    expect(chat.composer).to_be_focused()
    expect(chat.send).to_be_visible()
    chat.page.reload()
    expect(chat.answered(1)).to_contain_text("The first half of a sentence")


def test_a_message_sent_meanwhile_waits_for_its_turn(chat: ChatPage) -> None:
    chat.ask("first", agent="Endless")
    expect(chat.answer).to_contain_text("The first half of a sentence")
    chat.ask("second", agent="Echo")
    expect(chat.page.get_by_text("Queued")).to_be_visible()
    chat.stop.click()
    expect(chat.answers.first).to_contain_text("Stopped by you")
    expect(chat.answered(2)).to_contain_text("second")


def test_a_failed_run_says_why_and_can_be_tried_again(chat: ChatPage) -> None:
    chat.ask("anything", agent="Broken")
    answer = chat.answered(1)
    expect(answer.get_by_role("alert")).to_contain_text("This agent cannot do anything.")
    expect(answer.get_by_role("alert")).to_contain_text(re.compile(r"Run run_\w+, code \w+"))
    answer.get_by_role("button", name="Retry").click()
    chat.answered(2)
    expect(chat.questions.last).to_have_text("anything")


def test_an_approval_is_asked_for_on_a_card_and_its_answer_reaches_the_agent(chat: ChatPage) -> None:
    chat.ask("send it", agent="Approving")
    card = chat.page.get_by_role("form", name="Approving asks for your approval")
    expect(card).to_contain_text("Send the report to everybody?")
    expect(card).to_contain_text("Without an answer: denied.")
    card.get_by_label("Reason").fill("they asked for it")
    card.get_by_role("button", name="Approve").click()
    expect(chat.answered(1)).to_contain_text("Decision: approved, reason: they asked for it")
    expect(card).to_be_hidden()

    chat.ask("send it again")
    chat.page.get_by_role("form").get_by_role("button", name="Deny").click()
    expect(chat.answered(2)).to_contain_text("Decision: denied")


def test_an_approval_can_be_given_from_another_device(open_chat: Callable[..., ChatPage], user: Account) -> None:
    asker = open_chat(user)
    asker.ask("send it", agent="Approving")
    form = asker.page.get_by_role("form", name="Approving asks for your approval")
    expect(form).to_be_visible()
    phone = open_chat(user, f"/chat/{asker.thread_id}", size=(390, 844))
    phone.page.get_by_role("button", name="Approve").click()
    expect(asker.answered(1)).to_contain_text("Decision: approved")
    expect(form).to_be_hidden()


def test_an_answer_too_large_for_one_event_is_shown_whole(chat: ChatPage) -> None:
    chat.ask("400", agent="Document")
    answer = chat.answered(1)
    expect(answer.get_by_role("heading", name="Section 400", exact=True)).to_be_visible()
    expect(answer.get_by_role("heading", name=re.compile("^Section"))).to_have_count(400)


def test_a_long_stream_arrives_once_and_in_order(chat: ChatPage) -> None:
    chat.ask("600", agent="Streaming")
    expect(chat.answered(1)).to_contain_text(pieces(600).strip())


def test_code_can_be_copied(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user, permissions=["clipboard-read", "clipboard-write"])
    chat.ask("```sql\nselect 'a < b'\n```", agent="Echo")
    chat.answered(1)
    code = chat.answer.get_by_role("group", name="sql code")
    expect(code).to_have_text("select 'a < b'\n")
    chat.answer.get_by_role("button", name="Copy").first.click()
    expect(chat.answer.get_by_role("button", name="Copied")).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == "select 'a < b'\n"
