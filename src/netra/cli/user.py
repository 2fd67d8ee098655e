"""`netra user`: users: add, list, disable, set a password."""

from __future__ import annotations

import typer

app = typer.Typer(help="Users: add, list, disable, set a password.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Users: add, list, disable, set a password."""
