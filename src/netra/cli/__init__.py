"""The command line: one file per command, put together here.

Commands read Settings, call the parts that do the work, and print for people. They import those parts when they run,
so that `netra --help` and shell completion stay quick. Failures the parts raise are printed as a sentence and what to
do next; the exit code is then 1 (2 for arguments that cannot be understood).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from netra import __version__
from netra.cli import alerts, backup, demo_data, dev, doctor, migrate, report, restore, serve, token, user, watch
from netra.cli.output import print_failure
from netra.compliance import ssot
from netra.compliance.command import check
from netra.compliance.options import for_typer
from netra.errors import NetraError

app = typer.Typer(
    name="netra",
    help="Netra puts AI agents in front of many users. Start with: netra serve",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help keeps long option names whole on narrow terminals
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.command)
app.command("dev")(dev.command)
app.command("watch")(watch.command)
app.command("migrate")(migrate.command)
app.command("backup")(backup.command)
app.command("restore")(restore.command)
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.add_typer(alerts.app, name="alerts")
app.command("report")(report.command)
app.command("doctor")(doctor.command)
app.command("demo-data")(demo_data.command)
app.command("check")(for_typer(check))
app.add_typer(ssot.app, name="ssot")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Netra puts AI agents in front of many users. Start with: netra serve"""


def main() -> None:
    """Run the command named in `sys.argv`."""
    try:
        app()
    except NetraError as error:
        print_failure(error)
        sys.exit(1)
