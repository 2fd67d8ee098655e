"""Who was recognised: `User`, and the `Principal` a door gets for proven credentials."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row

from netra.storage.tables import moment, users

from .scope import Scope

USER = "user"
ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account.

    Args:
        id: `usr_…`.
        email: normalised, unique.
        name: for people.
        roles: of `user`, `admin`.
        created_at: UTC.
        disabled_at: UTC; None while the account may be used.
    """

    id: str
    email: str
    name: str
    roles: frozenset[str]
    created_at: datetime
    disabled_at: datetime | None = None

    @property
    def scope(self) -> Scope:
        """The view of this user's own data."""
        return Scope(self.id, self.roles)


@dataclass(frozen=True, slots=True)
class Principal:
    """A user and the credential that proved it: a login (cookie, access token, ticket) or a personal access token.

    Args:
        user: who.
        scope: whose data the holder may touch; the user's own.
        login_id: the login behind it, `ses_…`, or None.
        access_token_id: the personal access token behind it, `pat_…`, or None. Exactly one of the two is given.
        expires_at: when the credential ends by itself, UTC, or None for never.
    """

    user: User
    scope: Scope = field(repr=False)
    login_id: str | None
    access_token_id: str | None
    expires_at: datetime | None

    def __post_init__(self) -> None:
        if (self.login_id is None) == (self.access_token_id is None):
            raise ValueError("a principal has a login or a personal access token, one of them")
        if self.scope.user_id != self.user.id:
            raise ValueError("a principal's scope is its own user's")


class Revoked(Protocol):
    """What is called, on the event loop and at once, when credentials end before their time."""

    def __call__(self, *, user_id: str, login_id: str | None, access_token_id: str | None) -> None:
        """Credentials of `user_id` ended: the login or token named, or all of them when neither is."""
        ...


USER_COLUMNS = (
    users.c.id.label("user_id"),
    users.c.email.label("user_email"),
    users.c.name.label("user_name"),
    users.c.roles.label("user_roles"),
    users.c.created_at.label("user_created_at"),
    users.c.disabled_at.label("user_disabled_at"),
)
"""What `user_of` reads; labelled, so that a query may join users with anything."""


def user_of(row: Row[*tuple[Any, ...]]) -> User:
    """The user in a row that was selected with `USER_COLUMNS`."""
    return User(
        id=row.user_id,
        email=row.user_email,
        name=row.user_name,
        roles=frozenset(row.user_roles.split(",")),
        created_at=moment(row.user_created_at),
        disabled_at=None if row.user_disabled_at is None else moment(row.user_disabled_at),
    )


@dataclass(frozen=True, slots=True)
class Credential:
    """A login or personal access token that is valid now.

    Args:
        user: whose.
        id: `ses_…` or `pat_…`.
        expires_at: when it ends, UTC, or None for never.
        seen_at: when its use was last noted, UTC, or None for never.
    """

    user: User
    id: str
    expires_at: datetime | None
    seen_at: datetime | None
