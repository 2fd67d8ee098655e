"""The audit log: what administrators did. Written before it is done, so that nothing is done without a trace.

An entry is never changed and outlives the account of who made it. It names what was acted on and carries no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select

from netra.clock import Clock
from netra.ids import new_id

from .access import Access
from .tables import audit, micros, moment

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Args:
        id: of a user; None for the command line.
        name: an email address, which is kept when the account is gone.
    """

    id: str | None
    name: str


OPERATOR = Actor(None, COMMAND_LINE)
"""Whoever may use the command line on the server's machine."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something that an administrator did.

    Args:
        action: what, such as `user.disable`.
        target: on what, as an id.
        details: further facts, as JSON values.
    """

    id: str
    at: datetime
    actor: Actor
    action: str
    target: str
    details: Mapping[str, Any]


class AuditLog:
    """See the module. Every method may raise Unavailable.

    Args:
        database: started before it is asked.
        clock: gives the time of entries.
    """

    def __init__(self, database: Access, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def note(self, actor: Actor, action: str, target: str, **details: Any) -> None:
        """Store an entry. Awaited before the action itself."""
        values = {
            "id": new_id("aud"),
            "at": micros(self._clock.now()),
            "actor_id": actor.id,
            "actor": actor.name,
            "action": action,
            "target": target,
            "details": msgspec.json.encode(details),
        }
        await self._database.write(lambda connection: connection.execute(insert(audit).values(values)) and None)

    async def page(self, limit: int, before: str | None = None) -> tuple[list[AuditEntry], str | None]:
        """The newest entries first.

        Args:
            limit: at most so many.
            before: only those made before this one, for the next page.

        Returns:
            The page, and `before` of the next one, None after the last.
        """
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(audit.c.id < before)
        rows = await self._database.query(lambda connection: connection.execute(query).all())
        page = [
            AuditEntry(
                row.id,
                moment(row.at),
                Actor(row.actor_id, row.actor),
                row.action,
                row.target,
                msgspec.json.decode(row.details),
            )
            for row in rows[:limit]
        ]
        return page, page[-1].id if len(rows) > limit else None
