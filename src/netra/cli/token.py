"""`netra token`: personal access tokens: create, list, revoke."""

from __future__ import annotations

import typer

app = typer.Typer(help="Personal access tokens: create, list, revoke.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Personal access tokens: create, list, revoke."""
