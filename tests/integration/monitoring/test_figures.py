"""The figures of days in the database: added to by several writers, read as they were counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import pytest

from netra.monitoring.daily import Daily, Figure
from netra.storage import Database
from netra.storage.figures import DailyFigures
from support.clock import ManualClock

DAY = date(2026, 1, 5)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    yield database
    await database.stop()


async def test_figures_come_back_as_they_were_counted(database: Database) -> None:
    daily = Daily()
    store = DailyFigures(database)
    daily.configure(store, clock=ManualClock())
    for milliseconds in range(1, 200):
        daily.observe("event_latency", milliseconds / 1000)
    counted = daily.since_start("event_latency")
    await daily.flush()
    (found,) = (await store.between(DAY, DAY)).values()
    assert found["event_latency"].count == counted.count == 199
    assert found["event_latency"].buckets == counted.buckets
    assert found["event_latency"].total == pytest.approx(counted.total)


async def test_two_processes_add_to_one_day(database: Database, database_url: str) -> None:
    other = Database(database_url)
    await other.start()
    first, second = DailyFigures(database), DailyFigures(other)
    figures = {"refused_accesses": Figure(1), "session_leaks": Figure(2)}
    await asyncio.gather(*(store.add(DAY, figures) for _ in range(20) for store in (first, second)))
    await other.stop()
    (found,) = (await first.between(DAY, DAY)).values()
    assert {name: figure.count for name, figure in found.items()} == {"refused_accesses": 40, "session_leaks": 80}


async def test_only_the_days_asked_for_are_read(database: Database) -> None:
    store = DailyFigures(database)
    for day in (4, 5, 6, 7):
        await store.add(date(2026, 1, day), {"session_leaks": Figure(day)})
    assert sorted(await store.between(date(2026, 1, 5), date(2026, 1, 6))) == [date(2026, 1, 5), date(2026, 1, 6)]
