"""Everything with the keyboard alone, and the focus always where a person expects it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from support.accounts import PASSWORD, Account
from support.chat_page import ChatPage


def test_a_whole_visit_needs_no_mouse(page: object, user: Account) -> None:
    from playwright.sync_api import Page

    assert isinstance(page, Page)
    keys = page.keyboard
    page.goto("/")
    expect(page.get_by_label("Email")).to_be_focused()
    keys.type(user.email)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    chat = ChatPage(page)
    expect(chat.composer).to_be_focused()

    # Up to the agent picker and back, then send.
    while not chat.page.get_by_label("Agent", exact=True).evaluate("field => field === document.activeElement"):
        keys.press("Tab")
    keys.type("Endless")
    expect(chat.page.get_by_label("Agent", exact=True)).to_have_value("endless")
    keys.press("Shift+Tab")
    keys.press("Shift+Tab")
    expect(chat.composer).to_be_focused()
    keys.type("line one")
    keys.press("Shift+Enter")
    keys.type("line two")
    expect(chat.composer).to_have_value("line one\nline two")
    keys.press("Enter")
    expect(chat.questions.last).to_have_text("line one\nline two")
    expect(chat.answer).to_contain_text("The first half of a sentence")
    expect(chat.composer).to_be_focused()
    keys.press("Escape")
    expect(chat.answered(1)).to_contain_text("Stopped by you")
    expect(chat.composer).to_be_focused()

    # Search, new thread, back by Alt and the arrow.
    keys.press("Control+k")
    expect(page.get_by_role("searchbox", name="Search threads")).to_be_focused()
    keys.press("Control+Shift+O")
    expect(chat.heading).to_have_text("New thread")
    expect(chat.composer).to_be_focused()
    keys.press("Alt+ArrowDown")
    expect(chat.answers).to_have_count(1)
    expect(chat.heading).to_be_focused()

    # Single keys, while no field has the focus.
    keys.press("/")
    expect(chat.composer).to_be_focused()
    expect(chat.composer).to_have_value("")
    chat.conversation.focus()
    head = chat.answer.get_by_role("region", name=re.compile("^Run of")).get_by_role("button").first
    expect(head).to_have_attribute("aria-expanded", "false")
    keys.press("e")
    expect(head).to_have_attribute("aria-expanded", "true")
    keys.press("?")
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Help")).to_be_hidden()
    expect(chat.conversation).to_be_focused()


def test_a_draft_is_not_a_reason_to_stop_a_run_by_escape(chat: ChatPage) -> None:
    chat.ask("go on", agent="Endless")
    expect(chat.answer).to_contain_text("The first half of a sentence")
    chat.composer.fill("still writing")
    chat.composer.press("Escape")
    expect(chat.answer).to_have_attribute("aria-busy", "true")
    expect(chat.composer).to_have_value("still writing")
    chat.conversation.focus()
    chat.page.keyboard.press("Escape")
    expect(chat.answered(1)).to_contain_text("Stopped by you")


def test_dialogs_and_menus_give_the_focus_back(chat: ChatPage) -> None:
    page = chat.page
    chat.ask("A thread", agent="Echo")
    chat.answered(1)
    opener = page.get_by_role("button", name="Thread actions")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    title = page.get_by_role("dialog", name="Rename thread").get_by_label("Title")
    expect(title).to_be_focused()
    page.keyboard.type("Renamed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(opener).to_be_focused()
    expect(chat.heading).to_have_text("Renamed")


def test_the_skip_link_and_the_focus_ring_are_there(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user)
    chat.page.reload()
    chat.page.evaluate("document.activeElement.blur()")
    skip = chat.page.get_by_role("link", name="Skip to message box")
    skip.focus()
    expect(skip).to_be_in_viewport()
    chat.page.keyboard.press("Enter")
    expect(chat.composer).to_be_focused()


def test_a_drawer_on_a_narrow_screen_gives_the_focus_back(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user, size=(390, 844))
    opener = chat.page.get_by_role("button", name="Threads", exact=True)
    opener.click()
    expect(chat.page.get_by_role("dialog", name="Threads")).to_be_visible()
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_role("dialog", name="Threads")).to_be_hidden()
    expect(opener).to_be_focused()
