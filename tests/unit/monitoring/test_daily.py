"""Figures of days: cheap to count, right about percentiles, and never lost to a database that is away."""

from __future__ import annotations

import random
import threading
from datetime import date

import pytest

from netra.errors import Unavailable
from netra.monitoring.daily import Daily, Figure, Figures, bucket, percentile
from netra.monitoring.metrics import metrics
from support.clock import ManualClock


class Kept:
    """Keeps what it is given, or refuses it."""

    def __init__(self) -> None:
        self.days: dict[date, dict[str, Figure]] = {}
        self.away = False

    async def add(self, day: date, figures: Figures) -> None:
        if self.away:
            raise Unavailable("away")
        for name, figure in figures.items():
            self.days.setdefault(day, {}).setdefault(name, Figure()).add(figure)


@pytest.fixture
def kept() -> Kept:
    return Kept()


def configured(kept: Kept, clock: ManualClock) -> Daily:
    daily = Daily()
    daily.configure(kept, clock=clock)
    return daily


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_percentile_is_at_most_five_percent_off(share: float) -> None:
    durations = sorted(random.Random(7).lognormvariate(-4, 1.5) for _ in range(20_000))
    daily = Daily()
    for seconds in durations:
        daily.observe("event_latency", seconds)
    found = percentile(daily.since_start("event_latency").buckets, share)
    assert found == pytest.approx(durations[int(share * len(durations)) - 1], rel=0.05)


def test_an_empty_histogram_has_no_percentile() -> None:
    assert percentile({}, 0.99) is None


def test_a_duration_of_nothing_is_counted() -> None:
    assert bucket(0.0) == bucket(1e-6)


def test_a_misspelt_name_raises() -> None:
    with pytest.raises(ValueError, match="sesion"):
        Daily().count("sesion_leaks")
    with pytest.raises(ValueError, match="latency"):
        Daily().observe("latency", 1)
    with pytest.raises(ValueError, match="nothing"):
        Daily().since_start("nothing")


async def test_what_is_counted_lands_on_its_day_once(kept: Kept) -> None:
    clock = ManualClock()
    daily = configured(kept, clock)
    daily.count("refused_accesses", 2)
    await daily.flush()
    daily.count("refused_accesses")
    await daily.flush()
    await daily.flush()
    clock.advance(86_400)
    await daily.flush()
    daily.count("refused_accesses", 5)
    await daily.flush()
    assert {day: figures["refused_accesses"].count for day, figures in kept.days.items()} == {
        date(2026, 1, 5): 3,
        date(2026, 1, 6): 5,
    }


async def test_figures_survive_a_database_that_is_away(kept: Kept) -> None:
    daily = configured(kept, ManualClock())
    kept.away = True
    daily.observe("request_latency", 0.1)
    await daily.flush()
    daily.observe("request_latency", 0.1)
    kept.away = False
    await daily.flush()
    (figures,) = kept.days.values()
    assert figures["request_latency"].count == 2
    assert figures["request_latency"].total == pytest.approx(0.2)
    assert sum(figures["request_latency"].buckets.values()) == 2


async def test_what_a_metric_counts_is_read_from_it_and_only_what_is_new(kept: Kept) -> None:
    metrics.runs_ended.labels("died").inc()
    daily = configured(kept, ManualClock())
    await daily.flush()
    metrics.runs_ended.labels("died").inc(2)
    await daily.flush()
    metrics.runs_ended.labels("died").inc()
    await daily.flush()
    (figures,) = kept.days.values()
    assert figures["runs_died"].count == 3
    assert daily.since_start("runs_died").count == 3


async def test_counting_from_many_threads_loses_nothing(kept: Kept) -> None:
    daily = configured(kept, ManualClock())

    def work() -> None:
        for _ in range(2000):
            daily.count("refused_accesses")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        await daily.flush()
    await daily.flush()
    assert sum(figures["refused_accesses"].count for figures in kept.days.values()) == 16_000


async def test_the_stop_writes_what_is_left(kept: Kept) -> None:
    daily = configured(kept, ManualClock())
    await daily.start()
    daily.count("blocked_constructions")
    await daily.stop()
    await daily.stop()
    (figures,) = kept.days.values()
    assert figures["blocked_constructions"].count == 1
