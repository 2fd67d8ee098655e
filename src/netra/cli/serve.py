"""`netra serve`: migrate the database if need be and serve until stopped."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from netra.cli.settings import with_settings
from netra.config import Settings


@with_settings(exclude=("agents",))
def command(
    agents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AGENT",
            help="Agents by import string, such as my_module:agent. The first is the default. "
            "None named: the ones in the settings, else the built-in Netra Optimizer.",
            show_default=False,
        ),
    ] = None,
    *,
    settings: Settings,
) -> None:
    """Serve the page and the API. The first start prints the link that creates the first administrator."""
    from netra.monitoring import logs

    if agents:
        settings = settings.model_copy(update={"agents": agents})
    logs.configure(settings.log_level, settings.log_format)
    gc.disable()  # until `serve` is ready: hardly anything of what imports make is garbage

    from netra.app import serve

    serve(settings)
