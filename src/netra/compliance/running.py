"""From what a user asked for to an `Outcome`: the root, the configuration, what is new, what fails.

The commands, the watcher and the door for scripts share it.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from . import known, remember
from .config import DEFAULT_BASELINE, Config, ConfigError, load
from .figures import rule_hash
from .housekeeping import STALE, stale_entries
from .known import Progress
from .outcome import Outcome, Report, failures, importance, mark, parse_fail_on
from .rule import Finding
from .walk import find, find_root

if TYPE_CHECKING:
    from .baseline import Baseline, Comparison
    from .cache import ReadTree


class Request(Struct, frozen=True):
    """What a user asked for. What is None is taken from the configuration.

    Args:
        paths: directories are the code base that is looked at; of files, findings that involve them are shown.
        most: how many findings are printed at most; 0 for all.
    """

    paths: tuple[Path, ...] = ()
    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    baseline: Path | None = None
    new_only: bool = False
    since: str = ""
    min_score: float | None = None
    fail_on: str = ""
    jobs: int | None = None
    cache: bool = True
    most: int = 0
    explain: bool = False
    statistics: bool = False
    history: Path | None = None


class Target(Struct, frozen=True):
    """Where a request leads: the root, its configuration with the options applied, and the directories and files."""

    root: Path
    config: Config
    directories: tuple[Path, ...]
    files: tuple[Path, ...]


def place_of(request: Request) -> Target:
    """The root is that of the first path, or of the working directory.

    Raises:
        ConfigError: a path that does not exist, or a configuration that cannot be used.
    """
    paths = [path.absolute() for path in request.paths]
    for path in paths:
        if not os.path.exists(path):  # noqa: PTH110 - that of pathlib raises where it may not look
            raise ConfigError(f"{path} does not exist.")
    root = find_root(paths[0] if paths else Path.cwd()).resolve()
    config = load(root)
    if request.select:
        config = replace(config, select=request.select)
    config = replace(
        config,
        extend_select=(*config.extend_select, *request.extend_select),
        ignore=(*config.ignore, *request.ignore),
        jobs=config.jobs if request.jobs is None else request.jobs,
        cache_dir=config.cache_dir if request.cache else "",
    )
    directories = tuple(path for path in paths if path.is_dir())
    files = tuple(path for path in paths if not path.is_dir())
    if not paths:
        directories = tuple(root / each for each in config.include)
        for directory in directories:
            if not directory.exists():
                raise ConfigError(f"[tool.ssot] include: {directory} does not exist.")
    return Target(root, config, directories if not files else (), files)


def check(request: Request, progress: Progress = lambda what, done, of: None) -> Outcome:
    """Check what a request asks for.

    Raises:
        ConfigError: it cannot be done as it is asked for.
    """
    place = place_of(request)
    return judged(request, place, look(place, progress))


def look(place: Target, progress: Progress = lambda what, done, of: None) -> Report:
    """The report on a place, with as many processes and from the cache that its configuration names."""
    config = place.config
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    tree = find(place.root, place.directories, exclude=config.exclude)
    seconds["find files"] = time.perf_counter() - started
    started = time.perf_counter()
    with unhurried_gc():
        looked = known.look(tree, progress, cache=Path(config.cache_dir) if config.cache_dir else None)

        def read() -> ReadTree:
            from . import cache

            return cache.read(looked, progress, jobs=config.jobs)

        report = remember.recall(looked, config, read)
        seconds["read files"] = time.perf_counter() - started
        if report is not None:
            looked.save()
        else:
            from .ages import dated
            from .check import judge, selected

            rules = selected(config)
            facts = read()
            seconds["read files"] = time.perf_counter() - started
            report = judge(tree, facts.files, config, rules, seconds=seconds, progress=progress)
            report = remember.keep(looked, dated(report))
    report.seconds.update(seconds)
    return report


@contextmanager
def unhurried_gc(*, freeze: bool = True) -> Iterator[None]:
    """Without looking for cycles among millions of rows that have none, neither now nor, if what is there is to stay,
    when it is over."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if freeze:
                gc.freeze()
            gc.enable()


def judged(request: Request, place: Target, report: Report, past: Baseline | None = None) -> Outcome:
    """What is shown of a report, and whether it passes."""
    config = place.config
    path = baseline_path(request, place)
    comparison: Comparison | None = None
    if request.since:
        from .since import baseline_at

        past, path = baseline_at(request.since, report), None
    elif path is not None and past is None:
        from .baseline import read

        past = read(path)
    if past is not None:
        from .baseline import compare

        comparison = compare(
            report.findings,
            past,
            rules=(rule.id for rule in report.rules),
            is_checked=frozenset(report.tree.python),
            root=report.root,
            rule_hash=rule_hash(report),
        )
        # What a commit had and is gone now is progress; only an entry of a file has to be taken out.
        if path is not None and comparison.stale and STALE in {rule.id for rule in report.rules}:
            name = os.path.relpath(path, report.root).replace(os.sep, "/")
            report = replace(report, findings=(*report.findings, *stale_entries(name, comparison.stale)))
    elif request.new_only:
        raise ConfigError("--new-only needs a baseline. `netra ssot baseline write` makes one.")
    shown: Sequence[Finding] = report.findings
    if comparison is not None and (request.new_only or request.since):
        known_marks = set(map(mark, comparison.known))
        shown = [each for each in shown if mark(each) not in known_marks]
    if place.files:
        wanted = {_relative(path, report.root) for path in place.files}
        shown = [each for each in shown if not wanted.isdisjoint(_places(each))]
    judged_on = shown
    if comparison is not None:
        known_marks = set(map(mark, comparison.known))
        judged_on = [each for each in shown if mark(each) not in known_marks and each.rule != STALE]
    min_score = config.min_score if request.min_score is None else request.min_score
    return Outcome(
        report,
        tuple(sorted(shown, key=importance)),
        comparison,
        failures(report, judged_on, comparison, parse_fail_on(request.fail_on or "error"), min_score),
        request.most,
        _prefix(report.root),
        request.explain,
        request.statistics,
    )


def remembered(request: Request, outcome: Outcome) -> Outcome:
    """An outcome that is added to its history, if there is to be one, and carries it."""
    config = outcome.report.config
    file = request.history or (_within(outcome.report.root, config.history, "history") if config.history else None)
    if file is None:
        return outcome
    from .history import append, read

    append(file, outcome)
    return replace(outcome, history=read(file))


def baseline_path(request: Request, place: Target) -> Path | None:
    """The file of the baseline: as asked for, else as configured, else the usual one if it is there."""
    if request.baseline is not None:
        return request.baseline.absolute()
    if place.config.baseline:
        return _within(place.root, place.config.baseline, "baseline")
    usual = place.root / DEFAULT_BASELINE
    return usual if usual.is_file() else None


def _within(root: Path, name: str, key: str) -> Path:
    """A file that a configuration names and a command writes: whoever checks a stranger's code must not be made to
    write elsewhere."""
    file = root / name
    if not file.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"[tool.ssot] {key}: {name} is outside the code base. `--{key} FILE` may name any file.")
    return file


def _places(finding: Finding) -> set[str]:
    return {finding.place.path, *finding.paths, *(each.path for each in finding.related)}


def _relative(path: Path, root: Path) -> str:
    return os.path.relpath(path.resolve(), root).replace(os.sep, "/")


def _prefix(root: Path) -> str:
    """What leads from the working directory to the root, so that paths can be opened as they are printed."""
    with suppress(OSError, ValueError):
        relative = os.path.relpath(root, Path.cwd()).replace(os.sep, "/")
        if relative == ".":
            return ""
        return f"{relative}/" if relative.count("..") <= 2 else f"{root}/"
    return f"{root}/"
