"""`netra doctor`: look at everything a server needs, and say what to do about what is missing.

Each check is a function that returns a `Finding`; `netra.cli.checks` holds them. The command changes nothing but
creating the data directory's probe file, which it removes again.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from netra.cli.output import out
from netra.cli.settings import with_settings
from netra.config import Settings

_SIGNS = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "fail": "[bold red]FAIL[/]"}


@with_settings()
def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    *,
    settings: Settings,
) -> None:
    """Check the data directory, the database, the port, the page and whether browsers reach the server."""
    from dataclasses import asdict

    from netra.cli.checks import examine

    findings = examine(settings)
    failed = any(finding.level == "fail" for finding in findings)
    if as_json:
        out.print_json(data={"ok": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            out.print(f"{_SIGNS[finding.level]}  [bold]{finding.subject:<15}[/] {escape(finding.text)}")
            if finding.advice:
                out.print(f"      {'':<15} [cyan]{escape(finding.advice)}[/]")
        out.print("\nSomething needs to be done first: see above." if failed else "\nNetra can run here.")
    if failed:
        raise typer.Exit(1)
