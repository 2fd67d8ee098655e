"""Rules: the values they turn on, the time they wait, and the standard ones on real counters."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from netra.config import Settings
from netra.errors import ConfigurationError
from netra.monitoring.daily import Daily
from netra.monitoring.incidents import Severity
from netra.monitoring.metrics import metrics
from netra.monitoring.rules import AlertRule, Judgement, Readings, shown
from netra.monitoring.standard import standard_rules
from support.clock import ManualClock


def nothing() -> Readings:
    return {}


def rule(**options: object) -> AlertRule:
    values = {"fires_at": 10, "resolves_at": 5, **options}
    return AlertRule("hot", Severity.WARNING, "It is hot.", "{key} has {value}.", nothing, "", **values)  # type: ignore[arg-type]


@pytest.mark.spec("alerts.rules")
def test_a_rule_fires_at_its_threshold_and_resolves_at_the_other() -> None:
    judgement = Judgement(rule())
    verdicts = [judgement.judge(value, n) for n, value in enumerate([9.9, 10, 12, 6, 5, 9.9, 10])]
    assert verdicts == [None, "fire", None, None, "resolve", None, "fire"]


@pytest.mark.spec("alerts.hysteresis")
def test_a_value_must_stay_for_its_time_to_fire_and_to_resolve() -> None:
    judgement = Judgement(rule(for_seconds=60))
    course = [(0, 11), (59, 11), (59.5, 9), (60, 11), (119, 11), (120, 11), (130, 4), (180, 6), (190, 4), (250, 4)]
    verdicts = [judgement.judge(value, at) for at, value in course]
    assert verdicts == [None, None, None, None, None, "fire", None, None, None, "resolve"]


def test_a_falling_rule_fires_when_there_is_little_left() -> None:
    judgement = Judgement(rule(fires_at=1, resolves_at=2, falling=True))
    assert [judgement.judge(value, 0) for value in (3, 1.5, 1, 1.5, 2)] == [None, None, "fire", None, "resolve"]


def test_thresholds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="hot"):
        rule(fires_at=5, resolves_at=5)
    with pytest.raises(ValueError, match="hot"):
        rule(fires_at=5, resolves_at=4, falling=True)


def test_values_are_shown_with_their_unit() -> None:
    assert [shown(0.25, "share"), shown(0.25, "s"), shown(90, "s"), shown(2 * 1024**3, "bytes"), shown(3, "")] == [
        "25%",
        "250 ms",
        "0:01:30",
        "2.0 GiB",
        "3",
    ]


class NoRuns:
    """An installation whose runs are all well."""

    async def failure_share(self) -> float | None:
        return 0.0

    async def stuck(self) -> int:
        return 0

    async def queue_age(self) -> float:
        return 0.0

    async def failing_threads(self) -> dict[str, float]:
        return {}


class Watched:
    """The standard rules over figures of their own."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.clock, self.figures = ManualClock(), Daily()
        chosen = Settings(data_dir=data_dir, **settings)  # type: ignore[arg-type]
        self.rules = {rule.name: rule for rule in standard_rules(chosen, self.clock, self.figures, NoRuns())}

    def bad(self, name: str, key: str = "") -> bool:
        """Whether a rule has something to fire at."""
        found = self.rules[name].reading()
        assert not hasattr(found, "__await__")
        value = found.get(key)  # type: ignore[union-attr]
        return value is not None and self.rules[name].bad(value)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    metrics.breaker_state.clear()  # of this process: other tests have left circuits open
    return Watched(tmp_path / "not yet there")


async def test_nothing_is_bad_on_a_healthy_server(watched: Watched) -> None:
    for rule in watched.rules.values():
        found = rule.reading()
        readings = await found if hasattr(found, "__await__") else found
        assert not [value for value in readings.values() if value is not None and rule.bad(value)], rule.name


@pytest.mark.spec("alerts.rules")
def test_slow_events_are_noticed_and_forgotten_when_the_window_has_passed(watched: Watched) -> None:
    for _ in range(60):
        watched.figures.observe("event_latency", 0.01)
    assert not watched.bad("event_latency")
    for _ in range(5):
        watched.figures.observe("event_latency", 1.0)
    assert watched.bad("event_latency")
    for _ in range(40):
        watched.clock.advance(10)
        watched.bad("event_latency")
    assert watched.rules["event_latency"].reading() == {"": 0.0}


def test_a_few_slow_events_are_too_little_to_judge(watched: Watched) -> None:
    watched.figures.observe("event_latency", 9.0)
    assert watched.rules["event_latency"].reading() == {"": None}


@pytest.mark.spec("alerts.rules")
def test_refused_accesses_exhausted_pools_and_leaks_are_noticed(watched: Watched) -> None:
    watched.figures.count("refused_accesses", 4)
    assert not watched.bad("isolation_refusals")
    watched.figures.count("refused_accesses")
    metrics.db_pool_exhausted.labels("read").inc()
    metrics.db_session_leaks.inc()
    metrics.sign_ins.labels("refused").inc(30)
    metrics.sign_ins.labels("limited").inc(20)
    names = ("isolation_refusals", "pool_exhaustion", "session_leak", "sign_in_attack")
    assert [name for name in names if watched.bad(name)] == list(names)


def test_what_happened_before_a_server_started_is_not_its_matter(tmp_path: Path) -> None:
    metrics.db_session_leaks.inc()
    assert not Watched(tmp_path).bad("session_leak")


def test_an_open_circuit_is_noticed_and_a_half_open_one_decides_nothing(watched: Watched) -> None:
    gauge = metrics.breaker_state.labels("agent", "rules-test")
    gauge.set(2)
    assert watched.bad("breaker_open", "agent rules-test")
    gauge.set(1)
    rule = watched.rules["breaker_open"]
    assert not rule.bad(1) and not rule.good(1)
    metrics.breaker_state.remove("agent", "rules-test")


def test_a_late_loop_is_noticed(watched: Watched) -> None:
    for _ in range(100):
        metrics.loop_lag_seconds.observe(0.4)
    assert watched.bad("loop_lag")


async def test_a_full_disk_is_noticed_even_before_the_directory_exists(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "a" / "b", alert_disk_free_bytes=10**18)
    rule = watched.rules["disk_space"]
    readings = await rule.reading()  # type: ignore[misc]
    assert rule.bad(readings[""])


def test_counting_costs_little() -> None:
    figures = Daily()
    best = float("inf")
    for _ in range(5):
        started = time.thread_time()
        for _ in range(2000):
            figures.observe("event_latency", 0.01)
        best = min(best, (time.thread_time() - started) / 2000)
    assert best < 100e-6  # a few, and some tens where coverage is measured on a busy machine


def test_rules_are_changed_and_left_out_by_settings(tmp_path: Path) -> None:
    changes = {"loop_lag": {"fires_at": 0.5, "severity": "critical"}, "disk_space": {"enabled": False}}
    plain, changed = Watched(tmp_path), Watched(tmp_path, alert_rules=changes)
    assert plain.rules.keys() - changed.rules.keys() == {"disk_space"}
    rule = changed.rules["loop_lag"]
    assert (rule.fires_at, rule.severity, rule.for_seconds) == (0.5, "critical", plain.rules["loop_lag"].for_seconds)
    assert rule.resolves_at == pytest.approx(0.2), "the gap keeps its proportion"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loop_lug": {"fires_at": 1}}, "there is no rule 'loop_lug'"),
        ({"loop_lag": {"fires_at": 0.1, "resolves_at": 0.2}}, "where it fires"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_name(tmp_path: Path, changes: object, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Watched(tmp_path, alert_rules=changes)


def test_an_unknown_member_of_a_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"alert_rules\.loop_lag\.fire_at"):
        Watched(tmp_path, alert_rules={"loop_lag": {"fire_at": 1}})
