"""Silences: for a while no notices about what one of them names. Incidents are stored and shown all the same.

`netra.storage.alerts` asks `silenced` when it hands out notices, so a silence works for every process from its commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, or_, select

from netra.clock import Clock
from netra.errors import InvalidInput, NotFound
from netra.ids import new_id
from netra.text import clean_text

from .access import Access
from .audit import Actor, AuditLog
from .tables import alerts, micros, moment, silences

NOTE_CHARS = 500
NAME_CHARS = 200
MOST_MINUTES = 30 * 24 * 60


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence.

    Args:
        rule: whose notices.
        key: only those about this; None for all.
        note: why.
        made_by: an email address, or `command line`.
    """

    id: str
    rule: str
    key: str | None
    note: str
    made_by: str
    made_at: datetime
    until: datetime


def silenced(now: int) -> ColumnElement[bool]:
    """The condition that a row of `alerts` is silenced at `now` (microseconds)."""
    this = or_(silences.c.key.is_(None), silences.c.key == alerts.c.key)
    return exists().where(silences.c.rule == alerts.c.rule, this, silences.c.until > now)


class Silences:
    """See the module. Every method may raise Unavailable.

    Args:
        database: started before it is asked.
        clock: the time.
        audit: where every change is noted first.
    """

    def __init__(self, database: Access, clock: Clock, audit: AuditLog) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    async def add(self, actor: Actor, rule: str, key: str | None, minutes: int, note: str) -> Silence:
        """Begin a silence.

        Raises:
            InvalidInput: no rule, no note, or a time that is too short or too long.
        """
        rule = clean_text(rule, field="rule", min_chars=1, max_chars=NAME_CHARS)
        key = None if key is None else clean_text(key, field="key", max_chars=NAME_CHARS)
        note = clean_text(note, field="note", min_chars=1, max_chars=NOTE_CHARS).strip()
        if not note:
            raise InvalidInput("Say why.", field="note")
        if not 1 <= minutes <= MOST_MINUTES:
            raise InvalidInput(f"minutes must be between 1 and {MOST_MINUTES}.", field="minutes")
        now = self._clock.now()
        silence = Silence(new_id("sil"), rule, key, note, actor.name, now, now + timedelta(minutes=minutes))
        await self._audit.note(actor, "alert.silence", rule, key=key, minutes=minutes, note=note)
        values = {
            "id": silence.id,
            "rule": rule,
            "key": key,
            "note": note,
            "made_by": actor.name,
            "made_at": micros(now),
            "until": micros(silence.until),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(silences).where(silences.c.until < micros(now)))
            connection.execute(insert(silences).values(values))

        await self._database.write(work)
        return silence

    async def current(self) -> list[Silence]:
        """Those that have not ended, the one that ends first first."""
        wanted = select(silences).where(silences.c.until > micros(self._clock.now())).order_by(silences.c.until)
        rows = await self._database.query(lambda connection: connection.execute(wanted).all())
        return [
            Silence(row.id, row.rule, row.key, row.note, row.made_by, moment(row.made_at), moment(row.until))
            for row in rows
        ]

    async def end(self, actor: Actor, silence_id: str) -> None:
        """End a silence before its time.

        Raises:
            NotFound: there is none, or it has ended.
        """
        this = (silences.c.id == silence_id) & (silences.c.until > micros(self._clock.now()))
        rule = await self._database.query(
            lambda connection: connection.execute(select(silences.c.rule).where(this)).scalar_one_or_none()
        )
        if rule is None:
            raise NotFound("There is no such silence.")
        await self._audit.note(actor, "alert.end_silence", rule, silence=silence_id)
        await self._database.write(lambda connection: connection.execute(delete(silences).where(this)) and None)
