"""Markup that attacks the page is text, wherever it comes from: messages, titles, file names, agents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from support.accounts import Account
from support.chat_page import ChatPage
from support.payloads import MARKUP, PAYLOADS

# What no content may make: elements that run or fetch something, handlers, inline styles, links with other schemes.
INSPECT = """() => ({
    ran: window.pwn ?? null,
    elements: [...document.querySelectorAll(
        'main img, main script, main iframe, main form:not(:has(textarea)), main style, main link, main base,'
        + 'main math, main object, main embed, main details, nav img, nav script, header img, header script'
    )].map(each => each.outerHTML.slice(0, 120)),
    handlers: [...document.querySelectorAll('body *')].filter(
        each => [...each.attributes].some(attribute => attribute.name.startsWith('on'))
    ).map(each => each.outerHTML.slice(0, 120)),
    styles: [...document.querySelectorAll('article [style]')].filter(each => !each.closest('figure'))
        .map(each => each.outerHTML.slice(0, 120)),
    links: [...document.querySelectorAll('a[href]')].map(each => each.getAttribute('href'))
        .filter(href => !/^(https?:|mailto:|#|\\/(chat|api)\\/)/i.test(href)),
    unguarded: [...document.querySelectorAll('article a[href^=http]')]
        .filter(each => !/noopener/.test(each.rel)).map(each => each.outerHTML.slice(0, 120)),
})"""
CLEAN: dict[str, object] = {"ran": None, "elements": [], "handlers": [], "styles": [], "links": [], "unguarded": []}


@pytest.fixture
def elsewhere(chat: ChatPage) -> Iterator[None]:
    """A request to another host, or a dialog, fails the test."""
    seen: list[str] = []

    def check(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(chat.page.url).netloc:
            seen.append(request.url)

    chat.page.on("request", check)
    chat.page.on("dialog", lambda dialog: (seen.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield
    assert not seen


def clean(page: Page) -> None:
    """Nothing ran, and nothing stands on the page that could."""
    assert page.evaluate(INSPECT) == CLEAN


@pytest.mark.usefixtures("elsewhere")
def test_an_agent_that_attacks_the_page_shows_its_attacks_as_text(chat: ChatPage) -> None:
    chat.ask("attack", agent="Hostile")
    answer = chat.answered(1)
    expect(answer).to_contain_text(f"Payload {len(PAYLOADS) - 1}")
    expect(answer).to_contain_text(PAYLOADS[0])
    card = chat.open_run()
    folded = card.get_by_role("button", expanded=False)
    while folded.count():
        folded.first.click()
    expect(card).to_contain_text(MARKUP)
    figure = answer.get_by_role("figure").last
    figure.scroll_into_view_if_needed()
    expect(figure).to_contain_text(MARKUP)
    clean(chat.page)
    figure.get_by_role("button", name="View as table").click()
    answer.get_by_role("button", name="Details").click()
    expect(chat.page.get_by_role("complementary", name="Run details")).to_be_visible()
    clean(chat.page)
    expect(chat.page.get_by_role("list", name="Suggested next messages")).to_contain_text(MARKUP)


@pytest.mark.usefixtures("elsewhere")
def test_a_message_is_shown_as_it_was_written_and_echoed_inert(chat: ChatPage) -> None:
    text = "\n\n".join(PAYLOADS)
    chat.ask(text, agent="Echo")
    expect(chat.questions.last).to_contain_text(PAYLOADS[0])
    chat.answered(1)
    clean(chat.page)
    chat.page.reload()
    chat.answered(1)
    clean(chat.page)


def test_titles_searches_and_file_names_are_text(
    open_chat: Callable[..., ChatPage], user: Account, tmp_path: Path
) -> None:
    with user.client() as client:
        assert client.post("/api/threads", json={"title": MARKUP}).status_code == 201
    chat = open_chat(user)
    chat.threads.get_by_role("link", name=MARKUP).click()
    expect(chat.heading).to_have_text(MARKUP)
    expect(chat.page).to_have_title(f"{MARKUP} · Netra")
    chat.threads.get_by_role("searchbox", name="Search threads").fill(MARKUP + "x")
    expect(chat.threads.get_by_text(f"Nothing found for “{MARKUP}x”.")).to_be_visible()
    path = tmp_path / "<img src=x onerror=window.pwn=1>.csv"
    path.write_text("time,model,input_tokens,output_tokens\n" + "2026-10-05T09:00:00Z,<b>gpt</b>,1000,100\n" * 3)
    chat.attach(path)
    chat.ask("Where does my AI spend go?", agent="Netra Optimizer")
    expect(chat.questions.get_by_role("link", name="<img src=x onerror=window.pwn=1>.csv")).to_be_visible()
    expect(chat.answered(1)).to_contain_text("<b>gpt</b>")
    clean(chat.page)
