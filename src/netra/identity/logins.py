"""Logins: one browser or API client of one user each, from signing in to logging out, expiry or revocation.

A login is proven by its cookie (the page) or by its refresh token (API clients), which rotates: each is good once, and
the use of an old one means that two hold it, so the whole login ends. A login that is used lives on; one that is not
used for `session_days` ends.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from netra.clock import Clock
from netra.errors import NotAuthenticated
from netra.ids import new_id
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import logins, micros, moment, refresh_tokens, users

from . import credentials, installation
from .principal import USER_COLUMNS, Credential, User, user_of

log = structlog.get_logger(__name__)

MAX_AGENT_CHARS = 256
KEPT = timedelta(days=30)
"""How long ended logins and used refresh tokens are remembered, to notice their reuse."""

_REFUSED = "The login has ended."
_HINT = "Sign in again."


@dataclass(frozen=True, slots=True)
class Proofs:
    """What the client keeps. `cookie` is None when the login was there before."""

    user: User
    login_id: str
    refresh_token: str
    cookie: str | None


def active(now: int) -> ColumnElement[bool]:
    """The condition that a login joined with its user is valid at `now` (microseconds)."""
    return and_(logins.c.revoked_at.is_(None), logins.c.expires_at > now, users.c.disabled_at.is_(None))


def revoke_all(connection: Connection, user_id: str, now: int, mark: bytes, keep: str | None = None) -> tuple[str, ...]:
    """End every login of a user but `keep`; returns their ids. `mark` is random (see `installation`)."""
    mine = [logins.c.user_id == user_id, logins.c.revoked_at.is_(None)]
    if keep is not None:
        mine.append(logins.c.id != keep)
    ended = tuple(connection.execute(select(logins.c.id).where(*mine)).scalars())
    connection.execute(update(logins).where(*mine).values(revoked_at=now))
    installation.put(connection, installation.REVOCATIONS, mark)
    return ended


class Logins:
    """See the module.

    Args:
        database: where they are stored.
        clock: for expiry.
        days: life of a login that is not used.
    """

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock, days: float = 30) -> None:
        self._database = database
        self._clock = clock
        self.life = timedelta(days=days)

    async def create(self, user: User, password_hash: str, user_agent: str) -> Proofs | None:
        """A login for a user whose password was just found right.

        Args:
            user: who.
            password_hash: the stored hash that was compared. The time that took is long enough for somebody to change
                the password or disable the user: then None comes back and there is no login.
            user_agent: what the client says it is.
        """
        cookie = credentials.new_secret(credentials.COOKIE)
        refresh = credentials.new_secret(credentials.REFRESH)
        login_id = new_id("ses")
        now = micros(self._clock.now())
        row = {
            "id": login_id,
            "user_id": user.id,
            "cookie_hash": credentials.fingerprint(cookie),
            "user_agent": _printable(user_agent),
            "created_at": now,
            "last_seen_at": now,
            "expires_at": now + self._life,
        }
        token = {"hash": credentials.fingerprint(refresh), "login_id": login_id, "created_at": now}

        def work(connection: Connection) -> bool:
            unchanged = select(users.c.id).where(
                users.c.id == user.id, users.c.password_hash == password_hash, users.c.disabled_at.is_(None)
            )
            if connection.execute(unchanged.with_for_update()).first() is None:
                return False
            connection.execute(insert(logins).values(row))
            connection.execute(insert(refresh_tokens).values(token))
            return True

        return Proofs(user, login_id, refresh, cookie) if await self._database.write(work) else None

    async def by_cookie(self, cookie: str) -> Credential | None:
        """The valid login with this cookie."""
        if len(cookie) > credentials.MAX_CHARS:
            return None
        return await self._find(logins.c.cookie_hash == credentials.fingerprint(cookie))

    async def by_id(self, login_id: str, user_id: str) -> Credential | None:
        """The valid login with this id, if it is this user's."""
        return await self._find(and_(logins.c.id == login_id, logins.c.user_id == user_id))

    async def _find(self, which: ColumnElement[bool]) -> Credential | None:
        query = (
            select(logins.c.id, logins.c.expires_at, logins.c.last_seen_at, *USER_COLUMNS)
            .join(users, users.c.id == logins.c.user_id)
            .where(which, active(micros(self._clock.now())))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        return Credential(user_of(row), row.id, moment(row.expires_at), moment(row.last_seen_at))

    async def rotate(self, refresh_token: str) -> tuple[Proofs | None, tuple[str, str] | None]:
        """Exchange a refresh token for the next one.

        Returns:
            What the client keeps from now on, or None if the token is no good; and the (user id, login id) that ended
            because the token had been used before.
        """
        if len(refresh_token) > credentials.MAX_CHARS:
            return None, None
        old = credentials.fingerprint(refresh_token)
        fresh = credentials.new_secret(credentials.REFRESH)
        new = credentials.fingerprint(fresh)
        now = micros(self._clock.now())
        mark = os.urandom(16)

        def work(connection: Connection) -> tuple[Proofs | None, tuple[str, str] | None]:
            query = (
                select(logins.c.id, *USER_COLUMNS)
                .select_from(refresh_tokens)
                .join(logins, logins.c.id == refresh_tokens.c.login_id)
                .join(users, users.c.id == logins.c.user_id)
                .where(refresh_tokens.c.hash == old, active(now))
            )
            row = connection.execute(query).first()
            if row is None:
                return None, None
            use = update(refresh_tokens).where(refresh_tokens.c.hash == old, refresh_tokens.c.used_at.is_(None))
            if connection.execute(use.values(used_at=now)).rowcount == 0:
                _end(connection, row.id, now, mark)
                return None, (row.user_id, row.id)
            self._add_refresh_token(connection, row.id, new, now)
            return Proofs(user_of(row), row.id, fresh, None), None

        proofs, reused = await self._database.write(work)
        if reused is not None:
            log.warning("login ended: a refresh token was used twice", user_id=reused[0], login_id=reused[1])
        return proofs, reused

    async def renew(self, login: Credential) -> Proofs:
        """A refresh token for a login proven by its cookie. It takes the place of one not used yet.

        Raises:
            NotAuthenticated: the login has ended meanwhile.
        """
        fresh = credentials.new_secret(credentials.REFRESH)
        new = credentials.fingerprint(fresh)
        now = micros(self._clock.now())

        def work(connection: Connection) -> bool:
            query = select(logins.c.id).join(users, users.c.id == logins.c.user_id)
            if connection.execute(query.where(logins.c.id == login.id, active(now))).first() is None:
                return False
            unused = and_(refresh_tokens.c.login_id == login.id, refresh_tokens.c.used_at.is_(None))
            connection.execute(delete(refresh_tokens).where(unused))
            self._add_refresh_token(connection, login.id, new, now)
            return True

        if not await self._database.write(work):
            raise NotAuthenticated(_REFUSED, hint=_HINT)
        return Proofs(login.user, login.id, fresh, None)

    async def revoke(self, login_id: str) -> bool:
        """End a login; whether it had not ended before."""
        now = micros(self._clock.now())
        mark = os.urandom(16)
        return await self._database.write(lambda connection: _end(connection, login_id, now, mark))

    async def touch(self, login_id: str, before: int) -> None:
        """Note that the login is in use, unless that was noted since `before` (microseconds)."""
        now = micros(self._clock.now())
        live = and_(logins.c.id == login_id, logins.c.revoked_at.is_(None), logins.c.expires_at > now)
        change = update(logins).where(live, logins.c.last_seen_at < before)

        def work(connection: Connection) -> None:
            connection.execute(change.values(last_seen_at=now, expires_at=now + self._life))

        await self._database.write(work)

    async def purge(self) -> None:
        """Forget logins that ended, and refresh tokens that were used, long ago."""
        past = micros(self._clock.now() - KEPT)

        def work(connection: Connection) -> None:
            connection.execute(delete(refresh_tokens).where(refresh_tokens.c.used_at < past))
            connection.execute(delete(logins).where(or_(logins.c.revoked_at < past, logins.c.expires_at < past)))

        await self._database.write(work)

    @property
    def _life(self) -> int:
        return self.life // timedelta(microseconds=1)

    def _add_refresh_token(self, connection: Connection, login_id: str, digest: bytes, now: int) -> None:
        connection.execute(insert(refresh_tokens).values(hash=digest, login_id=login_id, created_at=now))
        used = update(logins).where(logins.c.id == login_id)
        connection.execute(used.values(last_seen_at=now, expires_at=now + self._life))


def _end(connection: Connection, login_id: str, now: int, mark: bytes) -> bool:
    mine = and_(logins.c.id == login_id, logins.c.revoked_at.is_(None))
    ended = connection.execute(update(logins).where(mine).values(revoked_at=now)).rowcount == 1
    if ended:
        installation.put(connection, installation.REVOCATIONS, mark)
    return ended


def _printable(user_agent: str) -> str:
    return "".join(character if character.isprintable() else "�" for character in user_agent[:MAX_AGENT_CHARS])
