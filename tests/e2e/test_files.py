"""Files that cannot be taken or read: what is wrong stands where the file was put, with line and column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from support.browser import Console
from support.chat_page import ChatPage

HEADER = "time,model,input_tokens,output_tokens\n"
GOOD = "2026-10-05T09:00:00Z,gpt-4o,1000,100\n"


def test_a_file_that_is_too_large_is_refused_where_it_was_put(chat: ChatPage, tmp_path: Path, console: Console) -> None:
    console.allow("status of 413")  # the page refuses it by itself as soon as the server has told its limits
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    large.write_bytes(b"x" * (4 * 1024 * 1024 + 1))
    small.write_text(HEADER + GOOD * 3)
    chat.attach(large, small)
    expect(chat.page.get_by_text(re.compile(r"Larger than 4\.0 MiB\.|at most 4,194,304 bytes"))).to_be_visible()
    chat.page.get_by_role("button", name="Remove large.csv").click()
    expect(chat.page.get_by_text("large.csv")).to_be_hidden()
    chat.ask("Where does my AI spend go?")
    expect(chat.questions.get_by_role("link", name="small.csv")).to_be_visible()
    expect(chat.answered(1)).to_contain_text("You spent")


def test_a_bad_value_is_named_by_line_and_column_and_can_be_left_out(chat: ChatPage, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(HEADER + GOOD * 40 + "2026-10-05T09:00:00Z,gpt-4o,many,100\n" + GOOD * 9)
    chat.attach(path)
    chat.ask("Where does my AI spend go?")
    answer = chat.answered(1)
    expect(answer).to_contain_text("broken.csv, line 42, column input_tokens")
    chat.page.get_by_role("button", name="Skip bad lines").click()
    expect(chat.answered(2)).to_contain_text("You spent")


@pytest.mark.parametrize(
    ("name", "content"),
    [("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8), ("lines.jsonl", b'{"a": 1}\n{')],
)
def test_a_file_that_is_no_usage_gets_an_answer_and_no_traceback(
    chat: ChatPage, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    chat.attach(path)
    chat.ask("Where does my AI spend go?")
    answer = chat.answered(1)
    expect(answer).to_contain_text(name)
    expect(answer.get_by_role("alert")).to_be_hidden()
    expect(answer).not_to_contain_text(re.compile("Traceback|Error:"))


def test_an_empty_file_is_refused_where_it_was_put(chat: ChatPage, tmp_path: Path, console: Console) -> None:
    console.allow("status of 422")
    path = tmp_path / "nothing.csv"
    path.touch()
    chat.attach(path)
    files = chat.page.get_by_role("listitem").filter(has=chat.page.get_by_role("button", name="Remove nothing.csv"))
    expect(files).to_contain_text("empty")
    chat.composer.fill("Without a file then")
    expect(chat.send).to_be_enabled()


def test_a_file_is_taken_by_dropping_it_too(chat: ChatPage) -> None:
    transfer = chat.page.evaluate_handle(
        """text => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([text], 'dropped.csv', { type: 'text/csv' }));
            return transfer;
        }""",
        HEADER + GOOD * 3,
    )
    main = chat.page.get_by_role("main")
    main.dispatch_event("dragover", {"dataTransfer": transfer})
    main.dispatch_event("drop", {"dataTransfer": transfer})
    expect(chat.page.get_by_role("button", name="Remove dropped.csv")).to_be_visible()
    expect(chat.send).to_be_enabled()
