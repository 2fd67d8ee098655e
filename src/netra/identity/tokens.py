"""Access tokens: short-lived signed statements (RFC 9068) that a login exists.

The algorithm, the issuer, the audience and the type are pinned, and a token that claims to live longer than fifteen
minutes is refused even with a right signature. The signature is only the first check: the login it names is looked up
as well, so a revoked one ends at once and not when its tokens run out.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from netra.clock import Clock
from netra.errors import NotAuthenticated
from netra.sessions import RequestScopedSessionFactory

from . import installation

ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "netra"
AUDIENCE = "netra-api"
MAX_SECONDS = 900
MAX_CHARS = 2048
SKEW_SECONDS = 30
"""How far ahead the clock of another server that issued the token may be."""

_REFUSED = "The access token is not valid."


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: str
    login_id: str
    expires_at: datetime


class AccessTokens:
    """Signs and verifies. The key is made once per installation and shared by its servers through the database.

    Args:
        database: where the key is kept.
        clock: for issue and expiry.
        seconds: life of a token, at most 900.
    """

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock, seconds: int = MAX_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self.seconds = min(seconds, MAX_SECONDS)
        self._key: OctKey | None = None

    async def start(self) -> None:
        """Load the key, or make it."""
        fresh = secrets.token_bytes(32)
        raw = await self._database.write(lambda c: installation.put_once(c, installation.SIGNING_KEY, fresh))
        self._key = OctKey.import_key(raw)

    def issue(self, user_id: str, login_id: str) -> str:
        """A token for a login of this user."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": login_id,
            "iat": now,
            "exp": now + self.seconds,
        }
        return jwt.encode({"alg": ALGORITHM, "typ": TYPE}, claims, self._signing_key, algorithms=[ALGORITHM])

    def verify(self, token: str) -> Claims:
        """What the token says.

        Raises:
            NotAuthenticated: not signed by this installation, of another kind, or expired.
        """
        if len(token) > MAX_CHARS:
            raise NotAuthenticated(_REFUSED)
        try:
            decoded = jwt.decode(token, self._signing_key, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            # Not only JoseError: the library parses the head before it has checked the signature.
            raise NotAuthenticated(_REFUSED) from None
        return self._checked(decoded.header, decoded.claims)

    def _checked(self, header: dict[str, Any], claims: dict[str, Any]) -> Claims:
        issued, expires, user_id, login_id = (claims.get(name) for name in ("iat", "exp", "sub", "sid"))
        if (
            header.get("alg") != ALGORITHM
            or header.get("typ") != TYPE
            or claims.get("iss") != ISSUER
            or claims.get("aud") != AUDIENCE
            or type(issued) is not int
            or type(expires) is not int
            or not isinstance(user_id, str)
            or not isinstance(login_id, str)
            or not 0 < expires - issued <= MAX_SECONDS
        ):
            raise NotAuthenticated(_REFUSED)
        now = self._clock.now().timestamp()
        if now >= expires:
            raise NotAuthenticated("The access token has expired.", hint="Get a new one from POST /api/auth/refresh.")
        if issued > now + SKEW_SECONDS:
            raise NotAuthenticated(_REFUSED)
        return Claims(user_id, login_id, datetime.fromtimestamp(expires, UTC))

    @property
    def _signing_key(self) -> OctKey:
        if self._key is None:
            raise RuntimeError("AccessTokens is not started")
        return self._key
