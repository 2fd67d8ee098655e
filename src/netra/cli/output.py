"""What commands print: answers on standard output, failures with advice on standard error."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from netra.errors import NetraError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_failure(error: NetraError) -> None:
    """One sentence on what is wrong and, when known, one on what to do."""
    err.print(f"[bold red]netra:[/] {escape(error.message)}")
    if error.hint:
        err.print(f"       {escape(error.hint)}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings. No cell is cut or wrapped, however narrow the terminal, so that output can be searched."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row, style in ((columns, "bold"), *((row, None) for row in rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.print(line.rstrip(), style=style, markup=False)
