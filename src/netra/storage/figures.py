"""The figures of days in the table `daily_figures`: the `FigureStore` of `netra.monitoring.daily`, and reading them."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from netra.monitoring.daily import Figure, Figures

from .access import Access
from .tables import daily_figures

_days = daily_figures.c


class DailyFigures:
    """See the module.

    Args:
        database: started before it is asked.
    """

    def __init__(self, database: Access) -> None:
        self._database = database

    async def add(self, day: date, figures: Figures) -> None:
        """Add to the day's rows, in one transaction; several processes may do so at once.

        Raises:
            Unavailable: the database is away, nothing was added.
        """
        make = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert

        def work(connection: Connection) -> None:
            for name in sorted(figures):  # one order for all, so that two processes cannot wait for each other
                figure = figures[name]
                this = (_days.day == day.isoformat()) & (_days.name == name)
                connection.execute(make(daily_figures).values(day=day.isoformat(), name=name).on_conflict_do_nothing())
                row = connection.execute(select(daily_figures).where(this).with_for_update()).one()
                stored = _figure(row)
                stored.add(figure)
                values = {
                    "count": stored.count,
                    "total": repr(stored.total),
                    "buckets": msgspec.json.encode({str(at): n for at, n in sorted(stored.buckets.items())})
                    if stored.buckets
                    else None,
                }
                connection.execute(update(daily_figures).where(this).values(values))

        await self._database.write(work)

    async def between(self, first: date, last: date) -> dict[date, dict[str, Figure]]:
        """What was counted on the days from `first` to `last`, both included; days without any are missing.

        Raises:
            Unavailable: the database is away.
        """
        statement = select(daily_figures).where(_days.day >= first.isoformat(), _days.day <= last.isoformat())

        def work(connection: Connection) -> dict[date, dict[str, Figure]]:
            found: dict[date, dict[str, Figure]] = {}
            for row in connection.execute(statement):
                found.setdefault(date.fromisoformat(row.day), {})[row.name] = _figure(row)
            return found

        return await self._database.query(work)


def _figure(row: Row[Any]) -> Figure:
    # By position: a row's `count` is the method that every tuple has.
    _day, _name, count, total, buckets = tuple(row)
    histogram = Counter() if buckets is None else Counter(msgspec.json.decode(buckets, type=dict[int, int]))
    return Figure(count, float(total), histogram)
