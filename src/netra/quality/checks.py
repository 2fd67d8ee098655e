"""The checks of one answer: each a pure function from text to what is wrong with it. No input makes one raise.

They look for what a reader would call broken whatever the subject: nothing there, cut off, going in circles, the same
again. A check that is not sure says nothing; what each one needs to be sure is in its docstring.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .figures import contradicting
from .findings import Finding
from .markdown import AnswerPage, Block, cells, is_rule, take_apart

MOST_CHARS = 500_000
"""Of a longer answer, only its end is looked at: an agent that talks that much is judged by how it stopped."""
CUT_SHORT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
"""Finish reasons by which providers say that the model was stopped, not done."""

_ENDS = tuple(".!?…。！？।؟։") + tuple(":;：；")
_CLOSERS = "\"'”’»)]}*_`>）」』】"
_UNFINISHED = tuple(",([{（、，")
_SENTENCE = re.compile(r"[.!?…]['\"”’»)*_]*\s+(?=[^\W\d_a-z])")
_PROSE_BEFORE = 3
_LOOP_PROBE = 24
_LOOP_STEP = 48
_LOOP_PERIOD = 600
_LOOP_TIMES = 5
_LOOP_CHARS = 160
_PARAGRAPH_CHARS = 60
_LONG_PARAGRAPH_CHARS = 400


def check_answer(
    text: str,
    *,
    finish_reason: str | None = None,
    tool_results: Sequence[tuple[str, Any]] = (),
    previous: str | None = None,
    plain: bool = False,
) -> list[Finding]:
    """Everything that is wrong with an answer.

    Args:
        text: the answer.
        finish_reason: what the provider said of the model's end, if it was recorded.
        tool_results: the name and the result, as JSON values, of each tool that succeeded in the run.
        previous: the answer before it in the thread, when another question was asked; else None.
        plain: the text is no Markdown: bars and backticks mean nothing.
    """
    if (nothing := empty(text)) is not None:
        return [nothing]
    cut = len(text) > MOST_CHARS
    page = take_apart(text[-MOST_CHARS:])
    if plain:
        page = AnswerPage(
            tuple(Block("prose", part) for part in text[-MOST_CHARS:].split("\n\n") if part.strip()), None
        )
    found = [
        truncated(page, finish_reason=finish_reason, whole=not cut),
        repeated(page),
        same_as_before(text, previous),
        *contradicting(page, tool_results),
    ]
    return [finding for finding in found if finding is not None]


def empty(text: str) -> Finding | None:
    """No visible character at all."""
    visible = text.strip().strip("\u200b\u200c\u200d\u2060\ufeff").strip()
    return None if visible else Finding("empty", "The answer has no visible character.")


def truncated(page: AnswerPage, *, finish_reason: str | None = None, whole: bool = True) -> Finding | None:
    """Cut off. Sure when one of these holds:

    - the provider said so (`finish_reason`);
    - a fenced code block is never closed;
    - the last thing is a table whose last row lacks the bar or the cells that all its other rows have;
    - the last line of prose, of four words or more, ends in a comma or an opening bracket;
    - the last paragraph (or list item) ends in a letter, has four words or more, and at least three sentences of prose
      (or items of its list) come before it, every one of which ends with a full stop or its like. An answer that is
      careless about full stops is not judged by them.
    """
    if finish_reason is not None and finish_reason.lower() in CUT_SHORT:
        return Finding("truncated", f"The model was stopped at its limit (finish reason {finish_reason!r}).")
    if whole and page.open_fence is not None:
        return Finding("truncated", "A code block is opened and never closed.")
    if not page.blocks:
        return None
    last = page.blocks[-1]
    if last.kind == "table":
        return _torn_table(last)
    if last.kind not in ("prose", "item"):
        return None
    line = last.text.rstrip().splitlines()[-1].strip()
    if len(line.split()) < 4:
        return None
    if line.endswith(_UNFINISHED):
        return Finding("truncated", f"The answer ends in the middle of a sentence: {_tail(line)}.")
    if not line[-1].isalpha() or _looks_like_address(line.split()[-1]):
        return None
    before = _units_before(page, last)
    if len(before) >= _PROSE_BEFORE and all(_finished(unit) for unit in before):
        return Finding("truncated", f"Every sentence before ends with a full stop; the last does not: {_tail(line)}.")
    return None


def repeated(page: AnswerPage) -> Finding | None:
    """Going in circles, in prose and lists; code and tables may repeat themselves. Sure when one of these holds:

    - a stretch of text of up to 600 characters, at least a third of them letters, follows itself five times
      or more without a pause, over at least 160 characters;
    - a paragraph of at least 60 characters is there three times, or one of at least 400 twice.
    """
    blocks = page.of("prose", "item")
    for block in blocks:
        if (unit := _loop(block.text)) is not None:
            return Finding("repeated", f"The same words come again and again: {_head(unit)}.")
    joined = "\n".join(block.text for block in blocks)
    if len(blocks) >= _LOOP_TIMES and (unit := _loop(joined)) is not None:
        return Finding("repeated", f"The same lines come again and again: {_head(unit)}.")
    paragraphs = Counter(" ".join(block.text.split()) for block in blocks if len(block.text) >= _PARAGRAPH_CHARS)
    for text, times in paragraphs.items():
        if times >= 3 or (times == 2 and len(text) >= _LONG_PARAGRAPH_CHARS):
            return Finding("repeated", f"A paragraph is there {times} times: {_head(text)}.")
    return None


def same_as_before(text: str, previous: str | None) -> Finding | None:
    """Word for word the previous answer of the thread, though something else was asked, and at least 80 characters."""
    if previous is None or len(text) < 80 or text.strip() != previous.strip():
        return None
    return Finding("same_as_before", "Something else was asked, and the answer is the previous one word for word.")


def _torn_table(block: Block) -> Finding | None:
    rows = block.text.splitlines()
    if len(rows) < 3 or not is_rule(rows[1]):
        return None
    *others, last = (row.rstrip() for row in rows)
    if all(row.endswith("|") for row in others) and not last.endswith("|"):
        return Finding("truncated", "The table at the end stops in the middle of a row.")
    width = len(cells(others[0]))
    if all(len(cells(row)) == width for row in others) and len(cells(last)) < width:
        return Finding("truncated", "The last row of the table at the end has fewer cells than the others.")
    return None


def _units_before(page: AnswerPage, last: Block) -> list[str]:
    """What the end is compared with: earlier sentences of prose, or earlier items of the same list."""
    if last.kind == "item":
        items: list[str] = []
        for block in reversed(page.blocks[:-1]):
            if block.kind != "item":
                break
            items.append(block.text)
        return items
    units = [block.text for block in page.blocks[:-1] if block.kind == "prose"]
    sentences = _SENTENCE.split(last.text)
    # What the pattern split at had its full stop; it counts as finished.
    return units + [f"{sentence}." for sentence in sentences[:-1]]


def _finished(text: str) -> bool:
    end = text.rstrip().rstrip(_CLOSERS).rstrip()
    return end.endswith(_ENDS)


def _looks_like_address(word: str) -> bool:
    return any(sign in word for sign in ("/", "@", "`", "_", "=")) or "." in word.strip(".")


def _loop(text: str) -> str | None:
    """The unit that a stretch of text consists of, or None. Looks at every 48th place; see `repeated`."""
    size = len(text)
    if size < _LOOP_CHARS:
        return None
    for start in range(0, size - _LOOP_CHARS + 1, _LOOP_STEP):
        probe = text[start : start + _LOOP_PROBE]
        again = text.find(probe, start + 1, start + _LOOP_PERIOD + _LOOP_PROBE)
        if again < 0:
            continue
        period = again - start
        unit = text[start:again]
        times = max(_LOOP_TIMES, -(-_LOOP_CHARS // period))
        enough_letters = sum(map(str.isalpha, unit)) * 3 >= len(unit)
        if enough_letters and text.startswith(unit * times, start):
            return unit
    return None


def _head(text: str) -> str:
    shown = " ".join(text.split())
    return f"“{shown[:60]}…”" if len(shown) > 60 else f"“{shown}”"


def _tail(text: str) -> str:
    return f"“…{text[-60:]}”" if len(text) > 60 else f"“{text}”"
