"""A progress bar for people who wait: on standard error, in terminals only, and not for what is over at once."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PATIENCE_SECONDS = 0.5


class Bar:
    """Shows what `check.run` reports, from half a second on, and leaves no trace."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._began = time.monotonic()
        self._task: TaskID | None = None
        self._what = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._task is not None:
            self._progress.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        """Say how far it is."""
        if time.monotonic() - self._began < PATIENCE_SECONDS:
            return
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task(what, total=of, completed=done)
            self._what = what
        if what != self._what:
            self._progress.reset(self._task, total=of, completed=done, description=what)
            self._what = what
        else:
            self._progress.update(self._task, completed=done, total=of)
