"""Small pieces of Markdown. Everything that comes from a file goes through `code`, so that no cell of a table, link or
image can be made by a value."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["code", "number", "table", "tokens"]


def code(text: object, longest: int = 80) -> str:
    """`text` as a code span that is safe inside a table."""
    plain = " ".join(str(text).replace("`", "'").replace("|", "¦").split())
    if len(plain) > longest:
        plain = plain[: longest - 1] + "…"
    return f"`{plain}`" if plain else "(empty)"


def number(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def tokens(value: int) -> str:
    """Tokens for reading: `18.06 M`; exact below ten thousand."""
    if value >= 10**9:
        return f"{value / 10**9:,.2f} G"
    if value >= 10**6:
        return f"{value / 10**6:,.2f} M"
    return f"{value:,}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table; the columns numbered in `right` are set to the right."""
    rule = ["---:" if position in right else "---" for position in range(len(headers))]
    lines = [list(headers), rule, *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
