"""The rules that every server watches, with their thresholds. `docs/guides/alerts.md` shows them to operators.

Most read what this process has counted lately: counters only grow, so a rule compares what they say now with what they
said a window ago. Those about runs ask the database, where all processes see the same.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from netra.clock import Clock
from netra.config import AlertRuleSettings, Settings
from netra.errors import ConfigurationError

from .daily import Daily, Figure, bucket, percentile
from .incidents import Severity
from .metrics import counted, metrics
from .rules import AlertRule, Readings

FEWEST_EVENTS = 50
"""Events in a window from which on their latency is judged."""
MINUTE = 60.0


class RunReadings(Protocol):
    """How the runs fare; `netra.storage.run_health` knows."""

    async def failure_share(self) -> float | None:
        """The share of failed runs lately; None: too few to judge."""
        ...

    async def stuck(self) -> int:
        """Runs that go on past their deadline."""
        ...

    async def queue_age(self) -> float:
        """Seconds for which a run waits that nothing keeps from beginning."""
        ...

    async def failing_threads(self) -> dict[str, float]:
        """Threads whose newest runs failed, and how many of them in a row."""
        ...


class Recent:
    """What was counted within the last `seconds`, from a figure that only grows.

    Args:
        read: the figure since the start.
        seconds: the window; it is filled by reading, so the first readings see less.
    """

    def __init__(self, read: Callable[[], Figure], clock: Clock, seconds: float) -> None:
        self._read = read
        self._clock = clock
        self._seconds = seconds
        self._seen: deque[tuple[float, Figure]] = deque([(clock.monotonic(), read())])

    def figure(self) -> Figure:
        """The difference between now and the beginning of the window."""
        now, figure = self._clock.monotonic(), self._read()
        self._seen.append((now, figure))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._seconds:
            self._seen.popleft()
        first = self._seen[0][1]
        buckets = Counter({at: n - first.buckets[at] for at, n in figure.buckets.items() if n > first.buckets[at]})
        return Figure(figure.count - first.count, figure.total - first.total, buckets)


def standard_rules(settings: Settings, clock: Clock, figures: Daily, runs: RunReadings) -> list[AlertRule]:
    """The rules of a server, reading this process's `figures` and `metrics` from now on.

    Raises:
        ConfigurationError: `alert_rules` names no rule, or thresholds that cross.
    """
    rules = {
        rule.name: rule
        for rule in (
            *_about_runs(settings, runs),
            *_about_sessions(clock, figures),
            *_about_the_process(settings, clock, figures),
        )
    }
    for name, change in settings.alert_rules.items():
        if name not in rules:
            raise ConfigurationError(
                f"alert_rules: there is no rule {name!r}.", hint=f"Rules: {', '.join(sorted(rules))}."
            )
        rules[name] = _changed(rules[name], change)
    return [rule for rule in rules.values() if settings.alert_rules.get(rule.name, _UNCHANGED).enabled]


_UNCHANGED = AlertRuleSettings()


def _changed(rule: AlertRule, change: AlertRuleSettings) -> AlertRule:
    given = change.model_dump(exclude={"enabled", "severity"}, exclude_none=True)
    if "fires_at" in given and "resolves_at" not in given and rule.fires_at:
        given["resolves_at"] = rule.resolves_at * given["fires_at"] / rule.fires_at
    try:
        return replace(rule, **given, severity=Severity(change.severity or rule.severity))
    except ValueError as error:
        raise ConfigurationError(f"alert_rules.{rule.name}: {error}.", hint="Set resolves_at, too.") from None


def _about_runs(settings: Settings, runs: RunReadings) -> list[AlertRule]:
    """What the database says, which all processes share."""
    share = settings.alert_run_failure_share

    async def failure_share() -> Readings:
        return {"": await runs.failure_share()}

    async def stuck() -> Readings:
        return {"": float(await runs.stuck())}

    async def queue_age() -> Readings:
        return {"": await runs.queue_age()}

    return [
        AlertRule(
            "run_failures",
            Severity.CRITICAL,
            "The share of failed runs among those that ended within 15 minutes, when there are at least 5.",
            "{value} of the runs fail.",
            failure_share,
            "share",
            fires_at=share,
            resolves_at=share / 2,
            for_seconds=MINUTE,
            shared=True,
        ),
        AlertRule(
            "thread_failures",
            Severity.WARNING,
            "Failed runs in a row in one thread within an hour: its user gets no answers.",
            "Runs fail in {key}: {value} in a row.",
            runs.failing_threads,
            "",
            fires_at=3,
            resolves_at=0,
            shared=True,
        ),
        AlertRule(
            "stuck_runs",
            Severity.CRITICAL,
            "Runs that go on past their deadline without waiting for a person.",
            "Runs go on past their deadline: {value}.",
            stuck,
            "",
            fires_at=1,
            resolves_at=0,
            for_seconds=MINUTE,
            shared=True,
        ),
        AlertRule(
            "queue_age",
            Severity.WARNING,
            "How long a run has waited that neither its thread nor its user's limit keeps from beginning.",
            "A run has waited {value} for a process to work on it.",
            queue_age,
            "s",
            fires_at=60,
            resolves_at=10,
            for_seconds=MINUTE / 2,
            shared=True,
        ),
    ]


def _about_sessions(clock: Clock, figures: Daily) -> list[AlertRule]:
    """Database sessions, and who asks for what is not theirs."""

    def number(name: str, seconds: float) -> Callable[[], Readings]:
        window = Recent(lambda: figures.since_start(name), clock, seconds)
        return lambda: {"": float(window.figure().count)}

    return [
        AlertRule(
            "pool_exhaustion",
            Severity.CRITICAL,
            "Waits for a database connection within 5 minutes that ended without one.",
            "Waits for a database connection ended without one on {key}: {value}.",
            number("pool_exhaustions", 5 * MINUTE),
            "",
            fires_at=1,
            resolves_at=0,
        ),
        AlertRule(
            "session_leak",
            Severity.WARNING,
            "Database sessions within 15 minutes that were held past their limit.",
            "Database sessions were held too long on {key}: {value}. The log has their stacks.",
            number("session_leaks", 15 * MINUTE),
            "",
            fires_at=1,
            resolves_at=0,
        ),
        AlertRule(
            "isolation_refusals",
            Severity.CRITICAL,
            "Refused attempts within 5 minutes on what belongs to another user.",
            "{value} attempts on other users' executions were refused on {key}.",
            number("refused_accesses", 5 * MINUTE),
            "",
            fires_at=5,
            resolves_at=0,
        ),
    ]


def _about_the_process(settings: Settings, clock: Clock, figures: Daily) -> list[AlertRule]:
    """How fast this process is, what it leaves alone, who knocks, and where it writes."""
    events = Recent(lambda: figures.since_start("event_latency"), clock, 5 * MINUTE)
    lag = Recent(_loop_lag, clock, MINUTE)
    attempts = Recent(lambda: Figure(counted(metrics.sign_ins, outcome="refused") + _limited()), clock, 5 * MINUTE)
    latency, disk = settings.alert_event_latency_seconds, float(settings.alert_disk_free_bytes)

    def event_latency() -> Readings:
        figure = events.figure()
        if figure.count < FEWEST_EVENTS:
            return {"": None if figure.count else 0.0}
        return {"": percentile(figure.buckets, 0.99)}

    async def disk_free() -> Readings:
        usage = await asyncio.to_thread(shutil.disk_usage, _existing(settings.data_dir))
        return {"": float(usage.free)}

    return [
        AlertRule(
            "event_latency",
            Severity.WARNING,
            "The 99th percentile, over 5 minutes, from storing events to their delivery, when there are at least 50.",
            "One event in a hundred takes {value} or longer on {key}.",
            event_latency,
            "s",
            fires_at=latency,
            resolves_at=latency / 2,
            for_seconds=MINUTE,
        ),
        AlertRule(
            "loop_lag",
            Severity.WARNING,
            "The 99th percentile, over a minute, of how late the event loop wakes; the log has what blocks it.",
            "The event loop is {value} late on {key}.",
            lambda: {"": percentile(lag.figure().buckets, 0.99)},
            "s",
            fires_at=0.25,
            resolves_at=0.1,
            for_seconds=MINUTE,
        ),
        AlertRule(
            "breaker_open",
            Severity.WARNING,
            "Circuits that are open: an agent or a host that fails too often is left alone for a while.",
            "The circuit of {key} is open.",
            _breakers,
            "",
            fires_at=2,
            resolves_at=0,
        ),
        AlertRule(
            "sign_in_attack",
            Severity.WARNING,
            "Sign-ins within 5 minutes that were refused or limited.",
            "{value} sign-ins were refused on {key} within 5 minutes.",
            lambda: {"": float(attempts.figure().count)},
            "",
            fires_at=50,
            resolves_at=10,
        ),
        AlertRule(
            "disk_space",
            Severity.CRITICAL,
            "Free space where the data directory is.",
            "Only {value} are free for the data of {key}.",
            disk_free,
            "bytes",
            fires_at=disk,
            resolves_at=disk * 1.5,
            falling=True,
        ),
    ]


def _limited() -> int:
    return counted(metrics.sign_ins, outcome="limited")


def _loop_lag() -> Figure:
    """The loop's lag since the start, as a histogram of `netra.monitoring.daily`'s kind."""
    figure, before = Figure(), 0
    for family in metrics.loop_lag_seconds.collect():
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                bound, below = float(sample.labels["le"]), round(sample.value)
                # The upper bound of each of Prometheus' buckets stands for what is in it; above the last, the double.
                at = bucket(bound if bound != float("inf") else 10.0)
                figure.buckets[at] += below - before
                before = below
    figure.count = before
    return figure


def _breakers() -> Readings:
    return {
        f"{sample.labels['kind']} {sample.labels['name']}": sample.value
        for family in metrics.breaker_state.collect()
        for sample in family.samples
    }


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
