"""The page as a person uses it: what they see is found by role and label, what they do is named after its purpose."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect


class ChatPage:
    """One tab in which somebody is signed in."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.get_by_role("textbox", name="Message", exact=True)
        self.send = page.get_by_role("button", name="Send", exact=True)
        self.stop = page.get_by_role("button", name="Stop", exact=True)
        self.questions = page.get_by_role("article", name="You", exact=True)
        self.answers = page.get_by_role("article", name=re.compile("^Answer of "))
        self.answer = self.answers.last
        self.conversation = page.get_by_role("region", name="Conversation")
        self.threads = page.get_by_role("navigation", name="Threads")
        self.connection = page.get_by_role("banner").get_by_role("status")
        self.heading = page.get_by_role("heading", level=1)

    @property
    def thread_id(self) -> str:
        """The id in the address of the open thread."""
        return self.page.url.rpartition("/")[2]

    def pick(self, agent: str) -> None:
        """Choose the agent by its title."""
        self.page.get_by_label("Agent", exact=True).select_option(label=agent)

    def attach(self, *files: Path) -> None:
        """Attach files with the paper clip, and wait until they are stored."""
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Attach files").click()
        chooser.value.set_files([str(file) for file in files])

    def ask(self, text: str, agent: str | None = None) -> None:
        """Write a message and press Enter."""
        if agent is not None:
            self.pick(agent)
        before = self.questions.count()
        self.composer.fill(text)
        expect(self.send.last).to_be_enabled()
        self.composer.press("Enter")
        expect(self.questions).to_have_count(before + 1)

    def answered(self, count: int | None = None) -> Locator:
        """Wait until the last answer (with `count`, that many) is complete, and return it."""
        if count is not None:
            expect(self.answers).to_have_count(count)
        expect(self.answer).to_have_attribute("aria-busy", "false")
        return self.answer

    def open_thread(self, title: str) -> None:
        """Open a thread from the list."""
        self.threads.get_by_role("link", name=title).click()
        expect(self.heading).to_have_text(title)

    def open_run(self) -> Locator:
        """Unfold the last run card and return it."""
        card = self.answer.get_by_role("region", name=re.compile("^Run of "))
        head = card.get_by_role("button").first
        if head.get_attribute("aria-expanded") == "false":
            head.click()
        expect(head).to_have_attribute("aria-expanded", "true")
        return card

    def account_menu(self, item: str) -> None:
        """Choose from the account menu."""
        self.page.get_by_role("button", name="Account").click()
        self.page.get_by_role("menuitem", name=item).click()
