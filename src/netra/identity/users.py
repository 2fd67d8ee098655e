"""Users: accounts by email. For the server and for `netra user`, which has only a database."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Update, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from netra.clock import Clock
from netra.errors import Conflict, InvalidInput, NotFound
from netra.ids import new_id
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import micros, moment, runs, users
from netra.text import clean_text

from . import logins, personal
from .passwords import Passwords, check_new_password
from .principal import ADMIN, USER, USER_COLUMNS, User, user_of

EMAIL_CHARS = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
NAME_CHARS = 100
ROLES = frozenset({USER, ADMIN})

_LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
_EMAIL = re.compile(rf"[^\s@\"(),:;<>\[\]\\]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")


def normalise_email(email: str) -> str:
    """The form in which an email is stored and compared: NFKC, lower case, without spaces around it."""
    lowered = unicodedata.normalize("NFKC", email).strip().lower()
    return unicodedata.normalize("NFKC", lowered)


def check_email(email: str) -> str:
    """A normalised email, when it looks like one; whether it receives mail is not asked.

    Raises:
        InvalidInput: no local part, no domain, or characters that do not belong.
    """
    clean_text(email, field="email", min_chars=1, max_chars=EMAIL_CHARS)
    normalised = normalise_email(email)
    local = normalised.partition("@")[0]
    unprintable = any(not character.isprintable() for character in normalised)
    dotted = local.startswith(".") or local.endswith(".") or ".." in local
    if len(normalised) > EMAIL_CHARS or unprintable or dotted or not _EMAIL.fullmatch(normalised):
        raise InvalidInput("This is not an email address.", field="email", hint="Write it as name@example.com.")
    return normalised


def check_name(name: str | None, email: str) -> str:
    """A display name on one line; the part of the email before the @ when none is given.

    Raises:
        InvalidInput: too long, or with control characters.
    """
    if name is None or not name.strip():
        return email.partition("@")[0]
    clean_text(name, field="name", max_chars=NAME_CHARS)
    joined = " ".join(name.split())
    if not joined.isprintable():
        raise InvalidInput("name must not contain control characters.", field="name")
    return joined


def is_administrator() -> ColumnElement[bool]:
    """The condition that a user is an administrator, disabled or not."""
    return (literal(",") + users.c.roles + literal(",")).contains(f",{ADMIN},")


def insert_user(
    connection: Connection, user_id: str, email: str, name: str, password_hash: str, roles: Iterable[str], now: int
) -> None:
    """Store a user whose values were checked.

    Raises:
        Conflict: the email has an account.
    """
    values = {
        "id": user_id,
        "email": email,
        "name": name,
        "password_hash": password_hash,
        "roles": ",".join(sorted(roles)),
        "created_at": now,
    }
    try:
        connection.execute(insert(users).values(values))
    except IntegrityError:
        raise Conflict("This email has an account.", hint="Sign in, or use another email.") from None


class Users:
    """See the module.

    Args:
        database: started.
        clock: for created_at and disabled_at.
        passwords: started.
    """

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def create(
        self, email: str, password: str, name: str | None = None, *, roles: Iterable[str] = (USER,)
    ) -> User:
        """A new account.

        Args:
            email: normalised here.
            password: 12 to 1024 characters.
            name: None for the part of the email before the @.
            roles: `user`, `admin`; every account has `user`.

        Raises:
            InvalidInput: email, password, name or roles cannot be used.
            Conflict: the email has an account.
        """
        wanted = frozenset(roles) | {USER}
        if not wanted <= ROLES:
            raise InvalidInput(f"roles are {', '.join(sorted(ROLES))}.", field="roles")
        email = check_email(email)
        name = check_name(name, email)
        check_new_password(password, email)
        password_hash = await self._passwords.hash(password)
        user_id = new_id("usr")
        created = self._clock.now()
        now = micros(created)
        await self._database.write(lambda c: insert_user(c, user_id, email, name, password_hash, wanted, now))
        return User(user_id, email, name, wanted, moment(now))

    async def get(self, user_id: str) -> User:
        """A user by id.

        Raises:
            NotFound: there is none.
        """
        return await self._one(users.c.id == user_id)

    async def by_email(self, email: str) -> User:
        """A user by email, in any spelling that normalises to theirs.

        Raises:
            InvalidInput: text that no account could have.
            NotFound: there is none.
        """
        return await self._one(users.c.email == normalise_email(clean_text(email, field="email", max_chars=320)))

    async def _one(self, which: ColumnElement[bool]) -> User:
        async with self._database.read() as connection:
            row = (await connection.execute(select(*USER_COLUMNS).where(which))).first()
        if row is None:
            raise NotFound("There is no such user.", hint="`netra user list` shows them.")
        return user_of(row)

    async def with_hash(self, *, email: str | None = None, user_id: str | None = None) -> tuple[User, str] | None:
        """A user and the stored password hash, by email or id, or None."""
        which = users.c.email == email if user_id is None else users.c.id == user_id
        async with self._database.read() as connection:
            row = (await connection.execute(select(*USER_COLUMNS, users.c.password_hash).where(which))).first()
        return None if row is None else (user_of(row), row.password_hash)

    async def list(self) -> tuple[User, ...]:
        """Every user, oldest first."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(*USER_COLUMNS).order_by(users.c.created_at, users.c.id))).all()
        return tuple(user_of(row) for row in rows)

    async def set_password(self, user_id: str, password: str) -> None:
        """Give a user another password. Every login and every personal access token of theirs ends.

        Raises:
            InvalidInput: the password cannot be used.
            NotFound: there is no such user.
        """
        user = await self.get(user_id)
        check_new_password(password, user.email)
        await self.replace_hash(user_id, await self._passwords.hash(password), tokens=True)

    async def replace_hash(
        self, user_id: str, new_hash: str, *, old_hash: str | None = None, keep: str | None = None, tokens: bool = False
    ) -> tuple[str, ...] | None:
        """Store another password's hash and end the logins that began with the old one.

        Args:
            user_id: whose.
            new_hash: to store.
            old_hash: only if this one is still stored.
            keep: a login that goes on.
            tokens: whether the personal access tokens end as well.

        Returns:
            The ids of the logins that ended; None if the stored hash was another.
        """
        now = micros(self._clock.now())
        mark = os.urandom(16)
        change = update(users).where(users.c.id == user_id).values(password_hash=new_hash)
        if old_hash is not None:
            change = change.where(users.c.password_hash == old_hash)

        def work(connection: Connection) -> tuple[str, ...] | None:
            if connection.execute(change).rowcount == 0:
                return None
            if tokens:
                personal.revoke_all(connection, user_id, now, mark)
            return logins.revoke_all(connection, user_id, now, mark, keep)

        return await self._database.write(work)

    async def rehash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Store the same password's hash made with today's parameters, unless the password changed meanwhile."""
        change = update(users).where(users.c.id == user_id, users.c.password_hash == old_hash)
        return await self._changed(change.values(password_hash=new_hash))

    async def disable(self, user_id: str) -> None:
        """Close an account: it cannot sign in, its logins and tokens end, and so do its runs. Its data stays.

        The engine of every process looks for runs that are to end once a second; none of the user's begins any more.

        Raises:
            NotFound: there is no such user.
        """
        now = micros(self._clock.now())
        mark = os.urandom(16)
        change = update(users).where(users.c.id == user_id).values(disabled_at=func.coalesce(users.c.disabled_at, now))
        unasked = (runs.c.user_id == user_id) & runs.c.ended_at.is_(None) & runs.c.cancel_requested_at.is_(None)
        stop = update(runs).where(unasked).values(cancel_requested_at=now)

        def work(connection: Connection) -> bool:
            if connection.execute(change).rowcount == 0:
                return False
            personal.revoke_all(connection, user_id, now, mark)
            logins.revoke_all(connection, user_id, now, mark)
            connection.execute(stop)
            return True

        if not await self._database.write(work):
            raise NotFound("There is no such user.", hint="`netra user list` shows them.")

    async def enable(self, user_id: str) -> None:
        """Open a disabled account again. Logins and tokens stay ended.

        Raises:
            NotFound: there is no such user.
        """
        if not await self._changed(update(users).where(users.c.id == user_id).values(disabled_at=None)):
            raise NotFound("There is no such user.", hint="`netra user list` shows them.")

    async def _changed(self, change: Update) -> bool:
        return await self._database.write(lambda connection: connection.execute(change).rowcount == 1)
