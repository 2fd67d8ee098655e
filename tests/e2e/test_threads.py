"""The list of threads: new, rename, delete with undo, search, unread and running marks, on every device at once."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from support.accounts import Account
from support.chat_page import ChatPage

UNREAD = re.compile("^Written elsewhere ?, unread")


def make_threads(account: Account, *titles: str) -> None:
    """Threads that exist already when the page is opened."""
    with account.client() as client:
        for title in titles:
            assert client.post("/api/threads", json={"title": title}).status_code == 201


def test_the_first_message_makes_a_thread_and_names_it(chat: ChatPage) -> None:
    expect(chat.threads.get_by_text("Your threads will be listed here.")).to_be_visible()
    chat.ask("How much did October cost?", agent="Echo")
    chat.answered(1)
    expect(chat.heading).to_have_text("How much did October cost?")
    expect(chat.threads.get_by_role("link", name="How much did October cost?")).to_have_attribute(
        "aria-current", "page"
    )
    expect(chat.page).to_have_title("How much did October cost? · Netra")


def test_renaming_shows_in_every_tab(open_chat: Callable[..., ChatPage], user: Account) -> None:
    make_threads(user, "Old name", "Another")
    one, two = open_chat(user), open_chat(user)
    one.threads.get_by_role("button", name="Actions for Old name").click()
    one.page.get_by_role("menuitem", name="Rename").click()
    dialog = one.page.get_by_role("dialog", name="Rename thread")
    expect(dialog.get_by_label("Title")).to_be_focused()
    dialog.get_by_label("Title").fill("New name")
    dialog.get_by_role("button", name="Rename").click()
    for chat in (one, two):
        expect(chat.threads.get_by_role("link", name="New name")).to_be_visible()
        expect(chat.threads.get_by_role("link", name="Old name")).to_be_hidden()


def test_a_deleted_thread_comes_back_with_undo_and_is_gone_without(
    open_chat: Callable[..., ChatPage], user: Account
) -> None:
    make_threads(user, "Keep me", "Not needed")
    chat, other = open_chat(user), open_chat(user)
    chat.open_thread("Not needed")
    other.open_thread("Not needed")
    for undo in (True, False):
        chat.threads.get_by_role("button", name="Actions for Not needed").click()
        chat.page.get_by_role("menuitem", name="Delete").click()
        expect(chat.threads.get_by_role("link", name="Not needed")).to_be_hidden()
        toast = chat.page.get_by_role("status").filter(has_text="Thread deleted")
        if undo:
            toast.get_by_role("button", name="Undo").click()
            expect(chat.threads.get_by_role("link", name="Not needed")).to_be_visible()
        else:
            toast.get_by_role("button", name="Dismiss").click()
    expect(other.threads.get_by_role("link", name="Not needed")).to_be_hidden()
    expect(other.heading).to_have_text("New thread")
    with user.client() as client:
        assert [item["title"] for item in client.get("/api/threads").json()["items"]] == ["Keep me"]


def test_a_delete_is_not_forgotten_when_the_page_is_left(open_chat: Callable[..., ChatPage], user: Account) -> None:
    make_threads(user, "Keep me", "Not needed")
    chat = open_chat(user)
    chat.threads.get_by_role("button", name="Actions for Not needed").click()
    chat.page.get_by_role("menuitem", name="Delete").click()
    chat.page.reload()
    expect(chat.threads.get_by_role("link", name="Keep me")).to_be_visible()
    expect(chat.threads.get_by_role("link", name="Not needed")).to_be_hidden()


def test_search_finds_by_title_and_says_when_there_is_nothing(
    open_chat: Callable[..., ChatPage], user: Account
) -> None:
    make_threads(user, "Costs of October", "Costs of November", "Holiday plans")
    chat = open_chat(user)
    search = chat.threads.get_by_role("searchbox", name="Search threads")
    search.fill("costs")
    expect(chat.threads.get_by_role("link")).to_have_count(2)
    search.fill("xyzzy")
    expect(chat.threads.get_by_text("Nothing found for “xyzzy”.")).to_be_visible()
    search.fill("")
    expect(chat.threads.get_by_role("link")).to_have_count(3)


def test_a_long_list_is_loaded_piece_by_piece(open_chat: Callable[..., ChatPage], user: Account) -> None:
    make_threads(user, *(f"Thread {number}" for number in range(1, 56)))
    chat = open_chat(user)
    expect(chat.threads.get_by_role("link")).to_have_count(50)
    chat.threads.get_by_role("button", name="Show more").click()
    expect(chat.threads.get_by_role("link")).to_have_count(55)
    expect(chat.threads.get_by_role("link", name=re.compile(r"^Thread 1\b"))).to_be_attached()


def test_what_another_device_did_is_marked_unread(open_chat: Callable[..., ChatPage], user: Account) -> None:
    here = open_chat(user)
    away = open_chat(user)
    away.ask("Written elsewhere", agent="Echo")
    away.answered(1)
    link = here.threads.get_by_role("link", name=UNREAD)
    expect(link).to_be_visible()
    link.click()
    expect(here.answered(1)).to_contain_text("Written elsewhere")
    expect(here.threads.get_by_role("link", name=UNREAD)).to_be_hidden()


def test_a_draft_waits_in_its_own_thread(open_chat: Callable[..., ChatPage], user: Account) -> None:
    make_threads(user, "First", "Second")
    chat = open_chat(user)
    chat.open_thread("First")
    chat.composer.fill("for the first")
    chat.open_thread("Second")
    expect(chat.composer).to_have_value("")
    chat.open_thread("First")
    expect(chat.composer).to_have_value("for the first")
    chat.page.reload()
    expect(chat.composer).to_have_value("for the first")


def test_an_address_of_nothing_says_so(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user)
    chat.page.goto("/chat/thr_00000000000000000000000000")
    expect(chat.page.get_by_role("heading", name="This thread does not exist")).to_be_visible()
    chat.page.get_by_role("main").get_by_role("button", name="New thread").click()
    expect(chat.composer).to_be_focused()
