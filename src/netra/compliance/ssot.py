"""`netra ssot`: what goes with `netra check` — the baseline, and questions about names, rules and imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .command import guarded

app = typer.Typer(
    help="The baseline of `netra check`, and questions about a code base.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
baseline = typer.Typer(help="Findings that are known and wait.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(baseline, name="baseline")

Root = Annotated[Path | None, typer.Argument(metavar="[ROOT]", help="The code base. Default: this directory's.")]
File = Annotated[Path | None, typer.Option("--baseline", metavar="FILE", help="Default: as configured.")]


@baseline.command("write")
@guarded
def write(root: Root = None, file: File = None) -> int:
    """Write the baseline: everything that is found now is known from now on."""
    from . import baseline as baselines
    from .figures import rule_hash
    from .running import Request, baseline_path, look, place_of

    request = Request((root,) if root else (), baseline=file)
    place = place_of(request)
    report = look(place)
    path = baseline_path(request, place) or place.root / baselines.DEFAULT
    made = baselines.made_of(report.findings, report.score.value, rule_hash(report.rules, place.config))
    baselines.write(path, made)
    typer.echo(f"{path}: {sum(each.count for each in made.entries)} findings are known, score {report.score.value}.")
    return 0


@baseline.command("prune")
@guarded
def prune(root: Root = None, file: File = None) -> int:
    """Take out of the baseline what is not found any more. It never adds anything."""
    from . import baseline as baselines
    from .running import Request, baseline_path, check, place_of

    request = Request((root,) if root else (), baseline=file)
    path = baseline_path(request, place_of(request))
    outcome = check(request)
    if path is None or outcome.comparison is None:
        typer.echo("There is no baseline. `netra ssot baseline write` makes one.", err=True)
        return 2
    gone = sum(entry.missing for entry in outcome.comparison.stale)
    if gone:
        baselines.write(path, baselines.pruned(baselines.read(path), outcome.comparison))
    typer.echo(f"{path}: {gone} taken out, {len(outcome.comparison.known)} left.")
    return 0


@baseline.command("diff")
@guarded
def diff(root: Root = None, file: File = None) -> int:
    """Print what is new (+) and what is gone (-) against the baseline. Exits 1 when anything is."""
    from .report.text import clean
    from .running import Request, check

    outcome = check(Request((root,) if root else (), baseline=file))
    if outcome.comparison is None:
        typer.echo("There is no baseline. `netra ssot baseline write` makes one.", err=True)
        return 2
    for finding in outcome.comparison.new:
        typer.echo(
            f"+ {finding.rule} {clean(outcome.path(finding.place.path))}:{finding.place.line} {clean(finding.message)}"
        )
    for entry in outcome.comparison.stale:
        typer.echo(f"- {entry.rule} {clean(outcome.path(entry.path))} {clean(entry.subject)} ({entry.missing})")
    typer.echo(outcome.change)
    return 1 if outcome.comparison.new or outcome.comparison.stale else 0
