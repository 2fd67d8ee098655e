"""`netra ssot`: what goes with `netra check` — the baseline, and questions about names, rules and imports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .command import emit, guarded
from .config import DEFAULT_BASELINE, ConfigError

if TYPE_CHECKING:
    from .outcome import Report

app = typer.Typer(
    help="The baseline of `netra check`, and questions about a code base.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
baseline = typer.Typer(help="Findings that are known and wait.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(baseline, name="baseline")

Root = Annotated[Path | None, typer.Argument(metavar="ROOT", help="The code base. Default: this directory's.")]
File = Annotated[Path | None, typer.Option("--baseline", metavar="FILE", help="Default: as configured.")]


@baseline.command("write", short_help="Let what is found now be known.")
@guarded
def write(root: Root = None, file: File = None) -> int:
    """Write the baseline: everything that is found now is known from now on."""
    from . import baseline as baselines
    from .figures import rule_hash
    from .running import Request, baseline_path, look, place_of

    request = Request((root,) if root else (), baseline=file)
    place = place_of(request)
    report = look(place)
    path = baseline_path(request, place) or place.root / DEFAULT_BASELINE
    made = baselines.made_of(report.findings, report.score.value, rule_hash(report))
    baselines.write(path, made)
    count = sum(each.count for each in made.entries)
    known = "1 finding is" if count == 1 else f"{count} findings are"
    typer.echo(f"{path}: {known} known, score {report.score.value}.")
    return 0


@baseline.command("prune", short_help="Take out what is not found any more.")
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


@baseline.command("diff", short_help="What is new (+) and what is gone (-).")
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


@app.command("twins", short_help="All definitions of a class, side by side.")
@guarded
def twins(name: Annotated[str, typer.Argument(help="The name of a class.")], root: Root = None) -> int:
    """Show every definition of a class: where, its members side by side, and who imports it."""
    from .explain import twins as told

    emit(told(_report(root), name))
    return 0


@app.command("who", short_help="What a class is, and who imports it how.")
@guarded
def who(
    wanted: Annotated[str, typer.Argument(metavar="PATH:CLASS", help="A file or dotted module, and a class.")],
    root: Root = None,
) -> int:
    """Show what a class is, and every path by which it is imported."""
    from .explain import who as told

    emit(told(_report(root), wanted))
    return 0


@app.command("explain", short_help="What a rule finds, and how to mend it.")
@guarded
def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its id or name. Default: list all.")] = "",
) -> int:
    """Explain a rule: what it finds, why that matters, and how to mend it."""
    from .explain import all_rules
    from .explain import rule as told

    emit(told(rule) if rule else all_rules())
    return 0


@app.command("graph", short_help="Which groups of modules import which.")
@guarded
def graph(
    root: Root = None,
    format: Annotated[str, typer.Option("--format", "-f", help="text, dot or json.")] = "text",
) -> int:
    """Show which groups of modules import which, and what goes against the order."""
    from .explain import graph_dot, graph_json, graph_text

    known = {"text": graph_text, "dot": graph_dot, "json": graph_json}
    if format not in known:
        raise ConfigError(f"--format has no {format!r}. It knows: {', '.join(known)}.")
    emit(known[format](_report(root)))
    return 0


@app.command("init", short_help="Print a configuration to begin with.")
@guarded
def init(
    root: Root = None,
    write: Annotated[bool, typer.Option("--write", help="Append it to pyproject.toml.")] = False,
) -> int:
    """Print a configuration to begin with, from what the code base looks like."""
    from .explain import configuration
    from .running import Request, look, place_of

    place = place_of(Request((root,) if root else ()))
    text = configuration(look(place))
    path = place.root / "pyproject.toml"
    if not write:
        emit(text)
        return 0
    before = path.read_text("utf-8") if path.is_file() else ""
    if "[tool.ssot" in before:
        raise ConfigError(f"{path} has a [tool.ssot] already.")
    path.write_text(
        f"{before}{chr(10) if before and not before.endswith(chr(10)) else ''}\n{text}".lstrip("\n"), "utf-8"
    )
    typer.echo(f"{path}: [tool.ssot] added. Next: netra ssot baseline write")
    return 0


def _report(root: Path | None) -> Report:
    """The code base without its findings, which these questions do not need."""
    from .running import Request, look, place_of

    return look(place_of(Request((root,) if root else (), select=("SSOT901",))))
