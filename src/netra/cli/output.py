"""What commands print: answers on standard output, failures with advice on standard error."""

from __future__ import annotations

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
