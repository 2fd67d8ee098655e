"""Feedback on answers: a thumb and a few words, kept with the thread and seen on every device of their author."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from support.accounts import Account
from support.browser import accessibility_violations
from support.chat_page import ChatPage


def good(answer: Locator) -> Locator:
    return answer.get_by_role("button", name="Good answer")


def bad(answer: Locator) -> Locator:
    return answer.get_by_role("button", name="Bad answer")


def test_a_thumb_and_words_are_kept_and_seen_on_another_device(
    open_chat: Callable[..., ChatPage], user: Account
) -> None:
    laptop = open_chat(user)
    laptop.ask("hello", agent="Echo")
    answer = laptop.answered(1)
    expect(bad(answer)).to_have_attribute("aria-pressed", "false")
    bad(answer).click()
    words = answer.get_by_role("textbox", name="What was wrong with it?")
    expect(words).to_be_focused()
    words.fill("It only repeats me.")
    answer.get_by_role("button", name="Send", exact=True).click()
    expect(laptop.page.get_by_text("your feedback is stored")).to_be_visible()
    expect(words).to_be_hidden()

    phone = open_chat(user, f"/chat/{laptop.thread_id}", size=(390, 844))
    expect(bad(phone.answered(1))).to_have_attribute("aria-pressed", "true")
    with user.client() as client:
        (item,) = client.get(f"/api/threads/{laptop.thread_id}/feedback").json()["items"]
    assert (item["rating"], item["text"]) == (-1, "It only repeats me.")


def test_a_thumb_can_be_changed_and_taken_back_by_keyboard(chat: ChatPage) -> None:
    chat.ask("hello", agent="Echo")
    answer = chat.answered(1)
    good(answer).press("Enter")
    expect(good(answer)).to_have_attribute("aria-pressed", "true")
    form = answer.get_by_role("textbox", name="What was good about it?")
    expect(form).to_be_focused()
    assert not accessibility_violations(chat.page)
    form.press("Escape")
    expect(form).to_be_hidden()
    bad(answer).press("Enter")
    expect(good(answer)).to_have_attribute("aria-pressed", "false")
    expect(bad(answer)).to_have_attribute("aria-pressed", "true")
    bad(answer).press("Enter")
    expect(bad(answer)).to_have_attribute("aria-pressed", "false")
    chat.page.reload()
    answer = chat.answered(1)
    expect(good(answer)).to_have_attribute("aria-pressed", "false")
    expect(bad(answer)).to_have_attribute("aria-pressed", "false")
