"""The versions that servers of this database ran, with what `netra check` said of each.

A row is added whenever another one starts than ran last. At most `MOST_RUNS` rows are kept, the newest ones.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, insert, select

from netra.clock import Clock
from netra.ids import new_id
from netra.monitoring.checks import CheckedRun, CheckedVersion, packaged

from .access import Access
from .tables import checked_versions, micros, moment

MOST_RUNS = 50

_columns = checked_versions.c
_NEWEST = (_columns.since.desc(), _columns.id.desc())
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CheckedVersion).decode


class CheckedVersions:
    """See the module. Every method may raise Unavailable.

    Args:
        database: started before it is asked.
        clock: the time.
    """

    def __init__(self, database: Access, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def start(self) -> None:
        """Keep the report that came with the package, if one did."""
        report = packaged()
        if report is not None:
            await self.keep(CheckedVersion.of(report))

    async def keep(self, version: CheckedVersion) -> None:
        """Add a version, unless it is the last one that ran."""
        row = {
            "id": new_id("chk"),
            "since": micros(self._clock.now()),
            "source": version.source,
            "body": _encode(version),
        }

        def work(connection: Connection) -> None:
            newest = select(_columns.source).order_by(*_NEWEST).limit(1)
            if connection.execute(newest).scalar_one_or_none() == version.source:
                return
            connection.execute(insert(checked_versions).values(row))
            kept = select(_columns.id).order_by(*_NEWEST).limit(MOST_RUNS)
            connection.execute(delete(checked_versions).where(_columns.id.not_in(kept)))

        await self._database.write(work)

    async def weekly_scores(self, last: date) -> tuple[float | None, float | None]:
        """The score of what ran last by the end of a day, in UTC, and a week before; None where nothing had."""

        def work(connection: Connection) -> tuple[float | None, float | None]:
            found: list[float | None] = []
            for day in (last, last - timedelta(days=7)):
                end = micros(datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1))
                wanted = select(_columns.body).where(_columns.since < end).order_by(*_NEWEST).limit(1)
                body = connection.execute(wanted).scalar_one_or_none()
                found.append(None if body is None else _decode(body).score)
            return found[0], found[1]

        return await self._database.query(work)

    async def until(self, source: str) -> list[CheckedRun]:
        """What ran up to the last start of a version, the oldest first; empty when it never ran."""
        wanted = select(_columns.since, _columns.source, _columns.body).order_by(_columns.since, _columns.id)

        def work(connection: Connection) -> list[CheckedRun]:  # may be megabytes, which the event loop must not decode
            rows = connection.execute(wanted).all()
            ends = [at for at, row in enumerate(rows) if row.source == source]
            rows = rows[: ends[-1] + 1] if ends else []
            # Servers that started at one moment may have added the same version twice.
            again = {at for at in range(1, len(rows)) if rows[at].source == rows[at - 1].source}
            return [CheckedRun(moment(row.since), _decode(row.body)) for at, row in enumerate(rows) if at not in again]

        return await self._database.query(work)
