"""The HTTP API of identity: the first administrator, accounts, logins, personal access tokens, socket tickets."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from netra import __version__
from netra.config import Settings
from netra.errors import NotAuthenticated
from netra.identity import Identity, Principal, SignedIn, User
from netra.identity.passwords import MAX_CHARS as PASSWORD_CHARS
from netra.identity.passwords import MIN_CHARS as NEW_PASSWORD_CHARS
from netra.identity.personal import MAX_SECONDS, MIN_SECONDS, AccessToken
from netra.identity.personal import NAME_CHARS as TOKEN_NAME_CHARS
from netra.identity.users import EMAIL_CHARS, NAME_CHARS

from .body import JsonRoute
from .models import Body, Moment
from .problems import problems
from .security import Doors

Email = Annotated[str, Field(min_length=1, max_length=EMAIL_CHARS)]
Password = Annotated[str, Field(max_length=PASSWORD_CHARS)]
NewPassword = Annotated[str, Field(min_length=NEW_PASSWORD_CHARS, max_length=PASSWORD_CHARS)]
Secret = Annotated[str, Field(max_length=512)]


class LoginBody(Body):
    email: Email
    password: Password


class RegisterBody(Body):
    email: Email
    password: NewPassword
    name: str | None = Field(None, max_length=NAME_CHARS)


class SetupBody(RegisterBody):
    token: Secret = Field(description="From the link the server printed when it started.")


class RefreshBody(Body):
    refresh_token: Secret | None = Field(None, description="Without it, the cookie counts.")


class PasswordBody(Body):
    current: Password
    new: NewPassword


class TokenBody(Body):
    name: str = Field(min_length=1, max_length=TOKEN_NAME_CHARS)
    expires_in: int | None = Field(None, ge=MIN_SECONDS, le=MAX_SECONDS, description="Seconds; null for never.")


class UserModel(BaseModel):
    id: str
    email: str
    name: str
    roles: list[str]

    @classmethod
    def of(cls, user: User) -> UserModel:
        return cls(id=user.id, email=user.email, name=user.name, roles=sorted(user.roles))


class SignedInModel(BaseModel):
    access_token: str = Field(description="For the Authorization header.")
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds.")
    refresh_token: str = Field(description="For the next pair, once.")
    user: UserModel

    @classmethod
    def of(cls, signed_in: SignedIn) -> SignedInModel:
        return cls(
            access_token=signed_in.access_token,
            expires_in=signed_in.expires_in,
            refresh_token=signed_in.refresh_token,
            user=UserModel.of(signed_in.user),
        )


class MeModel(BaseModel):
    user: UserModel | None = Field(description="null when nobody is signed in.")
    setup_required: bool = Field(description="Whether the first administrator has yet to be created.")
    registration: bool = Field(description="Whether anybody may create an account.")
    version: str


class TokenModel(BaseModel):
    id: str
    name: str
    prefix: str = Field(description="Its first characters, to recognise it by.")
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None = Field(description="To the minute.")


class NewTokenModel(TokenModel):
    token: str = Field(description="Shown only now.")

    @classmethod
    def made(cls, token: AccessToken, secret: str) -> NewTokenModel:
        return cls.model_validate(
            {**TokenModel.model_validate(token, from_attributes=True).model_dump(), "token": secret}
        )


class TokenList(BaseModel):
    items: list[TokenModel]


class TicketModel(BaseModel):
    ticket: str = Field(description="For /ws?ticket=…, once.")
    expires_in: int = Field(description="Seconds.")


def auth_routes(identity: Identity, settings: Settings) -> APIRouter:
    """The routes, under `/api`."""
    router = APIRouter(prefix="/api", route_class=JsonRoute, dependencies=[Depends(no_store)])
    doors = Doors(identity, settings)
    _sign_in_routes(router, identity, doors)
    _account_routes(router, identity, doors, settings)
    _token_routes(router, identity, doors)
    return router


def no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


def _sign_in_routes(router: APIRouter, identity: Identity, doors: Doors) -> None:
    own_page = [Depends(doors.own_page)]

    def welcome(response: Response, signed_in: SignedIn) -> SignedInModel:
        if signed_in.cookie is not None:
            doors.keep_cookie(response, signed_in.cookie, signed_in.cookie_seconds)
        return SignedInModel.of(signed_in)

    @router.post(
        "/auth/setup",
        status_code=201,
        dependencies=own_page,
        responses=problems(400, 403, 409, 413, 422, 429),
        tags=["sign in"],
    )
    async def set_up(body: SetupBody, request: Request, response: Response) -> SignedInModel:
        """Create the first administrator, with the token the server printed. 403 for ever after."""
        signed_in = await identity.set_up(
            body.token,
            body.email,
            body.password,
            body.name,
            address=doors.address(request),
            user_agent=_user_agent(request),
        )
        return welcome(response, signed_in)

    @router.post(
        "/auth/register",
        status_code=201,
        dependencies=own_page,
        responses=problems(400, 403, 404, 409, 413, 422, 429),
        tags=["sign in"],
    )
    async def register(body: RegisterBody, request: Request, response: Response) -> SignedInModel:
        """Create an account. 404 unless the operator allows registration."""
        signed_in = await identity.register(
            body.email, body.password, body.name, address=doors.address(request), user_agent=_user_agent(request)
        )
        return welcome(response, signed_in)

    @router.post(
        "/auth/login", dependencies=own_page, responses=problems(400, 401, 403, 413, 422, 429), tags=["sign in"]
    )
    async def login(body: LoginBody, request: Request, response: Response) -> SignedInModel:
        """Sign in. The cookie is for the page, the tokens for other clients."""
        signed_in = await identity.sign_in(
            body.email, body.password, address=doors.address(request), user_agent=_user_agent(request)
        )
        return welcome(response, signed_in)

    @router.post("/auth/refresh", responses=problems(400, 401, 403, 413, 422), tags=["sign in"])
    async def refresh(request: Request, body: RefreshBody | None = None) -> SignedInModel:
        """The next pair of tokens. A refresh token is good once; the use of an old one ends the login."""
        if body is not None and body.refresh_token is not None:
            return SignedInModel.of(await identity.refresh(body.refresh_token))
        cookie = doors.cookie(request)
        if cookie is None:
            raise NotAuthenticated("There is no refresh token.", hint="Send refresh_token, or sign in.")
        return SignedInModel.of(await identity.refresh_cookie(cookie))

    @router.post("/auth/logout", status_code=204, responses=problems(403), tags=["sign in"])
    async def logout(response: Response, caller: Principal | None = Depends(doors.optional_principal)) -> None:
        """End this login; its sockets close. Nothing happens when there is none."""
        if caller is not None:
            await identity.sign_out(caller)
        doors.drop_cookie(response)


def _account_routes(router: APIRouter, identity: Identity, doors: Doors, settings: Settings) -> None:
    @router.get("/me", responses=problems(), tags=["account"])
    async def me(
        request: Request, response: Response, caller: Principal | None = Depends(doors.optional_principal)
    ) -> MeModel:
        """Who is signed in, if anybody, and what the page needs to know to sign somebody in."""
        if caller is not None and "authorization" not in request.headers:
            cookie = doors.cookie(request)
            if cookie is not None:  # the login lives on by being used, so the browser has to keep it as long
                doors.keep_cookie(response, cookie, int(settings.session_days * 86_400))
        return MeModel(
            user=None if caller is None else UserModel.of(caller.user),
            setup_required=await identity.setup_required(),
            registration=settings.allow_registration,
            version=__version__,
        )

    @router.post("/auth/password", status_code=204, responses=problems(400, 401, 403, 413, 422, 429), tags=["account"])
    async def change_password(body: PasswordBody, caller: Principal = Depends(doors.principal)) -> None:
        """Change one's password. Every other login of the user ends."""
        await identity.change_password(caller, body.current, body.new)


def _token_routes(router: APIRouter, identity: Identity, doors: Doors) -> None:
    @router.get("/tokens", responses=problems(401), tags=["account"])
    async def list_tokens(caller: Principal = Depends(doors.principal)) -> TokenList:
        """The caller's personal access tokens, newest first."""
        tokens = await identity.tokens(caller)
        return TokenList(items=[TokenModel.model_validate(token, from_attributes=True) for token in tokens])

    @router.post("/tokens", status_code=201, responses=problems(400, 401, 403, 413, 422, 429), tags=["account"])
    async def create_token(body: TokenBody, caller: Principal = Depends(doors.principal)) -> NewTokenModel:
        """Make a personal access token. It is shown in this answer and never again."""
        return NewTokenModel.made(*await identity.create_token(caller, body.name, body.expires_in))

    @router.delete("/tokens/{token_id}", status_code=204, responses=problems(401, 403, 404), tags=["account"])
    async def revoke_token(token_id: str, caller: Principal = Depends(doors.principal)) -> None:
        """End a personal access token; its sockets close."""
        await identity.revoke_token(caller, token_id)

    @router.post("/tickets", responses=problems(401, 403, 429), tags=["account"])
    async def create_ticket(caller: Principal = Depends(doors.principal)) -> TicketModel:
        """A ticket that opens one socket within 30 seconds, for clients that can send neither header nor cookie."""
        ticket = await identity.create_ticket(caller)
        return TicketModel(ticket=ticket.ticket, expires_in=ticket.expires_in)


def _user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
