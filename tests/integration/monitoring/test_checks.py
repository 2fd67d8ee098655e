"""What the checker said of the versions that ran: what is kept, what changed, and since when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, select

from netra.monitoring.checks import (
    MOST_KEPT,
    CheckedFinding,
    CheckedRun,
    CheckedVersion,
    PackagedCheck,
    change,
    first_runs,
)
from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from netra.storage.checked_versions import MOST_RUNS, CheckedVersions
from netra.storage.migrate import migrate
from netra.storage.tables import checked_versions, micros
from support.clock import ManualClock

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def finding(name: str, reason: str | None = None) -> CheckedFinding:
    return CheckedFinding("SSOT101", "error", name, "app/a.py", 3, f"{name} is defined twice", reason)


def version(
    source: str, *details: CheckedFinding, score: float = 100.0, many: bool = False, rules: str = "one"
) -> CheckedVersion:
    found = sum(each.reason is None for each in details)
    kept = None if many else details
    return CheckedVersion(source, "1.0", source, JANUARY, score, rules, found, len(details) - found, kept)


def runs(*versions: CheckedVersion) -> list[CheckedRun]:
    return [CheckedRun(JANUARY, each) for each in versions]


def test_the_change_says_what_came_what_went_and_what_is_waived_since() -> None:
    before = version("one", finding("stays"), finding("mended"), finding("excused"), finding("was", "because"))
    after = version("two", finding("stays"), finding("new"), finding("excused", "known"), finding("was"))
    found = change(runs(before, after))
    assert found is not None
    assert found.before.check is before
    assert [each.fingerprint for each in found.came] == ["new", "was"]
    assert [each.fingerprint for each in found.went] == ["mended"]
    assert [(each.fingerprint, each.reason) for each in found.waived] == [("excused", "known")]


def test_there_is_no_change_without_findings_to_compare() -> None:
    assert change(runs(version("one"))) is None
    assert change(runs(version("one", many=True), version("two"))) is None
    assert change(runs(version("one"), version("two", many=True))) is None


def test_a_finding_is_there_since_the_first_version_from_which_on_it_never_left() -> None:
    versions = runs(
        version("one", finding("back"), finding("old")),
        version("two", finding("old")),
        version("three", finding("back"), finding("old", "waived meanwhile")),
        version("four", finding("back"), finding("old"), finding("new")),
    )
    found = first_runs(versions)
    assert {fingerprint: run.check.source for (fingerprint, _), run in found.items()} == {
        "old": "one",
        "back": "three",
        "new": "four",
    }
    assert first_runs([]) == {}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(JANUARY)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[RequestScopedSessionFactory]:
    migrate(database_url)
    database = RequestScopedSessionFactory(Database(database_url))
    await database.start()
    yield database
    await database.stop()


async def test_a_version_is_kept_whenever_another_one_ran_before(
    database: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    store = CheckedVersions(database, clock)
    one, two = version("one", finding("a"), finding("b", "why")), version("two")
    for each in (one, one, two, two, one):
        await store.keep(each)
        clock.advance(days=1)
    assert [run.check for run in await store.until("one")] == [one, two, one]
    assert await store.until("two") == [
        CheckedRun(JANUARY, one),
        CheckedRun(datetime(2026, 1, 3, tzinfo=UTC), two),
    ]
    assert await store.until("three") == []


async def test_a_version_that_two_servers_added_at_one_moment_is_told_once(
    database: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    store = CheckedVersions(database, clock)
    await store.keep(version("one"))

    def twice(connection: Connection) -> None:
        body = connection.execute(select(checked_versions.c.body)).scalar_one()
        row = {"id": "chk_z", "since": micros(JANUARY), "source": "one", "body": body}
        connection.execute(insert(checked_versions).values(row))

    await database.write(twice)
    assert len(await store.until("one")) == 1


def test_of_more_findings_than_are_kept_there_is_only_the_number() -> None:
    few, many = (tuple(finding(str(number)) for number in range(count)) for count in (MOST_KEPT, MOST_KEPT + 1))
    report = PackagedCheck("one", "1.0", None, JANUARY, 50.0, {}, "one", (), few, ())
    assert CheckedVersion.of(report).details == few
    cut = CheckedVersion.of(replace(report, findings=many))
    assert (cut.findings, cut.details) == (MOST_KEPT + 1, None)


async def test_only_the_newest_are_kept(database: RequestScopedSessionFactory, clock: ManualClock) -> None:
    store = CheckedVersions(database, clock)
    for number in range(MOST_RUNS + 3):
        clock.advance(seconds=1)
        await store.keep(version(str(number)))
    found = await store.until(str(MOST_RUNS + 2))
    assert [run.check.source for run in found] == [str(number) for number in range(3, MOST_RUNS + 3)]
    count = select(func.count()).select_from(checked_versions)
    assert await database.query(lambda connection: connection.execute(count).scalar_one()) == MOST_RUNS


async def test_a_week_has_the_score_of_what_ran_last_in_it(
    database: RequestScopedSessionFactory, clock: ManualClock
) -> None:
    store = CheckedVersions(database, clock)
    await store.keep(version("one", score=90.0))
    clock.advance_to(datetime(2026, 1, 14, 23, 59, tzinfo=UTC))
    await store.keep(version("two", score=95.0))
    clock.advance(minutes=1)
    await store.keep(version("three", score=80.0))
    assert await store.weekly_scores(date(2026, 1, 14)) == (95.0, 90.0)
    assert await store.weekly_scores(date(2026, 1, 15)) == (80.0, 90.0)
    assert await store.weekly_scores(date(2026, 1, 3)) == (90.0, None)
    assert await store.weekly_scores(date(2025, 12, 31)) == (None, None)
