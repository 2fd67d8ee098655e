"""`--continuous`: keep the facts, and say at each change what came, what went, and the score.

Only files that changed are read again; the joins and the rules work on tables in memory. A file that vanishes, moves or
appears makes the watcher look at the tree again. It ends cleanly at Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer
from msgspec.structs import replace
from watchfiles import Change, DefaultFilter
from watchfiles import watch as changes_of

from .check import judge, read_one, selected
from .command import colours, complain
from .config import ConfigError
from .outcome import Outcome, Report
from .project import Project
from .report.data import finding as as_data
from .report.text import block, clean, last_line
from .rule import Finding
from .running import Request, Target, judged, look, place_of, unhurried_gc
from .session import WatchSession
from .walk import Tree, find

CONFIGURATION = "pyproject.toml"


class Watched:
    """A code base whose facts are kept between checks."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.start()

    def start(self) -> None:
        """Read everything: at the beginning, and when the configuration changed."""
        self.place: Target = place_of(self.request)
        self.report: Report = look(self.place)
        self._facts = {file.path: file.facts for file in self.report.project.files}
        self._rules = selected(self.place.config)
        self._session = WatchSession()
        self._is_warm = False
        self._left_over = False

    def outcome(self) -> Outcome:
        """What is shown of the last check."""
        return judged(self.request, self.place, self.report)

    def rest(self) -> None:
        """While nobody waits: find out what the next change is compared with, which a kept report does not say, and
        clear away what the checks before left."""
        if not self._is_warm:
            self._judge(self.report.tree)
        if self._left_over:
            gc.collect()
            self._left_over = False

    def _judge(self, tree: Tree) -> None:
        anew = not self._is_warm or tree != self.report.tree
        if anew:
            # What the check before found out would be in memory beside what this one does.
            self.report = replace(self.report, project=Project(()))
            self._session.end()
            gc.unfreeze()
            gc.collect()
        with unhurried_gc(freeze=anew):
            facts = [(name, self._facts[name]) for name in tree.python]
            self.report = judge(tree, facts, self.place.config, self._rules, session=self._session)
        self._is_warm = self._left_over = True

    def again(self, changed: Iterable[Path], *, moved: bool) -> bool:
        """Check again after some files changed. Whether anything was read.

        Args:
            moved: files may have come or gone, so the tree is looked at again.
        """
        root = self.report.root
        names = set()
        for path in changed:
            if path.suffix == ".py" and path.is_relative_to(root):
                names.add(path.relative_to(root).as_posix())
        tree = self.report.tree
        if moved or any(name not in self._facts for name in names):
            tree = find(self.place.root, self.place.directories, exclude=self.place.config.exclude)
        stale = [name for name in tree.python if name in names or name not in self._facts]
        fresh = {name: read_one(root / name) for name in stale}
        unchanged = all(self._facts.get(name) == facts for name, facts in fresh.items())
        if unchanged and tree == self.report.tree:
            return False
        self._facts |= fresh
        known = set(tree.python)
        self._facts = {name: facts for name, facts in self._facts.items() if name in known}
        self._judge(tree)
        return True


class Printer:
    """Prints the difference between one outcome and the next."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._before: dict[tuple[str, str], list[Finding]] = {}

    def first(self, outcome: Outcome) -> None:
        """Everything there is."""
        self._before = _grouped(outcome)
        if self._as_json:
            for each in outcome.shown:
                self._emit({"kind": "+", **as_data(each, outcome)})
            self._emit(_summary(outcome, None))
            return
        for each in outcome.printed:
            typer.echo(block(each, outcome))
        if left := len(outcome.shown) - len(outcome.printed):
            typer.echo(f"{left} more not printed (--max {outcome.most})")
        typer.echo(last_line(outcome))

    def next(self, outcome: Outcome, seconds: float) -> None:
        """What came and what went since the last time."""
        now = _grouped(outcome)
        came = [each for key, found in now.items() for each in found[len(self._before.get(key, ())) :]]
        went = [each for key, found in self._before.items() for each in found[len(now.get(key, ())) :]]
        self._before = now
        for sign, colour, found in (("-", "32", went), ("+", "31", came)):
            for each in found:
                if self._as_json:
                    self._emit({"kind": sign, **as_data(each, outcome)})
                    continue
                line = f"{sign} {clean(outcome.path(each.place.path))}:{each.place.line}: {each.severity} {each.rule}"
                line = f"{line} {clean(each.message)}"
                typer.echo(f"\x1b[{colour}m{line}\x1b[0m" if colours() else line)
        if self._as_json:
            self._emit(_summary(outcome, seconds))
        else:
            score = outcome.report.score
            counts = Counter(each.severity.value for each in outcome.report.findings)
            typer.echo(
                f"score {score.value:.1f} · debt {score.debt:g} · +{len(came)} -{len(went)}"
                f" · {counts['error']} errors, {counts['warning']} warnings · {seconds * 1000:.0f} ms"
            )

    @staticmethod
    def _emit(row: dict[str, object]) -> None:
        typer.echo(json.dumps(row))


def watch(request: Request, interval: float, *, as_json: bool = False) -> int:
    """Check, then again at each change, until told to stop. The exit code is that of the last check."""
    stop = threading.Event()
    with _stopping(stop):
        watched = Watched(request)
        printer = Printer(as_json=as_json)
        outcome = watched.outcome()
        printer.first(outcome)
        code = outcome.code
        del outcome  # and the tables of its project, before there are others
        sys.stdout.flush()
        milliseconds = max(1, int(interval * 1000))
        for changes in changes_of(
            watched.report.root,
            watch_filter=_Ours(watched.place.config.cache_dir),
            debounce=max(milliseconds, 50),
            step=milliseconds,
            stop_event=stop,
            rust_timeout=500,
            raise_interrupt=False,
            yield_on_timeout=True,
        ):
            if stop.is_set():
                break
            if not changes:
                watched.rest()  # changes are listened to by now
                continue
            began = time.perf_counter()
            try:
                if not _follow(watched, changes):
                    continue
                outcome = watched.outcome()
            except (ConfigError, OSError) as error:
                complain(str(error))  # a configuration that is half written; the next change may mend it
                continue
            printer.next(outcome, time.perf_counter() - began)
            code = outcome.code
            del outcome
            sys.stdout.flush()
    if not as_json:
        typer.echo("Stopped.")
    return code


def _follow(watched: Watched, changes: set[tuple[Change, str]]) -> bool:
    paths = [Path(path) for _, path in changes]
    if any(path.name == CONFIGURATION for path in paths):
        watched.start()
        return True
    # Many editors write another file and rename it: what is added may have been there before.
    return watched.again(paths, moved=any(not path.is_file() for path in paths))


def _grouped(outcome: Outcome) -> dict[tuple[str, str], list[Finding]]:
    found: dict[tuple[str, str], list[Finding]] = {}
    for each in outcome.shown:
        found.setdefault((each.fingerprint, each.place.path), []).append(each)
    return found


def _summary(outcome: Outcome, seconds: float | None) -> dict[str, object]:
    score = outcome.report.score
    row: dict[str, object] = {"kind": "score", "score": score.value, "debt": score.debt, "passes": not outcome.failures}
    return row if seconds is None else {**row, "seconds": round(seconds, 4)}


class _Ours(DefaultFilter):
    """Source files and the configuration; not what tools write beside them."""

    def __init__(self, cache_dir: str) -> None:
        super().__init__(ignore_dirs=(*DefaultFilter.ignore_dirs, ".ssot_cache", *([cache_dir] if cache_dir else [])))

    def __call__(self, change: Change, path: str) -> bool:
        name = os.path.basename(path)  # noqa: PTH119 - called for every event
        # What is deleted may have been a directory of source files.
        wanted = name.endswith(".py") or name == CONFIGURATION or (change is Change.deleted and "." not in name)
        return wanted and super().__call__(change, path)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Both signals set the event, so that a check that is under way is finished and nothing is printed by halves."""

    def told(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt  # told twice: at once
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
