"""Settings: how the page looks on this device, and tokens for programs."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from support.accounts import Account
from support.chat_page import ChatPage


def background(page: Page) -> str:
    """The colour behind everything, as painted."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_theme_is_followed_chosen_and_kept(open_chat: Callable[..., ChatPage], user: Account) -> None:
    page = open_chat(user, "/settings").page
    theme = page.get_by_role("radiogroup", name="Theme")
    expect(theme.get_by_role("radio", name="System")).to_be_checked()
    page.emulate_media(color_scheme="light")
    light = background(page)
    page.emulate_media(color_scheme="dark")
    dark = background(page)
    assert light != dark
    theme.get_by_role("radio", name="Light").check()
    assert background(page) == light
    page.reload()
    assert background(page) == light
    expect(theme.get_by_role("radio", name="Light")).to_be_checked()
    theme.get_by_role("radio", name="Dark").check()
    page.emulate_media(color_scheme="light")
    assert background(page) == dark
    theme.get_by_role("radio", name="System").check()
    assert background(page) == light


def test_a_token_is_shown_once_works_and_can_be_revoked(open_chat: Callable[..., ChatPage], user: Account) -> None:
    page = open_chat(user, "/settings").page
    section = page.get_by_role("region", name="Access tokens")
    section.get_by_label("Name").fill("Nightly report")
    section.get_by_label("Expires").select_option(label="30 days")
    section.get_by_role("button", name="Create token").click()
    dialog = page.get_by_role("dialog", name="Your new token")
    token = dialog.get_by_role("code").inner_text()
    assert token.startswith("netra_pat_")
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_be_hidden()
    assert token not in page.content()

    def me() -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{user.base_url}/api/threads", headers=headers, trust_env=False)

    assert me().status_code == 200
    page.reload()
    expect(section.get_by_text("Nightly report")).to_be_visible()
    assert token not in page.content()
    section.get_by_role("button", name="Revoke Nightly report").click()
    page.get_by_role("dialog", name="Revoke token").get_by_role("button", name="Revoke").click()
    expect(section.get_by_text("Nightly report")).to_be_hidden()
    assert me().status_code == 401


def test_leaving_settings_leads_back_to_the_conversation(open_chat: Callable[..., ChatPage], user: Account) -> None:
    chat = open_chat(user)
    chat.ask("Before the settings", agent="Echo")
    chat.answered(1)
    chat.account_menu("Settings")
    expect(chat.heading).to_have_text("Settings")
    chat.page.get_by_role("button", name="Back to the conversation").click()
    expect(chat.answered(1)).to_contain_text("Before the settings")
