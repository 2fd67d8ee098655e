"""Accounts, as administrators see and change them. Every change is in the audit log before it is made."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from netra.clock import Clock
from netra.errors import Conflict, NotFound
from netra.sessions import RequestScopedSessionFactory
from netra.storage.audit import Actor, AuditLog
from netra.storage.tables import access_tokens, logins, micros, moment, users
from netra.text import clean_text

from .logins import Logins, active
from .logins import revoke_all as revoke_logins
from .personal import AccessToken, PersonalTokens
from .principal import ADMIN, USER, USER_COLUMNS, User, user_of
from .users import Users, check_email, check_name, is_administrator

PASSWORD_BYTES = 15
"""Of randomness in a password that is made here: 20 characters."""
SEARCH_CHARS = 200

Announce = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Account:
    """A user, and how the account is used.

    Args:
        last_seen_at: when a login or token of theirs was last used; None for never.
        logins: those that are valid now.
        tokens: personal access tokens that are valid now.
    """

    user: User
    last_seen_at: datetime | None
    logins: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Login:
    """A browser or program that is signed in."""

    id: str
    user_id: str
    email: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


class Accounts:
    """See the module. Every method may raise Unavailable.

    Args:
        audit: where every change is noted first.
        announce: told, with `user_id` and `login_id` or `access_token_id`, of what ends before its time.
    """

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        clock: Clock,
        users: Users,
        logins: Logins,
        tokens: PersonalTokens,
        audit: AuditLog,
        announce: Announce,
    ) -> None:
        self._database = database
        self._clock = clock
        self._users = users
        self._logins = logins
        self._tokens = tokens
        self._audit = audit
        self._announce = announce

    async def page(
        self, *, search: str = "", limit: int = 50, before: str | None = None
    ) -> tuple[list[Account], str | None]:
        """Accounts, the newest first.

        Args:
            search: part of an email or a name, in any case; empty for all.
            before: only those created before the user with this id, for the next page.

        Returns:
            The page, and `before` of the next one, None after the last.

        Raises:
            InvalidInput: the search is too long.
        """
        wanted = self._accounts().order_by(users.c.id.desc()).limit(limit + 1)
        if search := clean_text(search, field="search", max_chars=SEARCH_CHARS).strip().lower():
            name = func.lower(users.c.name)
            found = (users.c.email.contains(search, autoescape=True), name.contains(search, autoescape=True))
            wanted = wanted.where(or_(*found))
        if before is not None:
            wanted = wanted.where(users.c.id < before)
        rows = await self._database.query(lambda connection: connection.execute(wanted).all())
        page = [_account(row) for row in rows[:limit]]
        return page, page[-1].user.id if len(rows) > limit else None

    async def get(self, user_id: str) -> Account:
        """One account.

        Raises:
            NotFound: there is none.
        """
        wanted = self._accounts().where(users.c.id == user_id)
        row = await self._database.query(lambda connection: connection.execute(wanted).one_or_none())
        if row is None:
            raise NotFound("There is no such user.")
        return _account(row)

    async def create(self, actor: Actor, email: str, name: str | None, *, admin: bool) -> tuple[Account, str]:
        """A new account with a password that is made here and given back, to be shown once.

        Raises:
            InvalidInput: the email or the name cannot be used.
            Conflict: the email has an account.
        """
        email = check_email(email)
        name = check_name(name, email)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        roles = (USER, ADMIN) if admin else (USER,)
        await self._audit.note(actor, "user.create", email, roles=sorted(roles))
        user = await self._users.create(email, password, name, roles=roles)
        return await self.get(user.id), password

    async def reset_password(self, actor: Actor, user_id: str) -> str:
        """Give a user a password that is made here and given back, to be shown once. Their logins and tokens end.

        Raises:
            NotFound: there is no such user.
        """
        await self.get(user_id)
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        await self._audit.note(actor, "user.password", user_id)
        await self._users.set_password(user_id, password)
        self._announce(user_id)
        return password

    async def set_disabled(self, actor: Actor, user_id: str, disabled: bool) -> Account:
        """Close an account, or open it again. See `Users.disable`.

        Raises:
            NotFound: there is no such user.
            Conflict: it is one's own.
        """
        await self.get(user_id)
        if disabled:
            _not_oneself(actor, user_id, "disable")
            await self._audit.note(actor, "user.disable", user_id)
            await self._users.disable(user_id)
            self._announce(user_id)
        else:
            await self._audit.note(actor, "user.enable", user_id)
            await self._users.enable(user_id)
        return await self.get(user_id)

    async def set_admin(self, actor: Actor, user_id: str, admin: bool) -> Account:
        """Give or take the administrator's role. The user has to sign in again: what is open has the old role.

        Raises:
            NotFound: there is no such user.
            Conflict: it is one's own role, or there would be no administrator left.
        """
        account = await self.get(user_id)
        if (ADMIN in account.user.roles) == admin:
            return account
        if not admin:
            _not_oneself(actor, user_id, "take the role from")
        await self._audit.note(actor, "user.admin" if admin else "user.no_admin", user_id)
        roles = ",".join(sorted({*account.user.roles - {ADMIN}, *((ADMIN,) if admin else ())}))
        now, mark = micros(self._clock.now()), os.urandom(16)
        others = select(users.c.id).where(is_administrator(), users.c.disabled_at.is_(None), users.c.id != user_id)

        def work(connection: Connection) -> None:
            if not admin and connection.execute(others.with_for_update()).first() is None:
                raise Conflict("This is the last administrator.", hint="Make somebody else one first.")
            connection.execute(update(users).where(users.c.id == user_id).values(roles=roles))
            revoke_logins(connection, user_id, now, mark)

        await self._database.write(work)
        self._announce(user_id)
        return await self.get(user_id)

    async def logins(self, user_id: str | None = None, *, limit: int | None = None) -> list[Login]:
        """The valid logins of a user, or of everybody, the one used last first.

        Raises:
            NotFound: there is no such user.
        """
        wanted = (
            select(logins, users.c.email)
            .join(users, users.c.id == logins.c.user_id)
            .where(active(micros(self._clock.now())))
            .order_by(logins.c.last_seen_at.desc(), logins.c.id)
            .limit(limit)
        )
        if user_id is not None:
            await self.get(user_id)
            wanted = wanted.where(logins.c.user_id == user_id)
        rows = await self._database.query(lambda connection: connection.execute(wanted).all())
        return [_login(row) for row in rows]

    async def end_login(self, actor: Actor, login_id: str) -> None:
        """End a login of anybody; its connections close at once.

        Raises:
            NotFound: there is none, or it has ended.
        """
        wanted = select(logins).where(logins.c.id == login_id, logins.c.revoked_at.is_(None))
        row = await self._database.query(lambda connection: connection.execute(wanted).one_or_none())
        if row is None:
            raise NotFound("There is no such login.")
        await self._audit.note(actor, "login.end", login_id, user_id=row.user_id)
        if await self._logins.revoke(login_id):
            self._announce(row.user_id, login_id=login_id)

    async def tokens(self, user_id: str) -> tuple[AccessToken, ...]:
        """A user's personal access tokens, the newest first.

        Raises:
            NotFound: there is no such user.
        """
        await self.get(user_id)
        return await self._tokens.list(user_id)

    async def revoke_token(self, actor: Actor, token_id: str) -> None:
        """End a token of anybody.

        Raises:
            NotFound: there is none, or it was revoked.
        """
        wanted = select(access_tokens.c.user_id, access_tokens.c.name).where(
            access_tokens.c.id == token_id, access_tokens.c.revoked_at.is_(None)
        )
        row = await self._database.query(lambda connection: connection.execute(wanted).one_or_none())
        if row is None:
            raise NotFound("There is no such access token.")
        await self._audit.note(actor, "token.revoke", token_id, user_id=row.user_id, name=row.name)
        await self._tokens.revoke(row.user_id, token_id)
        self._announce(row.user_id, access_token_id=token_id)

    def _accounts(self) -> Select[Any]:
        now = micros(self._clock.now())
        of_login = logins.c.user_id == users.c.id
        open_logins = and_(of_login, logins.c.revoked_at.is_(None), logins.c.expires_at > now)
        of_user = access_tokens.c.user_id == users.c.id
        unexpired = or_(access_tokens.c.expires_at.is_(None), access_tokens.c.expires_at > now)
        open_tokens = and_(of_user, access_tokens.c.revoked_at.is_(None), unexpired)
        return select(
            *USER_COLUMNS,
            select(func.max(logins.c.last_seen_at)).where(of_login).scalar_subquery().label("seen"),
            select(func.max(access_tokens.c.last_used_at)).where(of_user).scalar_subquery().label("used"),
            select(func.count()).select_from(logins).where(open_logins).scalar_subquery().label("logins"),
            select(func.count()).select_from(access_tokens).where(open_tokens).scalar_subquery().label("tokens"),
        )


def _not_oneself(actor: Actor, user_id: str, what: str) -> None:
    if actor.id == user_id:
        raise Conflict(f"You cannot {what} yourself.", hint="Another administrator can.")


def _account(row: Row[*tuple[Any, ...]]) -> Account:
    seen = [each for each in (row.seen, row.used) if each is not None]
    return Account(user_of(row), moment(max(seen)) if seen else None, row.logins, row.tokens)


def _login(row: Row[*tuple[Any, ...]]) -> Login:
    return Login(
        id=row.id,
        user_id=row.user_id,
        email=row.email,
        user_agent=row.user_agent,
        created_at=moment(row.created_at),
        last_seen_at=moment(row.last_seen_at),
        expires_at=moment(row.expires_at),
    )
