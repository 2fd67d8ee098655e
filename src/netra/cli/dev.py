"""`netra dev`: what a developer of Netra or of an agent needs, started together and stopped by one Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netra.cli.settings import with_settings
from netra.config import Settings


@with_settings("host", "data_dir", "database_url")
def command(
    agents: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="AGENT",
            help="Agents by import string, such as my_module:agent. None named: the ones in the settings, "
            "else the built-in Netra Optimizer.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the server, and no other. Default: 8000, else the next free one.")
    ] = None,
    ui: Annotated[
        bool | None,
        typer.Option(
            "--ui/--no-ui",
            help="Serve the page from its sources. Default: in a checkout with ui/, when there is a Node.",
            show_default=False,
        ),
    ] = None,
    postgres: Annotated[bool, typer.Option("--postgres", help="Start PostgreSQL from its wheel, and use it.")] = False,
    nats: Annotated[
        bool, typer.Option("--nats", help="Start NATS from its wheel; agents find its address in NATS_URL.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Show lines of server, page, postgres or nats alone.")
    ] = None,
    level: Annotated[str, typer.Option(help="Least level shown: debug, info, warning or error.")] = "info",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page when it is ready.")] = True,
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Start the server again when sources change.")
    ] = True,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Skip what is known to be done, by the contents of files.")
    ] = True,
    *,
    settings: Settings,
) -> None:
    """Develop: the server with reload, the page from its sources, databases from wheels. Ctrl-C ends all of it."""
    from netra.cli.output import out
    from netra.launcher import Launcher, LauncherConfig

    config = LauncherConfig(
        directory=Path.cwd(),
        agents=tuple(agents or settings.agents),
        host=settings.host,
        port=settings.port if port is None else port,
        insist_on_port=port is not None,
        data_dir=settings.data_dir,
        database_url=settings.database_url,
        page=ui,
        postgres=postgres,
        nats=nats,
        only=tuple(only or ()),
        level=level,  # type: ignore[arg-type]  # LauncherConfig checks it
        browser=browser and out.is_terminal,
        reload=reload,
        cache=cache,
    )
    Launcher(config, out).run()
