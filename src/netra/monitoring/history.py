"""The server's own history, so that a dashboard has pictures without Prometheus.

Every 10 seconds each process stores one row of numbers, kept for a day, and every 5 minutes another, kept for 30 days:
at most 17,280 rows for each process, whatever happens. `SERIES` is the list of what is in a row. Numbers come from
`netra.monitoring.metrics`, so that a picture and a scrape never disagree.

A gauge is what it is at the end of a short step, and the mean of the short steps in a long one. A count is how many
there were within the step. A quantile is read from what a histogram counted within the step, interpolated within its
bucket as Prometheus does it, and null when it counted nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

import structlog
from prometheus_client import Counter, Gauge, Histogram

from netra.clock import Clock
from netra.errors import NetraError

from .metrics import counted, metrics

log = structlog.get_logger(__name__)

SHORT, LONG = 10, 300
"""Seconds of the two steps."""
KEPT: Final = {SHORT: timedelta(days=1), LONG: timedelta(days=30)}
TIDY_SECONDS = 600.0
MOST_SHORT_MINUTES = 360
"""Longer pictures are made of long steps."""

Unit = Literal["", "s", "bytes"]
Values = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a picture.

    Args:
        name: stable, and the key in a row.
        unit: `s`, `bytes`, or empty for a number of things.
        meaning: one sentence for people.
        read: a gauge's value; a count since the process began; of a quantile, the histogram's counts up to each bound.
        kind: see the module.
        shared: whether every process sees the same, as of a queue in the database; otherwise each adds its part. Of
            quantiles the worst process counts.
        quantile: 0 to 1.
    """

    name: str
    unit: Unit
    meaning: str
    read: Callable[[], float | list[tuple[float, float]]]
    kind: Literal["gauge", "count", "quantile"]
    shared: bool = False
    quantile: float = 0.0


def _gauge(name: str, meaning: str, metric: Gauge, unit: Unit = "", *, shared: bool = False, **labels: str) -> Series:
    def read() -> float:
        return sum(
            sample.value
            for family in metric.collect()
            for sample in family.samples
            if labels.items() <= sample.labels.items()
        )

    return Series(name, unit, meaning, read, "gauge", shared)


def _count(name: str, meaning: str, metric: Counter, **labels: str) -> Series:
    return Series(name, "", meaning, lambda: counted(metric, **labels), "count")


def _quantile(name: str, meaning: str, metric: Histogram, share: float) -> Series:
    def read() -> list[tuple[float, float]]:
        total: dict[float, float] = {}
        for family in metric.collect():
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    total[bound] = total.get(bound, 0.0) + sample.value
        return sorted(total.items())

    return Series(name, "s", meaning, read, "quantile", quantile=share)


def _server_errors() -> float:
    return sum(
        sample.value
        for family in metrics.requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["status"].startswith("5")
    )


def _memory() -> float:
    return next((family.samples[0].value for family in metrics.process.collect() if family.name == MEMORY), 0.0)


MEMORY = "process_resident_memory_bytes"
SERIES: Final[tuple[Series, ...]] = (
    _gauge("active_users", "Users with a live session.", metrics.active_users),
    _gauge("user_sessions", "Live sessions of users.", metrics.user_sessions),
    _gauge("sockets", "Open sockets.", metrics.connections, kind="socket"),
    _gauge("streams", "Open event streams.", metrics.connections, kind="stream"),
    _gauge("runs_running", "Runs that are worked on.", metrics.runs, state="running"),
    _gauge("runs_queued", "Runs that wait for their turn.", metrics.runs, shared=True, state="queued"),
    _count("runs_succeeded", "Runs that succeeded.", metrics.runs_ended, status="succeeded"),
    _count("runs_failed", "Runs that failed.", metrics.runs_ended, status="failed"),
    _count("runs_cancelled", "Runs that were cancelled.", metrics.runs_ended, status="cancelled"),
    _count("runs_timed_out", "Runs that took too long.", metrics.runs_ended, status="timed_out"),
    _count("runs_stalled", "Runs that made no progress.", metrics.runs_ended, status="stalled"),
    _count("runs_died", "Runs whose process died again and again.", metrics.runs_ended, status="died"),
    _quantile("run_seconds_p50", "Half of the runs that ended took no longer.", metrics.run_seconds, 0.5),
    _quantile("run_seconds_p95", "95 % of the runs that ended took no longer.", metrics.run_seconds, 0.95),
    _gauge("db_in_use", "Database connections in use.", metrics.db_pool_connections, state="in_use"),
    _gauge("db_free", "Database connections free to take.", metrics.db_pool_connections, state="free"),
    _gauge("db_waiting", "Waits for a database connection.", metrics.db_pool_waiting),
    _quantile("db_wait_p95", "95 % of the waits for a connection took no longer.", metrics.db_wait_seconds, 0.95),
    _count("db_errors", "Failures of database sessions.", metrics.db_session_errors),
    Series("http_errors", "", "HTTP requests answered with 500 or above.", _server_errors, "count"),
    _count("command_errors", "Socket commands that failed unexpectedly.", metrics.commands, outcome="internal"),
    _count("refusals", "Refused attempts on what belongs to others.", metrics.isolation_refusals),
    _count("sign_ins_refused", "Sign-ins that were refused.", metrics.sign_ins, outcome="refused"),
    _count("requests", "HTTP requests answered.", metrics.requests),
    _count("events", "Events stored.", metrics.events_appended),
    _quantile("append_p99", "99 % of the appends to the log took no longer.", metrics.append_seconds, 0.99),
    _quantile("loop_lag_p99", "99 % of the event loop's timers woke no later.", metrics.loop_lag_seconds, 0.99),
    _gauge("alerts_open", "Incidents that are not over.", metrics.alerts_open, shared=True),
    Series("memory_bytes", "bytes", "Resident memory.", _memory, "gauge"),
)
"""What is kept, in the order of docs/metrics.md."""
BY_NAME: Final = {series.name: series for series in SERIES}


@dataclass(frozen=True, slots=True)
class Sample:
    """A row: what one process measured within the `step` seconds that ended at `at`."""

    step: int
    at: datetime
    process: str
    values: Values


class SampleStore(Protocol):
    """Where samples are kept.

    Raises (all of them):
        Unavailable: the database is away.
    """

    async def add(self, samples: Sequence[Sample]) -> None:
        """Store them, in one transaction; one that is there already is replaced."""
        ...

    async def between(self, step: int, after: datetime, until: datetime) -> list[Sample]:
        """Those of one step that ended after `after` and not after `until`, the oldest first."""
        ...

    async def forget(self, step: int, before: datetime) -> int:
        """Remove those of one step that ended before; returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class HistoryPicture:
    """Series over time, all processes together.

    Args:
        step: seconds between two points.
        times: the ends of the steps; steps without any sample are there.
        values: by name, a number or None for each time.
    """

    step: int
    times: list[datetime]
    values: dict[str, list[float | None]]


@dataclass(slots=True)
class _Steps:
    """What was read at the beginning of a step, and the gauges seen within it."""

    begun: dict[str, float | list[tuple[float, float]]]
    gauges: list[dict[str, float]] = field(default_factory=list)

    def values(self, now: dict[str, float | list[tuple[float, float]]]) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for series in SERIES:
            before, after = self.begun[series.name], now[series.name]
            if isinstance(after, list):
                found[series.name] = quantile(before if isinstance(before, list) else [], after, series.quantile)
            elif series.kind == "count":
                assert not isinstance(before, list)
                found[series.name] = after - before
            else:
                seen = [each[series.name] for each in self.gauges]
                found[series.name] = math.fsum(seen) / len(seen) if seen else after
        return found


class History:
    """Measures this process, and shows what all have measured. See the module.

    Args:
        store: where samples are kept.
        clock: gives the times of the steps.
        process: names this process among those of one database; the same after a restart.
    """

    def __init__(self, store: SampleStore, clock: Clock, process: str) -> None:
        self._store = store
        self._clock = clock
        self._process = process
        self._short = self._long = _Steps(_read())
        self._task: asyncio.Task[None] | None = None
        self._tidied: float | None = None
        self._sampled: datetime | None = None

    async def start(self) -> None:
        """Take samples from now on."""
        assert self._task is None, "a History is started once"
        self._short, self._long = _Steps(_read()), _Steps(_read())
        self._task = asyncio.create_task(self._measure(), name="history")

    async def stop(self) -> None:
        """End. What was measured since the last sample is not kept."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def now(self) -> dict[str, float | None]:
        """This process at this moment: gauges as they are, counts and quantiles of the running short step."""
        return self._short.values(_read())

    async def sample(self) -> list[Sample]:
        """Take and store what is due at this moment, and return it. Called at every end of a short step.

        Raises:
            Unavailable: the database is away; the samples are lost.
        """
        at, now = aligned(self._clock.now(), SHORT), _read()
        if at == self._sampled:  # woken a moment early: what is stored of this step already is all of it
            return []
        due = [Sample(SHORT, at, self._process, self._short.values(now))]
        self._long.gauges.append({each.name: _number(now[each.name]) for each in SERIES if each.kind == "gauge"})
        self._short = _Steps(now)
        ended = aligned(at, LONG)
        if ended == at or (self._sampled is not None and self._sampled < ended):  # also when its last end was missed
            due.append(Sample(LONG, ended, self._process, self._long.values(now)))
            self._long = _Steps(now)
        self._sampled = at
        await self._store.add(due)
        if self._tidied is None or self._clock.monotonic() >= self._tidied + TIDY_SECONDS:
            self._tidied = self._clock.monotonic()
            for step, kept in KEPT.items():
                await self._store.forget(step, at - kept)
        return due

    async def picture(self, minutes: int, names: Sequence[str] = ()) -> HistoryPicture:
        """The last `minutes` of some series, or of all, up to the last end of a step.

        Raises:
            KeyError: there is no series of that name.
            Unavailable: the database is away.
        """
        chosen = [BY_NAME[name] for name in names] if names else list(SERIES)
        step = SHORT if minutes <= MOST_SHORT_MINUTES else LONG
        until = aligned(self._clock.now(), step)
        many = minutes * 60 // step
        after = until - timedelta(seconds=many * step)
        stored = await self._store.between(step, after, until)
        return await asyncio.to_thread(_paint, step, after, many, chosen, stored)

    async def _measure(self) -> None:
        while True:
            now = self._clock.now()
            rest = (aligned(now, SHORT) + timedelta(seconds=SHORT) - now).total_seconds()
            await asyncio.sleep(rest + 0.005)
            try:
                await self.sample()
            except NetraError as error:
                log.warning("sample lost", error=error.code)
            except Exception:
                log.exception("sample lost")  # the next one may succeed


def _paint(step: int, after: datetime, many: int, chosen: Sequence[Series], stored: Sequence[Sample]) -> HistoryPicture:
    """Put the samples of all processes together; a month of all series is a quarter of a million numbers."""
    places = {after + timedelta(seconds=step * number): number - 1 for number in range(1, many + 1)}
    values: dict[str, list[float | None]] = {each.name: [None] * len(places) for each in chosen}
    for sample in stored:
        if (place := places.get(sample.at)) is not None:
            for each in chosen:
                line = values[each.name]
                line[place] = _together(each, line[place], sample.values.get(each.name))
    return HistoryPicture(step, list(places), values)


def aligned(moment: datetime, step: int) -> datetime:
    """The last end of a step that is not after a moment. Steps of all processes end together."""
    return datetime.fromtimestamp(math.floor(moment.timestamp() / step) * step, UTC)


def quantile(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]], share: float) -> float | None:
    """The value that `share` of what a histogram counted between two readings does not exceed; None for nothing.

    Interpolated within its bucket as Prometheus' `histogram_quantile` does it; of the last bucket, its lower bound.

    Args:
        before: counts up to each bound, ascending, as they were.
        after: as they are.
    """
    base = dict(before)
    counts = [(bound, count - base.get(bound, 0.0)) for bound, count in after]
    if not counts or counts[-1][1] <= 0:
        return None
    rank, lower, below = share * counts[-1][1], 0.0, 0.0
    for bound, count in counts:
        if count >= rank and count > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    raise AssertionError("a histogram's counts do not add up")


def _read() -> dict[str, float | list[tuple[float, float]]]:
    return {series.name: series.read() for series in SERIES}


def _number(value: float | list[tuple[float, float]]) -> float:
    assert not isinstance(value, list)
    return value


def _together(series: Series, known: float | None, further: float | None) -> float | None:
    if known is None or further is None:
        return further if known is None else known
    return max(known, further) if series.shared or series.kind == "quantile" else known + further
