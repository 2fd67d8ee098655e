"""Setting up, signing in and out, being thrown out, and changing the password."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import BrowserContext, Page, expect

from support.accounts import PASSWORD, Account, sign_in
from support.browser import Console
from support.chat_page import ChatPage
from support.server import ServerProcess

REFUSED = r"status of 401 \(Unauthorized\)"


def fill_in(page: Page, **fields: str) -> None:
    """Fill the form's fields by their labels."""
    for label, value in fields.items():
        page.get_by_label(label.replace("_", " ").capitalize(), exact=True).fill(value)


def enter(page: Page, email: str, password: str) -> None:
    """Use the login form."""
    fill_in(page, email=email, password=password)
    page.get_by_role("button", name="Sign in").click()


def test_the_first_administrator_comes_in_through_the_printed_link_once(
    start_server: Callable[..., ServerProcess], new_context: Callable[..., BrowserContext], console: Console
) -> None:
    server = start_server()
    link = f"{server.base_url}/setup#token={server.setup_token}"
    page = new_context().new_page()
    page.goto(server.base_url)
    expect(page.get_by_role("heading", name="Netra is not set up yet")).to_be_visible()

    page.goto(link)
    expect(page.get_by_role("heading", name="Set up Netra")).to_be_visible()
    expect(page).to_have_url(f"{server.base_url}/setup")  # the token stays in no history
    fill_in(page, name="Ada", email="ada@example.com", password=PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    expect(page.get_by_role("button", name="Account")).to_contain_text("Ada")

    # The link is of no use any more, to anybody.
    console.allow(r"status of 4\d\d")
    other = new_context().new_page()
    other.goto(link)
    fill_in(other, email="eve@example.com", password=PASSWORD)
    other.get_by_role("button", name="Create administrator").click()
    expect(other.get_by_role("alert")).to_be_visible()
    assert httpx.get(f"{server.base_url}/api/me", trust_env=False).json()["setup_required"] is False
    other.goto(server.base_url)
    expect(other.get_by_role("heading", name="Sign in to Netra")).to_be_visible()


def test_a_wrong_password_and_an_unknown_email_read_the_same(page: Page, user: Account, console: Console) -> None:
    console.allow(REFUSED)
    page.goto("/")
    said = []
    for email in (user.email, "nobody@example.com"):
        enter(page, email, "not the right password")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
        said.append(page.get_by_role("alert").inner_text())
        expect(page.get_by_label("Password")).to_be_focused()
    assert said[0] == said[1]
    assert "wrong" in said[0]
    enter(page, user.email, PASSWORD)
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()


def test_too_many_wrong_passwords_say_when_to_come_back(page: Page, user: Account, console: Console) -> None:
    console.allow(r"status of (401|429)")
    page.goto("/")
    for _ in range(6):
        enter(page, user.email, "not the right password")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in")).to_be_enabled()
    expect(page.get_by_role("alert")).to_contain_text(
        re.compile(r"Too many failed attempts.*Try again in \d+ s", re.DOTALL)
    )


def test_registering_leads_into_the_page_and_signing_out_leads_out_of_it(page: Page, admin: Account) -> None:
    assert admin.id
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    fill_in(page, name="Grace", email="grace@example.com", password=PASSWORD)
    page.get_by_role("button", name="Create account").click()
    chat = ChatPage(page)
    expect(chat.composer).to_be_focused()
    chat.composer.fill("A draft that nobody else may see")
    chat.account_menu("Sign out")
    expect(page.get_by_role("heading", name="Sign in to Netra")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in to Netra")).to_be_visible()
    assert page.evaluate("JSON.stringify(sessionStorage)") == "{}"


def test_an_email_that_is_taken_and_a_short_password_are_said_at_the_form(
    page: Page, user: Account, console: Console
) -> None:
    console.allow(r"status of 4\d\d")
    page.goto("/register")
    fill_in(page, email=user.email, password=PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert")).to_contain_text("This email has an account.")
    fill_in(page, email="short@example.com", password="short")
    page.get_by_role("button", name="Create account").click()
    assert page.get_by_label("Password", exact=True).evaluate("field => field.validity.tooShort")


def test_a_session_that_ends_asks_for_the_password_over_the_page_and_keeps_the_draft(
    open_chat: Callable[..., ChatPage], user: Account, console: Console
) -> None:
    chat = open_chat(user)
    chat.ask("Remember me", agent="Echo")
    chat.answered(1)
    chat.composer.fill("A long thought that must not be lost")
    second = chat.page.context.new_page()
    second.goto("/chat")
    ChatPage(second).account_menu("Sign out")
    expect(second.get_by_role("heading", name="Sign in to Netra")).to_be_visible()

    dialog = chat.page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_label("Email")).to_have_value(user.email)
    expect(dialog.get_by_label("Password")).to_be_focused()
    console.allow(REFUSED)
    enter(chat.page, user.email, "not the right password")
    expect(dialog.get_by_role("alert")).to_be_visible()
    enter(chat.page, user.email, PASSWORD)
    expect(dialog).to_be_hidden()
    expect(chat.composer).to_have_value("A long thought that must not be lost")
    expect(chat.answer).to_contain_text("Remember me")
    expect(chat.send.last).to_be_enabled()  # once the socket is open again
    chat.composer.press("Enter")
    expect(chat.answered(2)).to_contain_text("A long thought that must not be lost")


def test_a_session_that_ended_while_the_page_was_cut_off_asks_for_the_password_too(
    open_chat: Callable[..., ChatPage], user: Account, console: Console
) -> None:
    chat = open_chat(user)
    chat.composer.fill("Written in a tunnel")
    console.allow("ERR_INTERNET_DISCONNECTED|WebSocket connection|" + REFUSED)
    chat.page.context.set_offline(True)
    expect(chat.connection).to_contain_text("Offline")
    with sign_in(user.base_url, user.email).client() as client:
        changed = client.post("/api/auth/password", json={"current": PASSWORD, "new": PASSWORD + " 2"})
        assert changed.status_code == 204, changed.text
    chat.page.context.set_offline(False)
    dialog = chat.page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible()
    enter(chat.page, user.email, PASSWORD + " 2")
    expect(dialog).to_be_hidden()
    expect(chat.composer).to_have_value("Written in a tunnel")


def test_changing_the_password_keeps_this_session_and_ends_the_others(
    open_chat: Callable[..., ChatPage], user: Account, console: Console
) -> None:
    console.allow(r"status of 4\d\d")
    here, elsewhere = open_chat(user), open_chat(user)
    here.account_menu("Settings")
    page = here.page
    form = page.get_by_role("region", name="Password")
    for current in ("not the right password", PASSWORD):
        form.get_by_label("Current password").fill(current)
        form.get_by_label("New password").fill("a new and longer password")
        form.get_by_role("button", name="Change password").click()
        if current != PASSWORD:
            expect(form.get_by_text("The current password is wrong.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Password changed")).to_be_visible()
    expect(elsewhere.page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    page.get_by_role("button", name="Back to the conversation").click()
    here.ask("Still here", agent="Echo")
    here.answered(1)
    expect(page.get_by_role("dialog")).to_be_hidden()
    sign_in(user.base_url, user.email, "a new and longer password")
