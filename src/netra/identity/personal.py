"""Personal access tokens: long-lived credentials a user makes for a program of their own, by name, and can revoke.

The token is shown once, when it is made; after that only its first characters are known, to tell one from another.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from netra.clock import Clock
from netra.errors import InvalidInput, LimitReached, NotAuthenticated, NotFound
from netra.ids import new_id
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import access_tokens, logins, micros, moment, users
from netra.text import clean_text

from . import credentials, installation
from .logins import KEPT, active
from .principal import USER_COLUMNS, Credential, user_of

NAME_CHARS = 100
PER_USER = 100
MIN_SECONDS = 60
MAX_SECONDS = 10 * 366 * 24 * 3600
_SHOWN = len(credentials.PERSONAL) + 4


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A personal access token as it is listed.

    Args:
        id: `pat_…`.
        name: given by its owner.
        prefix: its first characters.
        created_at, expires_at, last_used_at: UTC; None for never.
    """

    id: str
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


def _valid(now: int) -> ColumnElement[bool]:
    unexpired = or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now)
    return and_(access_tokens.c.revoked_at.is_(None), unexpired, users.c.disabled_at.is_(None))


def revoke_all(connection: Connection, user_id: str, now: int, mark: bytes) -> None:
    """End every token of a user. `mark` is random (see `installation`)."""
    mine = and_(access_tokens.c.user_id == user_id, access_tokens.c.revoked_at.is_(None))
    connection.execute(update(access_tokens).where(mine).values(revoked_at=now))
    installation.put(connection, installation.REVOCATIONS, mark)


class PersonalTokens:
    """See the module. Needs nothing but a started database, so that the command line can use it too."""

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self, user_id: str, name: str, expires_in: int | None = None, *, login_id: str | None = None
    ) -> tuple[AccessToken, str]:
        """Make a token; returns it and the secret, which is not kept.

        Args:
            user_id: for whom.
            name: 1 to 100 characters.
            expires_in: seconds, at least 60; None for never.
            login_id: the login that asks, which must still be valid when the token is stored.

        Raises:
            InvalidInput: a name or life out of bounds.
            LimitReached: 100 valid ones exist.
            NotAuthenticated: the user is disabled or the login has ended.
        """
        name = " ".join(clean_text(name, field="name", max_chars=NAME_CHARS).split())
        clean_text(name, field="name", min_chars=1, max_chars=NAME_CHARS)
        if expires_in is not None and not MIN_SECONDS <= expires_in <= MAX_SECONDS:
            raise InvalidInput(f"expires_in must be from {MIN_SECONDS} to {MAX_SECONDS} seconds.", field="expires_in")
        secret = credentials.new_secret(credentials.PERSONAL)
        created = self._clock.now()
        now = micros(created)
        row = {
            "id": new_id("pat"),
            "user_id": user_id,
            "name": name,
            "prefix": secret[:_SHOWN],
            "hash": credentials.fingerprint(secret),
            "created_at": now,
            "expires_at": None if expires_in is None else now + expires_in * 1_000_000,
        }

        def work(connection: Connection) -> None:
            enabled = select(users.c.id).where(users.c.id == user_id, users.c.disabled_at.is_(None))
            if login_id is not None:
                asking = and_(logins.c.user_id == users.c.id, logins.c.id == login_id, active(now))
                enabled = enabled.join(logins, asking)
            if connection.execute(enabled).first() is None:
                raise NotAuthenticated("The account or the login has ended.", hint="Sign in again.")
            count = select(func.count()).select_from(access_tokens).join(users, users.c.id == access_tokens.c.user_id)
            if (
                connection.execute(count.where(access_tokens.c.user_id == user_id, _valid(now))).scalar_one()
                >= PER_USER
            ):
                raise LimitReached(f"There are {PER_USER} access tokens.", hint="Revoke one that is not used.")
            connection.execute(insert(access_tokens).values(row))

        await self._database.write(work)
        return await self._get(str(row["id"])), secret

    async def _get(self, token_id: str) -> AccessToken:
        async with self._database.read() as connection:
            row = (await connection.execute(select(access_tokens).where(access_tokens.c.id == token_id))).one()
        return _listed(row)

    async def list(self, user_id: str) -> tuple[AccessToken, ...]:
        """The user's tokens that are valid or have expired, newest first."""
        query = select(access_tokens).where(access_tokens.c.user_id == user_id, access_tokens.c.revoked_at.is_(None))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(access_tokens.c.id.desc()))).all()
        return tuple(_listed(row) for row in rows)

    async def revoke(self, user_id: str, token_id: str) -> None:
        """End a token.

        Raises:
            NotFound: there is none, it has been revoked, or it is somebody else's.
        """
        unknown = NotFound("There is no such access token.")
        try:
            clean_text(token_id, field="id", max_chars=100)
        except InvalidInput:  # PostgreSQL could not even be asked for it
            raise unknown from None
        now = micros(self._clock.now())
        mark = os.urandom(16)

        def work(connection: Connection) -> bool:
            mine = and_(
                access_tokens.c.id == token_id,
                access_tokens.c.user_id == user_id,
                access_tokens.c.revoked_at.is_(None),
            )
            ended = connection.execute(update(access_tokens).where(mine).values(revoked_at=now)).rowcount == 1
            if ended:
                installation.put(connection, installation.REVOCATIONS, mark)
            return ended

        if not await self._database.write(work):
            raise unknown

    async def by_secret(self, secret: str) -> Credential | None:
        """The valid token with this secret."""
        if len(secret) > credentials.MAX_CHARS:
            return None
        return await self._find(access_tokens.c.hash == credentials.fingerprint(secret))

    async def by_id(self, token_id: str, user_id: str) -> Credential | None:
        """The valid token with this id, if it is this user's."""
        return await self._find(and_(access_tokens.c.id == token_id, access_tokens.c.user_id == user_id))

    async def _find(self, which: ColumnElement[bool]) -> Credential | None:
        query = (
            select(access_tokens.c.id, access_tokens.c.expires_at, access_tokens.c.last_used_at, *USER_COLUMNS)
            .join(users, users.c.id == access_tokens.c.user_id)
            .where(which, _valid(micros(self._clock.now())))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        return Credential(user_of(row), row.id, _moment(row.expires_at), _moment(row.last_used_at))

    async def touch(self, token_id: str, before: int) -> None:
        """Note that the token is in use, unless that was noted since `before` (microseconds)."""
        now = micros(self._clock.now())
        noted = or_(access_tokens.c.last_used_at.is_(None), access_tokens.c.last_used_at < before)
        change = update(access_tokens).where(access_tokens.c.id == token_id, noted)

        def work(connection: Connection) -> None:
            connection.execute(change.values(last_used_at=now))

        await self._database.write(work)

    async def purge(self) -> None:
        """Forget tokens revoked long ago."""
        past = micros(self._clock.now() - KEPT)

        def work(connection: Connection) -> None:
            connection.execute(delete(access_tokens).where(access_tokens.c.revoked_at < past))

        await self._database.write(work)


def _moment(stored: int | None) -> datetime | None:
    return None if stored is None else moment(stored)


def _listed(row: Row[*tuple[Any, ...]]) -> AccessToken:
    return AccessToken(
        id=row.id,
        name=row.name,
        prefix=row.prefix,
        created_at=moment(row.created_at),
        expires_at=_moment(row.expires_at),
        last_used_at=_moment(row.last_used_at),
    )
