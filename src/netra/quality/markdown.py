"""An answer's Markdown taken apart, as far as the checks need it: prose, list items, tables, and code left open.

This is no parser of CommonMark: what is unclear counts as prose, and the checks are written so that this accuses no
answer. Everything here takes time in proportion to the text, whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["prose", "item", "heading", "table", "code", "other"]

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})(.*)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+\S")
_RULE = frozenset("|:- \t")
_OTHER = re.compile(r"\s*(?:>|<|\$\$|\\\[|(?:[-*_]\s*){3,}$)")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together.

    Args:
        kind: what they are.
        text: the lines, without the blank ones around them.
    """

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True)
class AnswerPage:
    """A whole answer. `open_fence` is the fence of a code block that is never closed, or None."""

    blocks: tuple[Block, ...]
    open_fence: str | None

    def of(self, *kinds: BlockKind) -> list[Block]:
        """The blocks of some kinds, in order."""
        return [block for block in self.blocks if block.kind in kinds]


def take_apart(text: str) -> AnswerPage:
    """The blocks of a text."""
    blocks: list[Block] = []
    lines: list[str] = []
    kind: BlockKind = "prose"
    fence: str | None = None

    def close() -> None:
        nonlocal lines
        if lines:
            blocks.append(Block(kind, "\n".join(lines)))
        lines = []

    for line in text.splitlines():
        begins = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if fence is not None:
            lines.append(line)
            if begins and begins[1].startswith(fence) and not begins[2].strip():
                close()
                fence = None
            continue
        if begins and "`" not in begins[2]:
            close()
            kind, fence = "code", begins[1]
            lines = [line]
            continue
        if not line.strip():
            close()
            continue
        found = _kind(line)
        if found == "prose" and lines and kind == "item" and line[:1].isspace():
            found = "item"  # goes on below its bullet
            lines.append(line)
            continue
        if found != kind or found in ("item", "heading"):
            close()
        kind = found
        lines.append(line)
    close()
    return AnswerPage(tuple(blocks), fence)


def _kind(line: str) -> BlockKind:
    stripped = line.lstrip()
    if stripped.startswith("|"):
        return "table"
    if stripped.startswith("#"):
        return "heading"
    if line.startswith(("    ", "\t")) and not _ITEM.match(line):
        return "code"
    if _OTHER.match(line):
        return "other"
    return "item" if _ITEM.match(line) else "prose"


def cells(row: str) -> list[str]:
    """The cells of a table's row."""
    inner = row.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def is_rule(row: str) -> bool:
    """Whether a row is the line of dashes below a table's head."""
    return "-" in row and _RULE.issuperset(row)
