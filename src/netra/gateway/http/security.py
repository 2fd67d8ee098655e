"""Who sends a request, and whether it may: credentials, origins, and the client's address.

A bearer token counts from anywhere, because no browser sends one by itself. The cookie is sent by itself, so it counts
only where the server's own pages ask: a request that changes something and carries it needs an allowed `Origin`.
Credentials are never mixed: where there is an Authorization header, it alone decides.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer

from netra.config import Settings
from netra.errors import Forbidden, NotAuthenticated, NotFound
from netra.gateway.proxies import Proxies
from netra.identity import Identity, Principal
from netra.identity.principal import ADMIN
from netra.sessions.scopes import identify

from .problems import NOTHING_HERE

COOKIE = "netra_session"
SECURE_COOKIE = "__Host-netra_session"
"""Browsers accept this name only with Secure, Path=/ and no Domain: no sibling host and no plain HTTP can plant it."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": 80, "https": 443}

# Only for OpenAPI: `Doors` reads the headers itself.
_BEARER = Depends(HTTPBearer(auto_error=False, description="An access token or a personal access token."))
_COOKIE = Depends(APIKeyCookie(name=COOKIE, auto_error=False, description="Set by signing in; for the page."))


def cookie_name(settings: Settings) -> str:
    """What the session cookie is called on this server."""
    return SECURE_COOKIE if settings.secure else COOKIE


def bearer_of(header: str | None) -> str | None:
    """The token in an Authorization header, or None when it has another form."""
    scheme, _, token = (header or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def cookie_of(header: str | None, settings: Settings) -> str | None:
    """The session in a Cookie header, or None."""
    name = cookie_name(settings)
    if not header or name not in header:
        return None
    for part in header.split(";"):  # the first one: with several, browsers send the most specific first
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"') or None
    return None


def origin_allowed(origin: str | None, host: str | None, settings: Settings) -> bool:
    """Whether a page from `origin` may use the session cookie.

    With `public_url`, it is the page's origin. Without, the page's origin is wherever the server was reached, which
    the Host header says; a foreign name made to point here (DNS rebinding) has no cookie to send.

    Args:
        origin: the Origin header. None, no browser having sent it, is not allowed.
        host: the Host header.
    """
    if origin is None:
        return False
    asked = _origin(origin)
    if asked is None:
        return False
    if asked in {_origin(allowed) for allowed in (settings.origin, *settings.allowed_origins)}:
        return True
    return settings.public_url is None and host is not None and asked == _origin(f"{asked[0]}://{host}")


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or port is None or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, port


class Doors:
    """The dependencies of routes: `Depends(doors.principal)` and its like.

    Args:
        identity: started before the first request.
        settings: `origin`, `allowed_origins`, `trusted_proxies`.

    Raises:
        ConfigurationError: a trusted proxy is no address or network.
    """

    def __init__(self, identity: Identity, settings: Settings) -> None:
        self._identity = identity
        self._settings = settings
        self._proxies = Proxies(settings.trusted_proxies)

    async def principal(self, request: Request, _bearer: object = _BEARER, _cookie: object = _COOKIE) -> Principal:
        """The caller.

        Raises:
            NotAuthenticated: there are no credentials, or they are not valid.
            Forbidden: a cookie, from a page that may not use it.
        """
        caller = await self._caller(request)
        identify(caller.scope.user_id)
        return caller

    async def _caller(self, request: Request) -> Principal:
        authorization = request.headers.getlist("authorization")
        if authorization:
            bearer = bearer_of(authorization[0]) if len(authorization) == 1 else None
            if bearer is None:
                raise NotAuthenticated(
                    "The Authorization header cannot be read.", hint="Send: Bearer, a space, a token."
                )
            return await self._identity.authenticate_bearer(bearer)
        cookie = self.cookie(request)
        if cookie is None:
            raise NotAuthenticated("You are not signed in.", hint="Sign in, or send Authorization: Bearer.")
        return await self._identity.authenticate_cookie(cookie)

    async def optional_principal(
        self, request: Request, _bearer: object = _BEARER, _cookie: object = _COOKIE
    ) -> Principal | None:
        """The caller, or None where `principal` raises NotAuthenticated.

        Raises:
            Forbidden: a cookie, from a page that may not use it.
        """
        try:
            return await self.principal(request)
        except NotAuthenticated:
            return None

    async def administrator(self, request: Request, _bearer: object = _BEARER, _cookie: object = _COOKIE) -> Principal:
        """The caller, who is an administrator. Others learn nothing, not even that the address exists.

        Raises:
            NotFound: anybody else.
        """
        try:
            caller = await self.principal(request)
        except (NotAuthenticated, Forbidden):
            raise NotFound(NOTHING_HERE) from None
        if ADMIN not in caller.scope.roles:
            raise NotFound(NOTHING_HERE)
        return caller

    def cookie(self, request: Request) -> str | None:
        """The session cookie of a request that may use it.

        Raises:
            Forbidden: the request changes something and comes from another page, or does not say from where.
        """
        cookie = cookie_of(request.headers.get("cookie"), self._settings)
        if cookie is not None and request.method not in _SAFE:
            self._check_origin(request)
        return cookie

    async def own_page(self, request: Request) -> None:
        """A dependency of the routes that sign in: a page that is not ours may not sign its visitor in here.

        Raises:
            Forbidden: the request comes from another page. Without Origin it comes from no page.
        """
        if "origin" in request.headers:
            self._check_origin(request)

    def _check_origin(self, request: Request) -> None:
        origins = request.headers.getlist("origin")
        host = request.headers.get("host")
        if len(origins) != 1 or not origin_allowed(origins[0], host, self._settings):
            raise Forbidden(
                "This request does not come from a page of this server.",
                hint="Behind a proxy, set public_url to the address people use. Programs send Authorization: Bearer.",
            )

    def address(self, request: Request) -> str:
        """The client's address: the peer's, or what trusted proxies say of it (X-Forwarded-For, from the right)."""
        peer = request.client.host if request.client else ""
        return self._proxies.client(peer, request.headers.getlist("x-forwarded-for"))

    def keep_cookie(self, response: Response, value: str, seconds: int) -> None:
        """Have the browser keep the session."""
        response.set_cookie(
            cookie_name(self._settings),
            value,
            max_age=seconds,
            path="/",
            secure=self._settings.secure,
            httponly=True,
            samesite="strict",
        )

    def drop_cookie(self, response: Response) -> None:
        """Have the browser forget the session."""
        response.delete_cookie(
            cookie_name(self._settings), path="/", secure=self._settings.secure, httponly=True, samesite="strict"
        )
