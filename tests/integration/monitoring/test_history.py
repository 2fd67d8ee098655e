"""The server's own history: what it measures, how processes are put together, and that it stays small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from netra.monitoring.history import BY_NAME, LONG, SERIES, SHORT, History, Sample, aligned, quantile
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from netra.storage.samples import Samples
from support.clock import ManualClock
from support.waiting import until

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
MONTHS_AGO = NOON - timedelta(days=99)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Samples]:
    database = RequestScopedSessionFactory(Database(database_url))
    await database.start()
    yield Samples(database)
    await database.stop()


def sample(at: datetime, process: str = "one", step: int = SHORT, **values: float | None) -> Sample:
    return Sample(step, at, process, {each.name: None for each in SERIES} | values)


async def test_a_picture_shows_gauges_counts_and_quantiles_as_they_were(store: Samples) -> None:
    clock = ManualClock()
    history = History(store, clock, "one")
    metrics.runs.labels("running").set(3)
    metrics.runs_ended.labels("failed").inc(2)
    for seconds in (0.2, 0.2, 0.2, 40):
        metrics.run_seconds.observe(seconds)
    clock.advance(SHORT)
    await history.sample()
    metrics.runs.labels("running").set(1)
    clock.advance(SHORT)
    await history.sample()
    picture = await history.picture(1, ("runs_running", "runs_failed", "run_seconds_p50", "run_seconds_p95"))
    assert picture.step == SHORT
    assert picture.times[-2:] == [NOON + timedelta(seconds=10), NOON + timedelta(seconds=20)]
    assert picture.values["runs_running"] == [None] * 4 + [3, 1]
    assert picture.values["runs_failed"] == [None] * 4 + [2, 0]
    half, most = picture.values["run_seconds_p50"], picture.values["run_seconds_p95"]
    assert half[4] is not None and 0.1 <= half[4] <= 0.25
    assert most[4] is not None and 30 <= most[4] <= 60
    assert half[5] is None


async def test_a_long_step_has_the_mean_of_gauges_and_the_sum_of_counts(store: Samples) -> None:
    clock = ManualClock()
    history = History(store, clock, "one")
    for number in range(LONG // SHORT):
        metrics.runs.labels("running").set(number)
        metrics.runs_ended.labels("died").inc()
        clock.advance(SHORT)
        await history.sample()
    picture = await history.picture(24 * 60, ("runs_running", "runs_died"))
    assert picture.step == LONG
    assert (picture.times[-1], len(picture.times)) == (NOON + timedelta(seconds=LONG), 288)
    assert picture.values["runs_running"][-1] == pytest.approx(14.5)
    assert picture.values["runs_died"][-1] == 30


async def test_a_long_step_whose_last_sample_came_late_is_stored_all_the_same(store: Samples) -> None:
    clock = ManualClock()
    history = History(store, clock, "one")
    for _ in range(LONG // SHORT - 1):
        clock.advance(SHORT)
        metrics.runs_ended.labels("stalled").inc()
        await history.sample()
    clock.advance(2 * SHORT)
    await history.sample()
    for _ in range(LONG // SHORT - 1):
        clock.advance(SHORT)
        await history.sample()
    picture = await history.picture(24 * 60, ("runs_stalled",))
    assert picture.times[-1] == NOON + timedelta(seconds=2 * LONG)
    assert picture.values["runs_stalled"][-2:] == [29, 0]


async def test_a_timer_that_wakes_early_does_not_replace_what_was_measured(store: Samples) -> None:
    clock = ManualClock()
    history = History(store, clock, "one")
    metrics.runs_ended.labels("stalled").inc(4)
    clock.advance(SHORT)
    await history.sample()
    clock.advance(SHORT - 0.001)
    assert await history.sample() == []
    clock.advance(0.001)
    await history.sample()
    assert (await history.picture(1, ("runs_stalled",))).values["runs_stalled"][-2:] == [4, 0]


async def test_a_picture_that_does_not_begin_with_a_step_has_the_whole_steps_within(store: Samples) -> None:
    await store.add([sample(NOON, step=LONG, runs_failed=1), sample(NOON - timedelta(hours=6), step=LONG, requests=2)])
    picture = await History(store, ManualClock(), "one").picture(363, ("runs_failed", "requests"))
    assert (picture.times[-1], len(picture.times)) == (NOON, 72)
    assert picture.values["runs_failed"][-1] == 1
    assert set(picture.values["requests"]) == {None}


async def test_processes_add_up_and_what_all_see_counts_once(store: Samples) -> None:
    await store.add([sample(NOON, "one", runs_running=2, runs_queued=7, run_seconds_p95=1.0, runs_failed=1)])
    await store.add([sample(NOON, "two", runs_running=3, runs_queued=8, run_seconds_p95=4.0, runs_failed=1)])
    picture = await History(store, ManualClock(), "one").picture(15)
    last = {name: values[-1] for name, values in picture.values.items()}
    assert (last["runs_running"], last["runs_queued"], last["run_seconds_p95"], last["runs_failed"]) == (5, 8, 4.0, 2)


async def test_old_samples_are_forgotten_and_a_sample_taken_twice_is_kept_once(store: Samples) -> None:
    for days in (0.5, 2, 29, 31):
        at = aligned(NOON - timedelta(days=days), LONG)
        await store.add([sample(at, step=SHORT), sample(at, step=LONG)])
    clock = ManualClock()
    await History(store, clock, "one").sample()
    await History(store, clock, "one").sample()
    ages = {
        step: [
            (NOON - each.at) / timedelta(days=1) for each in await store.between(step, NOON - timedelta(days=99), NOON)
        ]
        for step in (SHORT, LONG)
    }
    assert ages == {SHORT: [0.5, 0], LONG: [29, 2, 0.5, 0]}


async def test_a_started_history_measures_by_itself(store: Samples) -> None:
    clock = ManualClock()
    clock.advance(SHORT - 0.05)
    history = History(store, clock, "one")

    async def measured() -> list[Sample]:
        clock.advance(0.01)
        return await store.between(SHORT, NOON - timedelta(days=1), NOON + timedelta(days=1))

    await history.start()
    try:
        stored = await until(measured, "a sample")
    finally:
        await history.stop()
    assert stored[0].process == "one"
    assert stored[0].values.keys() == BY_NAME.keys()
    assert (stored[0].values["memory_bytes"] or 0) > 10_000_000


@pytest.mark.parametrize(
    ("before", "after", "share", "expected"),
    [
        ([], [], 0.5, None),
        ([(1.0, 5.0), (float("inf"), 5.0)], [(1.0, 5.0), (float("inf"), 5.0)], 0.5, None),
        ([], [(1.0, 4.0), (2.0, 4.0), (float("inf"), 4.0)], 0.5, 0.5),
        ([(1.0, 4.0), (2.0, 4.0), (float("inf"), 4.0)], [(1.0, 4.0), (2.0, 8.0), (float("inf"), 8.0)], 0.25, 1.25),
        ([], [(1.0, 1.0), (float("inf"), 10.0)], 0.99, 1.0),
    ],
)
def test_quantiles_are_interpolated_as_prometheus_does(
    before: list[tuple[float, float]], after: list[tuple[float, float]], share: float, expected: float | None
) -> None:
    assert quantile(before, after, share) == expected
