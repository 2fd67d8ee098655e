"""Socket tickets: for clients that can set neither a cookie nor a header. Thirty seconds, once.

A ticket stands in a URL, where logs and histories see it; used or half a minute old, it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from netra.clock import Clock
from netra.errors import LimitReached
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import micros, tickets

from . import credentials
from .principal import Principal

LIFE_SECONDS = 30
PER_USER = 100


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whom a ticket stood for, and the credential that asked for it."""

    user_id: str
    login_id: str | None
    access_token_id: str | None


class Tickets:
    """See the module."""

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, principal: Principal) -> str:
        """A ticket for the holder of these credentials.

        Raises:
            LimitReached: the user has 100 that are neither used nor expired.
        """
        ticket = credentials.new_secret(credentials.TICKET)
        now = micros(self._clock.now())
        row = {
            "hash": credentials.fingerprint(ticket),
            "user_id": principal.user.id,
            "login_id": principal.login_id,
            "access_token_id": principal.access_token_id,
            "expires_at": now + LIFE_SECONDS * 1_000_000,
        }

        def work(connection: Connection) -> None:
            mine = tickets.c.user_id == principal.user.id
            connection.execute(delete(tickets).where(mine, tickets.c.expires_at <= now))
            open_ones = select(func.count()).select_from(tickets).where(mine)
            if connection.execute(open_ones).scalar_one() >= PER_USER:
                raise LimitReached(f"There are {PER_USER} open tickets.", hint=f"Wait {LIFE_SECONDS} seconds.")
            connection.execute(insert(tickets).values(row))

        await self._database.write(work)
        return ticket

    async def redeem(self, ticket: str) -> Redeemed | None:
        """Use a ticket up. None if it was used, has expired or never was."""
        if len(ticket) > credentials.MAX_CHARS:
            return None
        digest = credentials.fingerprint(ticket)
        now = micros(self._clock.now())

        def work(connection: Connection) -> Redeemed | None:
            row = connection.execute(select(tickets).where(tickets.c.hash == digest)).first()
            if row is None or connection.execute(delete(tickets).where(tickets.c.hash == digest)).rowcount == 0:
                return None
            return None if row.expires_at <= now else Redeemed(row.user_id, row.login_id, row.access_token_id)

        return await self._database.write(work)

    async def purge(self) -> None:
        """Forget tickets that nobody used."""
        now = micros(self._clock.now())

        def work(connection: Connection) -> None:
            connection.execute(delete(tickets).where(tickets.c.expires_at <= now))

        await self._database.write(work)
