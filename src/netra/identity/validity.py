"""Whether the credentials behind open sockets are still good, asked for all of them every second or so.

Another process, such as the command line, may end credentials, or give or take a role. Each time it replaces a mark in
the database; while the mark stays, credentials that were found good are good, and asking costs one row however many
sockets there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from netra.clock import Clock
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import access_tokens, installation, logins, micros, users

from .installation import REVOCATIONS
from .principal import Principal

BATCH = 500


class Validity:
    """See the module."""

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._mark: bytes | None = None
        self._good: dict[str, str] = {}
        """The roles of the users of credentials that were found good."""

    async def of(self, principals: Sequence[Principal]) -> list[bool]:
        """For each principal, in order: whether its credential is still good, and its roles are those of its user.

        Raises:
            Unavailable: the database cannot be reached; nothing is known about revocations since the last answer.
        """
        if not principals:
            return []
        now = self._clock.now()
        used_logins = {principal.login_id for principal in principals if principal.login_id}
        used_tokens = {principal.access_token_id for principal in principals if principal.access_token_id}
        async with self._database.read() as connection:
            query = select(installation.c.value).where(installation.c.key == REVOCATIONS)
            # The mark is read first: what changes after it changes the mark again, and the next question sees that.
            mark = (await connection.execute(query)).scalar()
            good = dict(self._good) if mark == self._mark else {}
            good |= await _good(connection, logins, used_logins - good.keys(), micros(now))
            good |= await _good(connection, access_tokens, used_tokens - good.keys(), micros(now))
        used = used_logins | used_tokens
        self._mark, self._good = mark, {each: roles for each, roles in good.items() if each in used}
        return [
            _roles(good.get(principal.login_id or principal.access_token_id or "")) == principal.scope.roles
            and (principal.expires_at is None or principal.expires_at > now)
            for principal in principals
        ]


async def _good(connection: AsyncConnection, table: Table, asked: set[str], now: int) -> dict[str, str]:
    """Those of the ids in `logins` or `access_tokens` that have neither expired nor been revoked, with their roles."""
    ids = sorted(asked)
    found: dict[str, str] = {}
    for start in range(0, len(ids), BATCH):
        query = (
            select(table.c.id, users.c.roles)
            .join(users, users.c.id == table.c.user_id)
            .where(table.c.id.in_(ids[start : start + BATCH]), table.c.revoked_at.is_(None))
            .where(or_(table.c.expires_at.is_(None), table.c.expires_at > now), users.c.disabled_at.is_(None))
        )
        found.update({row.id: row.roles for row in await connection.execute(query)})
    return found


def _roles(stored: str | None) -> frozenset[str]:
    return frozenset() if stored is None else frozenset(stored.split(","))
