"""The samples of `netra.monitoring.history`, on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from netra.monitoring.history import Sample

from .access import Access
from .tables import micros, moment, samples

_columns = samples.c


class Samples:
    """See `netra.monitoring.history.SampleStore`.

    Args:
        database: started before it is asked.
    """

    def __init__(self, database: Access) -> None:
        self._database = database

    async def add(self, samples_: Sequence[Sample]) -> None:
        """See `SampleStore.add`."""
        make = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert
        rows = [
            {
                "step": each.step,
                "at": micros(each.at),
                "process": each.process,
                "body": msgspec.json.encode({name: _short(value) for name, value in each.values.items()}),
            }
            for each in samples_
        ]
        statement = make(samples).values(rows)
        replaced = statement.on_conflict_do_update(
            index_elements=[_columns.step, _columns.at, _columns.process], set_={"body": statement.excluded.body}
        )

        def work(connection: Connection) -> None:
            connection.execute(replaced)

        await self._database.write(work)

    async def between(self, step: int, after: datetime, until: datetime) -> list[Sample]:
        """See `SampleStore.between`."""
        wanted = (
            select(samples)
            .where(_columns.step == step, _columns.at > micros(after), _columns.at <= micros(until))
            .order_by(_columns.at, _columns.process)
        )
        decode = msgspec.json.Decoder(dict[str, float | None]).decode

        def work(connection: Connection) -> list[Sample]:  # a month is megabytes, which the event loop must not decode
            rows = connection.execute(wanted)
            return [Sample(row.step, moment(row.at), row.process, decode(row.body)) for row in rows]

        return await self._database.query(work)

    async def forget(self, step: int, before: datetime) -> int:
        """See `SampleStore.forget`."""
        old = delete(samples).where(_columns.step == step, _columns.at < micros(before))
        return await self._database.write(lambda connection: connection.execute(old).rowcount)


def _short(value: float | None) -> float | None:
    """Six digits are enough for a picture, and make a row half as long."""
    return None if value is None else float(f"{value:.6g}")
