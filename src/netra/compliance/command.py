"""`netra check`, as a command line: options in, text out, an exit code.

0 clean, 1 past the gate, 2 wrong usage or configuration, 3 a fault of the checker. `netra.cli` registers it beside the
server's commands; `python -m netra check` and `scripts/check_architecture_compliance.py` come here without them, so
that nothing of the server is loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from .config import ConfigError
from .options import Option, Rest, for_typer, read_plainly
from .report import FORMATS

if TYPE_CHECKING:
    from .outcome import Outcome
    from .running import Request

_CI, _GATE, _SPEED, _REPORT, _RULES = "Findings", "Gate", "Speed", "Output", "Rules"


def guarded(command: Callable[..., int]) -> Callable[..., None]:
    """A command that ends with its exit code, also where it fails: 2 with advice, 3 with a report for us."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            code = command(*arguments, **options)
            sys.stdout.flush()
        except ConfigError as error:
            complain(str(error))
            code = 2
        except BrokenPipeError:
            _hush()
            code = 0
        except KeyboardInterrupt:
            code = 130
        except Exception:  # noqa: BLE001 - the boundary: a fault must not look like a finding
            import traceback

            traceback.print_exc()
            complain("The checker failed. This is a fault of it, not of the code it checks; please report it.")
            code = 3
        sys.exit(code)

    return run


def complain(text: str) -> None:
    """A sentence for the user, beside the output."""
    sys.stderr.write(f"netra check: {text}\n")


@guarded
def check(
    paths: Annotated[
        list[Path] | None,
        Rest("Directories to look at; of files, the findings that involve them. Default: the project.", "PATHS"),
    ] = None,
    select: Annotated[list[str] | None, Option("Only these rules, by id, prefix or name; commas.")] = None,
    extend_select: Annotated[list[str] | None, Option("These rules too.")] = None,
    ignore: Annotated[list[str] | None, Option("Not these rules.")] = None,
    format: Annotated[str, Option(f"One of: {', '.join(FORMATS)}.", ("--format", "-f"))] = "text",
    output: Annotated[Path | None, Option("Write there.", ("--output", "-o"), metavar="FILE")] = None,
    baseline: Annotated[Path | None, Option("Findings that are known.", metavar="FILE")] = None,
    new_only: Annotated[bool, Option("Show only what the baseline does not know.")] = False,
    since: Annotated[str, Option("Show only what came since the branch left REF.", metavar="REF")] = "",
    min_score: Annotated[float | None, Option("Fail below this score.", metavar="N")] = None,
    fail_on: Annotated[
        str, Option("error (the default), warning, info, new, stale; commas; or never.", metavar="WHAT")
    ] = "",
    continuous: Annotated[bool, Option("Watch, and print what changes.")] = False,
    interval: Annotated[
        float, Option("With --continuous: wait so long for further changes.", metavar="S", min=0.01)
    ] = 0.02,
    fix: Annotated[bool, Option("Mend what can be mended safely.")] = False,
    unsafe: Annotated[bool, Option("With --fix: also what should be reviewed.")] = False,
    diff: Annotated[bool, Option("Print what --fix would change, and change nothing.")] = False,
    jobs: Annotated[int | None, Option("Processes. 0: one for each core.", metavar="N", min=0)] = None,
    no_cache: Annotated[bool, Option("Read every file again, and keep nothing.")] = False,
    statistics: Annotated[bool, Option("Say where the time went.")] = False,
    explain_score: Annotated[bool, Option("List what would raise it most.")] = False,
    most: Annotated[int, Option("Print at most so many findings.", ("--max",), metavar="N", min=0)] = 0,
    history: Annotated[
        Path | None, Option("Add this check to a history, for the trend on the page.", metavar="FILE")
    ] = None,
) -> int:
    """Find a code base's second truths: twins, dead imports, wrong attributes, broken layers. Exits 1 past the gate."""
    from .running import Request, remembered
    from .running import check as run_check

    if format not in FORMATS:
        raise ConfigError(f"--format has no {format!r}. It knows: {', '.join(FORMATS)}.")
    if unsafe and not (fix or diff):
        raise ConfigError("--unsafe goes with --fix or --diff.")
    request = Request(
        tuple(paths or ()),
        _listed(select),
        _listed(extend_select),
        _listed(ignore),
        baseline,
        new_only,
        since,
        min_score,
        fail_on,
        jobs,
        not no_cache,
        most,
        explain_score,
        statistics,
        history,
    )
    if continuous:
        if fix or diff or output or format not in ("text", "jsonl"):
            raise ConfigError("--continuous prints text or jsonl to the terminal, and mends nothing.")
        from .watch import watch

        return watch(request, interval, as_json=format == "jsonl")
    outcome = _run(request, run_check)
    if not outcome.report.tree.python:
        complain(f"There is no Python file to check in {outcome.report.root}.")
    if diff and not fix:
        from .fixes import diff_of, plan

        emit(diff_of(plan(outcome, unsafe=unsafe), outcome.prefix))
        return outcome.code
    if fix:
        from .fixes import mend

        told, outcome = mend(outcome, lambda: _run(request, run_check), unsafe=unsafe)
        if output is None and format != "text":
            sys.stderr.write(told)
        else:
            emit(told)
    outcome = remembered(request, outcome)
    _deliver(outcome, format, output)
    return outcome.code


def _deliver(outcome: Outcome, format: str, output: Path | None) -> None:
    """To standard output or a file, with the last line beside a file."""
    from .report import renderer

    if format == "text":
        from .report.text import as_text

        text = as_text(outcome, colour=output is None and colours())
    else:
        text = renderer(format)(outcome)
    if output is None:
        emit(text)
    else:
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(text, "utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(f"{output} cannot be written: {error.strerror}.") from error
        if format != "text":
            from .report.text import last_line

            sys.stderr.write(f"{last_line(outcome)}\n")


def colours() -> bool:
    """Whether standard output is a terminal whose user wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _run(request: Request, run: Callable[..., Outcome]) -> Outcome:
    bar: AbstractContextManager[Any] = nullcontext(None)
    if sys.stderr.isatty():
        from .progress import Bar

        bar = Bar()
    with bar as progress:
        return run(request, progress) if progress is not None else run(request)


def _listed(values: list[str] | None) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def emit(text: str) -> None:
    """To standard output, whatever its encoding can hold."""
    sys.stdout.flush()
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.buffer.write(text.encode(encoding, "backslashreplace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read has seen enough (`netra check | head`); what the check says of the code base stays so.
        _hush()


def _hush() -> None:
    """Nothing more is written to standard output, at the exit of the interpreter neither."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """`netra check` and `netra ssot` alone, without the server's commands."""
    if sys.argv[1:2] == ["check"]:
        plain = read_plainly(check, sys.argv[2:])
        if plain is not None:
            check(**plain)
    import typer

    from .ssot import app as ssot

    app = typer.Typer(
        name="netra", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False
    )
    app.command("check")(for_typer(check))
    app.add_typer(ssot, name="ssot")
    app()


def door(arguments: list[str]) -> None:
    """`scripts/check_architecture_compliance.py`: the flags of its predecessor, and those of `netra check`.

    `--json-output FILE` writes JSON; `--threshold N` is `--min-score`; `--fail-on-violation` fails at errors, without
    it only a threshold fails.
    """
    translated: list[str] = []
    words = iter(arguments)
    gate = "--fail-on" in {each.partition("=")[0] for each in arguments}
    strict = "--fail-on-violation" in arguments
    threshold = any(each.partition("=")[0] in ("--threshold", "--min-score") for each in arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--json-output":
            translated += ["--format", "json", "--output", value if equals else next(words, "")]
        elif name == "--threshold":
            translated += ["--min-score", value if equals else next(words, "")]
        elif name != "--fail-on-violation":
            translated.append(word)
    if not gate:
        # Without either flag the predecessor only told; with a threshold, nothing but the threshold counted.
        translated += ["--fail-on", "error" if strict else "stale" if threshold else "never"]
    sys.argv = [sys.argv[0], "check", *translated]
    main()
