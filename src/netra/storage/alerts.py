"""Incidents in the table `alerts`: the `AlertStore` of `netra.monitoring.incidents`.

The partial unique index `uq_alerts_open` lets one incident be open for a (rule, key); conditional updates let one
process resolve it, and one deliver a notice. Both hold between processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, delete, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from netra.ids import new_id
from netra.monitoring.incidents import Firing, Incident, Notice, Opening, Severity

from .access import Access
from .silences import silenced
from .tables import alerts, micros, moment

_OPEN = alerts.c.resolved_at.is_(None)
_OWED = or_(
    alerts.c.firing_told_at.is_(None),
    and_(alerts.c.resolved_at.is_not(None), alerts.c.resolved_told_at.is_(None)),
)


class Alerts:
    """See the module.

    Args:
        database: started before it is asked.
    """

    def __init__(self, database: Access) -> None:
        self._database = database

    async def open(self, firing: Firing, at: datetime, *, cooldown: float) -> tuple[Opening, Incident | None]:
        """See `AlertStore.open`."""
        now, new = micros(at), new_id("alr")
        since = micros(at - timedelta(seconds=cooldown))
        this = and_(alerts.c.rule == firing.rule, alerts.c.key == firing.key)
        details = msgspec.json.encode(firing.details)
        make = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert
        statement = (
            make(alerts)
            .values(
                id=new,
                rule=firing.rule,
                key=firing.key,
                severity=firing.severity.value,
                summary=firing.summary,
                details=details,
                opened_at=now,
                last_seen_at=now,
            )
            .on_conflict_do_nothing(index_elements=["rule", "key"], index_where=text("resolved_at IS NULL"))
            .returning(alerts.c.id)
        )

        def work(connection: Connection) -> tuple[Opening, Incident | None]:
            cooling = select(alerts.c.id).where(this, alerts.c.resolved_at > since).limit(1)
            known = select(alerts).where(this, _OPEN)
            row = connection.execute(known).one_or_none()
            if row is None:
                if connection.execute(cooling).first() is not None:
                    return "cooling", None
                inserted = connection.execute(statement).first() is not None
                row = connection.execute(known).one_or_none()
                if inserted and row is not None:
                    return "opened", _incident(row)
            if row is None:  # opened and resolved by others between two statements
                return "cooling", None
            connection.execute(update(alerts).where(alerts.c.id == row.id).values(last_seen_at=now))
            return "open", _incident(row)

        return await self._database.write(work)

    async def resolve(self, rule: str, key: str, at: datetime) -> Incident | None:
        """See `AlertStore.resolve`."""
        statement = (
            update(alerts)
            .where(alerts.c.rule == rule, alerts.c.key == key, _OPEN)
            .values(resolved_at=micros(at))
            .returning(alerts)
        )

        def work(connection: Connection) -> Incident | None:
            row = connection.execute(statement).one_or_none()
            return None if row is None else _incident(row)

        return await self._database.write(work)

    async def touch(self, incidents: Sequence[str], at: datetime) -> None:
        """See `AlertStore.touch`."""
        statement = update(alerts).where(alerts.c.id.in_(incidents), _OPEN).values(last_seen_at=micros(at))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def open_incidents(self) -> list[Incident]:
        """See `AlertStore.open_incidents`."""
        statement = select(alerts).where(_OPEN).order_by(alerts.c.opened_at, alerts.c.id)
        return await self._incidents(statement)

    async def recent(self, limit: int) -> list[Incident]:
        """See `AlertStore.recent`."""
        return await self._incidents(
            select(alerts).order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(limit)
        )

    async def _incidents(self, statement: Any) -> list[Incident]:
        return await self._database.query(
            lambda connection: [_incident(row) for row in connection.execute(statement).all()]
        )

    async def claim(self, at: datetime, until: datetime, limit: int) -> list[Notice]:
        """See `AlertStore.claim`."""
        now = micros(at)
        free = or_(alerts.c.claimed_until.is_(None), alerts.c.claimed_until <= now)
        owed = select(alerts).where(_OWED, free, ~silenced(now)).order_by(alerts.c.opened_at, alerts.c.id).limit(limit)
        # What began and ended in one silence is nobody's news when it is over.
        unheard = and_(alerts.c.firing_told_at.is_(None), alerts.c.resolved_at.is_not(None), silenced(now))

        def is_due(connection: Connection) -> bool:
            asked = (owed, select(alerts.c.id).where(unheard).limit(1))
            return any(connection.execute(each).first() is not None for each in asked)

        # Mostly nothing is; that is found out without the writer.
        if not await self._database.query(is_due):
            return []

        def work(connection: Connection) -> list[Notice]:
            connection.execute(update(alerts).where(unheard).values(firing_told_at=now, resolved_told_at=now))
            rows = connection.execute(owed.with_for_update(skip_locked=True)).all()
            mine = alerts.c.id.in_([row.id for row in rows])
            connection.execute(update(alerts).where(mine).values(claimed_until=micros(until)))
            return [Notice("firing" if row.firing_told_at is None else "resolved", _incident(row)) for row in rows]

        return await self._database.write(work)

    async def acknowledge(self, incident_id: str, by: str, note: str, at: datetime) -> Incident | None:
        """See `AlertStore.acknowledge`."""
        statement = (
            update(alerts)
            .where(alerts.c.id == incident_id, _OPEN)
            .values(acknowledged_at=micros(at), acknowledged_by=by, note=note)
            .returning(alerts)
        )

        def work(connection: Connection) -> Incident | None:
            row = connection.execute(statement).one_or_none()
            return None if row is None else _incident(row)

        return await self._database.write(work)

    async def postpone(self, notice: Notice, until: datetime) -> None:
        """See `AlertStore.postpone`."""
        statement = update(alerts).where(alerts.c.id == notice.incident.id).values(claimed_until=micros(until))
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def settle(self, notice: Notice, at: datetime) -> None:
        """See `AlertStore.settle`."""
        told = alerts.c.firing_told_at if notice.kind == "firing" else alerts.c.resolved_told_at
        values = {told.name: micros(at), "claimed_until": None}
        statement = update(alerts).where(alerts.c.id == notice.incident.id, told.is_(None)).values(values)
        await self._database.write(lambda connection: connection.execute(statement) and None)

    async def forget(self, before: datetime) -> int:
        """See `AlertStore.forget`."""
        statement = delete(alerts).where(alerts.c.resolved_at < micros(before))
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        id=row.id,
        rule=row.rule,
        key=row.key,
        severity=Severity(row.severity),
        summary=row.summary,
        details=msgspec.json.decode(row.details),
        opened_at=moment(row.opened_at),
        last_seen_at=moment(row.last_seen_at),
        resolved_at=None if row.resolved_at is None else moment(row.resolved_at),
        acknowledged_at=None if row.acknowledged_at is None else moment(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by,
        note=row.note,
    )
