"""`/api/admin/users`, `/logins`, `/tokens` and `/audit`: accounts, and what administrators changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from netra.errors import InvalidInput
from netra.gateway.http.api import Limit, Require
from netra.gateway.http.auth import Email, TokenList, TokenModel, no_store
from netra.gateway.http.body import JsonRoute
from netra.gateway.http.models import Body, Moment
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.identity.accounts import Account, Accounts, Login
from netra.identity.users import NAME_CHARS
from netra.storage.audit import Actor, AuditEntry, AuditLog
from netra.text import clean_id

Cursor = Annotated[str | None, Query()]


def actor_of(principal: Principal) -> Actor:
    """An administrator, as the audit log names them."""
    return Actor(principal.user.id, principal.user.email)


class AccountModel(BaseModel):
    id: str
    email: str
    name: str
    roles: list[str]
    created_at: Moment
    disabled_at: Moment | None
    last_seen_at: Moment | None = Field(description="When a login or token was last used.")
    logins: int = Field(description="Valid ones.")
    tokens: int = Field(description="Valid ones.")

    @classmethod
    def of(cls, account: Account) -> AccountModel:
        user = account.user
        return cls(
            id=user.id,
            email=user.email,
            name=user.name,
            roles=sorted(user.roles),
            created_at=user.created_at,
            disabled_at=user.disabled_at,
            last_seen_at=account.last_seen_at,
            logins=account.logins,
            tokens=account.tokens,
        )


class AccountList(BaseModel):
    items: list[AccountModel]
    next_cursor: str | None


class NewAccountBody(Body):
    email: Email
    name: str | None = Field(None, max_length=NAME_CHARS)
    admin: bool = False


class NewAccountModel(BaseModel):
    user: AccountModel
    password: str = Field(description="Shown this once.")


class AccountChange(Body):
    disabled: bool | None = None
    admin: bool | None = None


class PasswordModel(BaseModel):
    password: str = Field(description="Shown this once.")


class LoginModel(BaseModel):
    id: str
    user_id: str
    email: str = Field(description="Of its user.")
    user_agent: str
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment
    connections: int = Field(description="Open sockets and streams of this process.")

    @classmethod
    def of(cls, login: Login, connections: int) -> LoginModel:
        return cls(
            id=login.id,
            user_id=login.user_id,
            email=login.email,
            user_agent=login.user_agent,
            created_at=login.created_at,
            last_seen_at=login.last_seen_at,
            expires_at=login.expires_at,
            connections=connections,
        )


class LoginList(BaseModel):
    items: list[LoginModel]


class AuditModel(BaseModel):
    id: str
    at: Moment
    actor: str
    action: str
    target: str
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditModel:
        return cls(
            id=entry.id,
            at=entry.at,
            actor=entry.actor.name,
            action=entry.action,
            target=entry.target,
            details=dict(entry.details),
        )


class AuditList(BaseModel):
    items: list[AuditModel]
    next_cursor: str | None


def accounts_admin_routes(
    require_admin: Require, accounts: Accounts, audit: AuditLog, connected: Callable[[], list[Principal]]
) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
        connected: the principal of every open socket and stream.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"], route_class=JsonRoute, dependencies=[Depends(no_store)])
    administrator = Depends(require_admin)

    @router.get("/users", responses=problems(404, 422))
    async def list_users(
        _: Principal = administrator,
        search: Annotated[str, Query(description="Part of an email or a name.")] = "",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> AccountList:
        """Accounts, the newest first."""
        before = clean_id(cursor, field="cursor") if cursor else None
        found, more = await accounts.page(search=search, limit=limit, before=before)
        return AccountList(items=[AccountModel.of(each) for each in found], next_cursor=more)

    @router.post("/users", status_code=201, responses=problems(404, 409, 422))
    async def create_user(body: NewAccountBody, caller: Principal = administrator) -> NewAccountModel:
        """A new account with a password that is shown once."""
        account, password = await accounts.create(actor_of(caller), body.email, body.name, admin=body.admin)
        return NewAccountModel(user=AccountModel.of(account), password=password)

    @router.get("/users/{user_id}", responses=problems(404))
    async def get_user(user_id: str, _: Principal = administrator) -> AccountModel:
        """One account."""
        return AccountModel.of(await accounts.get(clean_id(user_id)))

    @router.patch("/users/{user_id}", responses=problems(404, 409, 422))
    async def change_user(user_id: str, body: AccountChange, caller: Principal = administrator) -> AccountModel:
        """Disable or enable an account, give or take the administrator's role. Logins end with either."""
        name, actor = clean_id(user_id), actor_of(caller)
        if body.disabled is None and body.admin is None:
            raise InvalidInput("There is nothing to change.", hint="Give disabled or admin.")
        if body.admin is not None:
            await accounts.set_admin(actor, name, body.admin)
        if body.disabled is not None:
            await accounts.set_disabled(actor, name, body.disabled)
        return AccountModel.of(await accounts.get(name))

    @router.post("/users/{user_id}/password", responses=problems(404))
    async def reset_password(user_id: str, caller: Principal = administrator) -> PasswordModel:
        """A new password, shown once. The user's logins and tokens end."""
        return PasswordModel(password=await accounts.reset_password(actor_of(caller), clean_id(user_id)))

    @router.get("/users/{user_id}/tokens", responses=problems(404))
    async def tokens_of_user(user_id: str, _: Principal = administrator) -> TokenList:
        """A user's personal access tokens, the newest first."""
        found = await accounts.tokens(clean_id(user_id))
        return TokenList(items=[TokenModel.model_validate(each, from_attributes=True) for each in found])

    @router.delete("/tokens/{token_id}", status_code=204, responses=problems(404))
    async def revoke_token(token_id: str, caller: Principal = administrator) -> None:
        """End a personal access token of any user."""
        await accounts.revoke_token(actor_of(caller), clean_id(token_id))

    @router.get("/audit", responses=problems(404, 422))
    async def audit_log(_: Principal = administrator, limit: Limit = 50, cursor: Cursor = None) -> AuditList:
        """What administrators did, the newest first."""
        found, more = await audit.page(limit, clean_id(cursor, field="cursor") if cursor else None)
        return AuditList(items=[AuditModel.of(each) for each in found], next_cursor=more)

    _add_logins(router, require_admin, accounts, connected)
    return router


def _add_logins(
    router: APIRouter, require_admin: Require, accounts: Accounts, connected: Callable[[], list[Principal]]
) -> None:
    administrator = Depends(require_admin)

    def listed(found: list[Login]) -> LoginList:
        open_now = Counter(each.login_id for each in connected())
        return LoginList(items=[LoginModel.of(each, open_now[each.id]) for each in found])

    @router.get("/logins", responses=problems(404, 422))
    async def logins_of_everybody(_: Principal = administrator, limit: Limit = 50) -> LoginList:
        """Valid logins, the one used last first."""
        return listed(await accounts.logins(limit=limit))

    @router.get("/users/{user_id}/logins", responses=problems(404))
    async def logins_of_user(user_id: str, _: Principal = administrator) -> LoginList:
        """A user's valid logins, the one used last first."""
        return listed(await accounts.logins(clean_id(user_id)))

    @router.delete("/logins/{login_id}", status_code=204, responses=problems(404))
    async def end_login(login_id: str, caller: Principal = administrator) -> None:
        """End a login; its connections close at once."""
        await accounts.end_login(actor_of(caller), clean_id(login_id))
