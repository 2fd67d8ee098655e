"""The first administrator: created by whoever holds the one-time token that the server prints when it starts.

Without the token anybody who found a fresh server first could take it. Only its hash is stored, each start makes
another one, and once an administrator exists the door is closed for ever.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from netra.clock import Clock
from netra.errors import Forbidden
from netra.ids import new_id
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import micros, moment, users

from . import credentials, installation
from .principal import ADMIN, USER, User
from .users import insert_user, is_administrator

_CLOSED = "This setup link is not valid."
_HINT = "Use the newest link that the server printed; once an administrator exists there is none."


class Setup:
    """See the module."""

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._closed = False

    async def start(self) -> str | None:
        """Make a new token, which is returned and not kept; None when an administrator exists."""
        token = credentials.new_secret(credentials.SETUP)
        digest = credentials.fingerprint(token)

        def work(connection: Connection) -> bool:
            if _administrators(connection):
                return False
            installation.put(connection, installation.SETUP_TOKEN, digest)
            return True

        if await self._database.write(work):
            return token
        self._closed = True
        return None

    async def required(self) -> bool:
        """Whether there is no administrator yet."""
        if not self._closed:
            async with self._database.read() as connection:
                found = select(func.count()).select_from(users).where(is_administrator())
                self._closed = bool((await connection.execute(found)).scalar_one())
        return not self._closed

    async def check(self, token: str) -> None:
        """Refuse a wrong token before the costly part.

        Raises:
            Forbidden: wrong, used, or there is an administrator.
        """
        digest = credentials.fingerprint(token[: credentials.MAX_CHARS])
        right = False
        if await self.required():
            async with self._database.read() as connection:
                right = await connection.run_sync(lambda c: installation.get(c, installation.SETUP_TOKEN)) == digest
        if not right:
            raise Forbidden(_CLOSED, hint=_HINT)

    async def redeem(self, token: str, email: str, name: str, password_hash: str) -> User:
        """Use the token up and create the administrator. The values were checked.

        Raises:
            Forbidden: wrong, used, or there is an administrator.
            Conflict: the email has an account.
        """
        digest = credentials.fingerprint(token[: credentials.MAX_CHARS])
        user_id = new_id("usr")
        now = micros(self._clock.now())
        roles = frozenset({ADMIN, USER})

        def work(connection: Connection) -> None:
            if not installation.take(connection, installation.SETUP_TOKEN, digest) or _administrators(connection):
                raise Forbidden(_CLOSED, hint=_HINT)
            insert_user(connection, user_id, email, name, password_hash, roles, now)

        await self._database.write(work)
        self._closed = True
        return User(user_id, email, name, roles, moment(now))


def _administrators(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(users).where(is_administrator())).scalar_one()
