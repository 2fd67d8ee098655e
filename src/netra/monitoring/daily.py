"""What happens on a day, counted where it happens: the figures behind `netra report` and behind several alert rules.

Any part calls `daily.count(name)` or `daily.observe(name, seconds)`, from any thread, at the cost of a dictionary's
update; what a metric counts already is read from it. The figures are kept in memory and added to the day's row every
few seconds and at the stop, so a crash loses a few seconds of counting and nothing else. Names are declared here;
another name raises, so that no figure is misspelt in silence.

Durations are kept as histograms whose bucket `i` holds what took between `1.1**i` and `1.1**(i + 1)` seconds: sums of
histograms are histograms, and a percentile read from one is at most five percent off.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import structlog

from netra.clock import Clock, SystemClock
from netra.errors import NetraError

from .metrics import counted, metrics

__all__ = ["COUNTED", "COUNTS", "DURATIONS", "Daily", "Figure", "FigureStore", "Figures", "daily", "percentile"]

log = structlog.get_logger(__name__)

COUNTED: dict[str, Callable[[], int]] = {
    "session_creations": lambda: counted(metrics.db_sessions_created),
    "session_creation_failures": lambda: counted(metrics.db_sessions_created, outcome="failed"),
    "pool_exhaustions": lambda: counted(metrics.db_pool_exhausted),
    "session_leaks": lambda: counted(metrics.db_session_leaks),
    "sign_in_failures": lambda: counted(metrics.sign_ins, outcome="refused"),
    "runs_succeeded": lambda: counted(metrics.runs_ended, status="succeeded"),
    "runs_failed": lambda: counted(metrics.runs_ended, status="failed"),
    "runs_cancelled": lambda: counted(metrics.runs_ended, status="cancelled"),
    "runs_timed_out": lambda: counted(metrics.runs_ended, status="timed_out"),
    "runs_stalled": lambda: counted(metrics.runs_ended, status="stalled"),
    "runs_died": lambda: counted(metrics.runs_ended, status="died"),
}
"""Figures whose events move a counter of `netra.monitoring.metrics`: they are read there, and not counted twice."""

COUNTS = {
    "refused_accesses": "attempts on what belongs to another user",
    "blocked_constructions": "direct constructions of what only a factory makes",
}
"""Names for `count`, and what they count."""

DURATIONS = {
    "event_latency": "from asking the log to store events to their delivery to every live reader",
    "request_latency": "from the head of a request to the head of its answer",
}
"""Names for `observe`, and what they time."""

FLUSH_SECONDS = 5.0
_BASE = math.log(1.1)
_SHORTEST = 1e-6


@dataclass(slots=True)
class Figure:
    """One figure: how often, the sum of the seconds, and the histogram (bucket → count) of what was timed."""

    count: int = 0
    total: float = 0.0
    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, other: Figure) -> None:
        """Add another figure of the same name."""
        self.count += other.count
        self.total += other.total
        self.buckets.update(other.buckets)

    def copy(self) -> Figure:
        """A figure of its own with the same numbers."""
        return Figure(self.count, self.total, Counter(self.buckets))


Figures = Mapping[str, Figure]
"""Figures by name."""


class FigureStore(Protocol):
    """Where figures are kept."""

    async def add(self, day: date, figures: Figures) -> None:
        """Add to what is stored for `day`. All or nothing."""
        ...


def bucket(seconds: float) -> int:
    """The bucket of a duration."""
    return math.floor(math.log(max(seconds, _SHORTEST)) / _BASE)


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """The duration in seconds that `share` (0 to 1) of a histogram does not exceed; None when it is empty.

    The nearest-rank percentile, given as the geometric middle of its bucket.
    """
    total = sum(buckets.values())
    if total <= 0:
        return None
    rank = max(1, math.ceil(share * total))
    for index in sorted(buckets):
        rank -= buckets[index]
        if rank <= 0:
            return math.exp((index + 0.5) * _BASE)
    raise AssertionError("a histogram's counts do not add up")


class Daily:
    """Counts in memory and hands over to a store. See the module."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_start: dict[str, Figure] = {}
        self._unwritten: dict[str, Figure] = {}
        self._clock: Clock = SystemClock()
        self._day: date | None = None
        self._store: FigureStore | None = None
        self._task: asyncio.Task[None] | None = None
        self._interval = FLUSH_SECONDS
        self._first = {name: read() for name, read in COUNTED.items()}
        self._read = dict(self._first)

    def count(self, name: str, n: int = 1) -> None:
        """Something happened `n` times.

        Raises:
            ValueError: `COUNTS` has no such name.
        """
        if name not in COUNTS:
            raise ValueError(f"{name!r} is no count of a day; netra.monitoring.daily.COUNTS declares them")
        with self._lock:
            for figures in (self._since_start, self._unwritten):
                figure = figures.get(name)
                if figure is None:
                    figure = figures[name] = Figure()
                figure.count += n

    def observe(self, name: str, seconds: float) -> None:
        """Something took `seconds`.

        Raises:
            ValueError: `DURATIONS` has no such name.
        """
        if name not in DURATIONS:
            raise ValueError(f"{name!r} is no duration of a day; netra.monitoring.daily.DURATIONS declares them")
        index = bucket(seconds)
        with self._lock:
            for figures in (self._since_start, self._unwritten):
                figure = figures.get(name)
                if figure is None:
                    figure = figures[name] = Figure()
                figure.count += 1
                figure.total += seconds
                figure.buckets[index] += 1

    def since_start(self, name: str) -> Figure:
        """What this process has counted under a name, as a copy; an alert rule compares two of them.

        Raises:
            ValueError: no such name is declared.
        """
        if name in COUNTED:
            return Figure(COUNTED[name]() - self._first[name])
        if name not in COUNTS and name not in DURATIONS:
            raise ValueError(f"{name!r} is no figure of a day")
        with self._lock:
            figure = self._since_start.get(name)
            return figure.copy() if figure is not None else Figure()

    @property
    def started(self) -> bool:
        """Whether figures are being written."""
        return self._task is not None

    def configure(self, store: FigureStore, *, clock: Clock, interval: float = FLUSH_SECONDS) -> None:
        """Say where figures go. What was counted before is kept and written too."""
        self._store, self._clock, self._interval = store, clock, interval

    async def start(self) -> None:
        """Write every few seconds from now on. `configure` comes first."""
        assert self._store is not None and self._task is None, "configure Daily, and start it once"
        self._day = self._clock.now().date()
        self._task = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Write what is left. Safe to call twice."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.flush()
        self._store = None

    async def flush(self) -> None:
        """Add what was counted since the last time to its day. What cannot be stored is kept for the next time."""
        if self._store is None:
            return
        today = self._clock.now().date()
        day, self._day = self._day or today, today
        with self._lock:
            for name, read in COUNTED.items():
                value = read()
                if value != self._read[name]:
                    self._unwritten.setdefault(name, Figure()).count += value - self._read[name]
                    self._read[name] = value
            figures, self._unwritten = self._unwritten, {}
        if not figures:
            return
        try:
            await self._store.add(day, figures)
        except BaseException as error:
            with self._lock:
                for name, figure in figures.items():
                    self._unwritten.setdefault(name, Figure()).add(figure)
            self._day = day
            if not isinstance(error, NetraError):
                raise
            log.warning("figures not written", error=error.code)

    async def _write_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.flush()
            except Exception:
                log.exception("figures not written")  # the next time may succeed


def merged(days: Sequence[Figures]) -> dict[str, Figure]:
    """The figures of several days together."""
    together: dict[str, Figure] = {}
    for figures in days:
        for name, figure in figures.items():
            together.setdefault(name, Figure()).add(figure)
    return together


daily = Daily()
"""The process's figures: counted from the first moment, written once `netra.app` has configured and started it."""
