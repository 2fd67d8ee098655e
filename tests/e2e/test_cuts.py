"""Cut lines, killed servers, closed tabs and second devices: the whole text, exactly once, wherever it is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from support.accounts import Account, register, set_up_admin
from support.agents import pieces
from support.browser import Console
from support.chat_page import ChatPage
from support.relay import Relay
from support.server import ServerProcess

COUNT = 2400
HALF = "w1200"
LOST = "ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_|ERR_EMPTY_RESPONSE|ERR_SOCKET|WebSocket connection"


def text_of(chat: ChatPage) -> str:
    """The pieces of the last answer, as they stand on the page."""
    return "".join(f"{word} " for word in re.findall(r"w\d{4}", chat.answered().inner_text()))


def test_going_offline_in_the_middle_of_a_stream_loses_and_doubles_nothing(
    chat: ChatPage, tmp_path: Path, console: Console
) -> None:
    console.allow(LOST)
    chat.ask(f"{COUNT} {tmp_path}", agent="Streaming")
    expect(chat.answer).to_contain_text("w0100")
    chat.page.context.set_offline(True)
    expect(chat.connection).to_contain_text("Offline")
    chat.composer.fill("What I write meanwhile")
    expect(chat.page.get_by_text("Not connected. Your draft is kept.")).to_be_visible()
    expect(chat.page.get_by_role("button", name="Send")).to_be_disabled()
    (tmp_path / "go").touch()
    chat.page.context.set_offline(False)
    expect(chat.connection).to_contain_text(re.compile(r"Back, \d+ events? caught up"))
    assert text_of(chat) == pieces(COUNT)
    expect(chat.composer).to_have_value("What I write meanwhile")


def test_a_line_cut_again_and_again_loses_and_doubles_nothing(
    server: ServerProcess, open_chat: Callable[..., ChatPage], user: Account, tmp_path: Path, console: Console
) -> None:
    console.allow(LOST)
    with Relay(server.port) as relay:
        chat = open_chat(user, base_url=relay.base_url)
        chat.ask(f"{COUNT} {tmp_path}", agent="Streaming")
        for word in ("w0050", "w0400", "w0800"):
            expect(chat.answer).to_contain_text(word)
            relay.cut()
            expect(chat.connection).to_contain_text("Reconnecting")
            relay.mend()
            expect(chat.connection).not_to_contain_text("Reconnecting")
        (tmp_path / "go").touch()
        assert text_of(chat) == pieces(COUNT)
        expect(chat.questions).to_have_count(1)


def test_a_message_sent_into_a_dead_line_arrives_once(
    server: ServerProcess, open_chat: Callable[..., ChatPage], user: Account, console: Console
) -> None:
    console.allow(LOST)
    with Relay(server.port) as relay:
        chat = open_chat(user, base_url=relay.base_url)
        chat.pick("Echo")
        chat.composer.fill("Did this arrive?")
        relay.cut()
        # The page may not know yet that the line is dead: Enter either sends into it or is refused with a reason.
        chat.composer.press("Enter")
        expect(chat.connection).to_contain_text("Reconnecting")
        relay.mend()
        expect(chat.connection).not_to_contain_text("Reconnecting")
        if chat.composer.input_value():
            chat.composer.press("Enter")
        expect(chat.answered(1)).to_contain_text("Did this arrive?")
        expect(chat.questions).to_have_count(1)


def test_killing_the_server_in_the_middle_of_a_stream_loses_and_doubles_nothing(
    start_server: Callable[..., ServerProcess], open_chat: Callable[..., ChatPage], tmp_path: Path, console: Console
) -> None:
    console.allow(LOST)
    server = start_server(agents=["support.agents:streaming", "support.agents:echo"])
    set_up_admin(server)
    user = register(server.base_url)
    chat = open_chat(user)
    chat.ask(f"{COUNT} {tmp_path}", agent="Streaming")
    expect(chat.answer).to_contain_text(HALF)
    chat.composer.fill("Written while it was down")
    server.kill9()
    expect(chat.connection).to_contain_text("Reconnecting")
    expect(chat.answer).to_contain_text(HALF)
    server.start()
    expect(chat.connection).not_to_contain_text("Reconnecting")
    (tmp_path / "go").touch()
    assert text_of(chat) == pieces(COUNT)
    expect(chat.answer).to_contain_text("attempt 2")
    expect(chat.questions).to_have_count(1)
    expect(chat.composer).to_have_value("Written while it was down")
    chat.composer.press("Enter")
    chat.answered(2)


def test_closing_the_tab_in_the_middle_changes_nothing_for_another_device(
    open_chat: Callable[..., ChatPage], user: Account, tmp_path: Path
) -> None:
    first = open_chat(user)
    first.ask(f"{COUNT} {tmp_path}", agent="Streaming")
    expect(first.answer).to_contain_text("w0050")
    title = first.heading.inner_text()
    first.page.context.close()

    second = open_chat(user)
    expect(second.threads.get_by_role("link", name=re.compile("running"))).to_be_visible()
    second.threads.get_by_role("link", name=title).click()
    expect(second.answer).to_contain_text(HALF)
    expect(second.answer).to_have_attribute("aria-busy", "true")
    (tmp_path / "go").touch()
    assert text_of(second) == pieces(COUNT)


def test_two_tabs_of_one_user_show_the_same_as_it_happens(open_chat: Callable[..., ChatPage], user: Account) -> None:
    one = open_chat(user)
    one.ask("from the first tab", agent="Echo")
    one.answered(1)
    two = ChatPage(one.page.context.new_page())
    two.page.goto(one.page.url)
    expect(two.answered(1)).to_contain_text("from the first tab")
    two.ask("from the second tab", agent="Endless")
    expect(one.questions.last).to_have_text("from the second tab")
    expect(one.answer).to_contain_text("The first half of a sentence")
    one.stop.click()
    expect(two.answered(2)).to_contain_text("Stopped by you")
    expect(one.answered(2)).to_contain_text("Stopped by you")


def test_two_users_side_by_side_see_nothing_of_each_other(
    open_chat: Callable[..., ChatPage], new_user: Callable[[], Account], tmp_path: Path
) -> None:
    ada, eve = open_chat(new_user()), open_chat(new_user())
    ada.ask(f"{COUNT} {tmp_path}", agent="Streaming")
    eve.ask("only mine", agent="Echo")
    expect(eve.answered(1)).to_contain_text("only mine")
    expect(eve.answers).to_have_count(1)
    expect(eve.threads.get_by_role("link")).to_have_count(1)
    eve.page.goto(ada.page.url)
    expect(eve.page.get_by_role("heading", name="This thread does not exist")).to_be_visible()
    (tmp_path / "go").touch()
    assert text_of(ada) == pieces(COUNT)
    expect(ada.threads.get_by_role("link")).to_have_count(1)
    assert "only mine" not in ada.page.content()
    assert HALF not in eve.page.content()


def test_switching_threads_while_one_streams_mixes_nothing(chat: ChatPage, tmp_path: Path) -> None:
    chat.ask("a quiet thread", agent="Echo")
    chat.answered(1)
    chat.threads.get_by_role("button", name="New thread").click()
    expect(chat.answers).to_have_count(0)
    chat.ask(f"{COUNT} {tmp_path}", agent="Streaming")
    expect(chat.answer).to_contain_text("w0050")
    loud = chat.threads.get_by_role("link", name=re.compile(f"^{COUNT}"))
    quiet = chat.threads.get_by_role("link", name=re.compile("^a quiet thread"))
    for _ in range(5):
        quiet.click()
        expect(chat.answers).to_have_count(1)
        expect(chat.answer).to_contain_text("a quiet thread")
        expect(chat.answer).not_to_contain_text("w0001")
        loud.click()
        expect(chat.answer).to_contain_text("w0050")
        expect(chat.questions).to_have_count(1)
    (tmp_path / "go").touch()
    assert text_of(chat) == pieces(COUNT)
