"""What can go wrong, as a tree. Each class has one stable problem code and one HTTP status; the doors translate,
nobody else does.

    NetraError
      BadRequest             bad_request          400   no request this server can read
      BodyTimeout            body_timeout         408   the body did not arrive in time
      InvalidInput           invalid_input        422   a field is missing or wrong; says which
      NotAuthenticated       not_authenticated    401   no credentials, or they are not valid any more
      InvalidCredentials     invalid_credentials  401   wrong email or password
      Forbidden              forbidden            403   known, and not allowed (origin, setup closed)
      ForeignSession         foreign_session      403   a database session that belongs to somebody else
      NotFound               not_found            404   does not exist, or belongs to somebody else: same answer
      Conflict               conflict             409   the state has moved on; says how
      PayloadTooLarge        too_large            413   body, file or message over its limit
      UnsupportedMedia       unsupported_media    415   a body or file of a kind not taken
      RateLimited            rate_limited         429   too many; says when to come back
      LimitReached           limit_reached        429   a limit of this user (queued runs, connections)
      Unavailable            unavailable          503   storage or engine away; nothing was lost, try again
      SessionReclaimed       session_reclaimed    503   a database connection was held too long and taken back
      CircuitOpen            circuit_open         503   an agent or host fails too often; says when to come back
      ConfigurationError     configuration        500   settings that cannot work; raised at start, with what to do
      IllegalTransition      illegal_transition   500   a state machine was asked for a step it does not have
      AgentError             agent_error          500   raised by agents and tools for people: its message is shown
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "AgentError",
    "BadRequest",
    "BodyTimeout",
    "CircuitOpen",
    "ConfigurationError",
    "Conflict",
    "Forbidden",
    "ForeignSession",
    "IllegalTransition",
    "InvalidCredentials",
    "InvalidInput",
    "LimitReached",
    "NetraError",
    "NotAuthenticated",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "SessionReclaimed",
    "Unavailable",
    "UnsupportedMedia",
]


class NetraError(Exception):
    """The root. `message` is for people and says what to do; `details` are extra members of the problem document."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class BadRequest(NetraError):
    """Not a request that this server can read: its head or its subprotocol."""

    code = "bad_request"
    status = 400


class BodyTimeout(NetraError):
    """The body did not arrive in time."""

    code = "body_timeout"
    status = 408


class InvalidInput(NetraError):
    """A field is missing or wrong. `field` names it, with dots for nesting."""

    code = "invalid_input"
    status = 422

    def __init__(self, message: str, *, field: str | None = None, hint: str | None = None, **details: Any) -> None:
        super().__init__(message, hint=hint, **({"field": field} if field else {}), **details)
        self.field = field


class NotAuthenticated(NetraError):
    """No credentials, or they are not valid any more."""

    code = "not_authenticated"
    status = 401


class InvalidCredentials(NetraError):
    """Wrong email or password; deliberately does not say which."""

    code = "invalid_credentials"
    status = 401


class Forbidden(NetraError):
    """Known, and not allowed."""

    code = "forbidden"
    status = 403


class ForeignSession(NetraError, PermissionError):
    """A database session that belongs to somebody else, or says of nobody that it is theirs."""

    code = "foreign_session"
    status = 403


class NotFound(NetraError):
    """Does not exist, or belongs to somebody else: the answer is the same."""

    code = "not_found"
    status = 404


class Conflict(NetraError):
    """The state has moved on since the caller looked."""

    code = "conflict"
    status = 409


class PayloadTooLarge(NetraError):
    """A body, file or message is over its limit."""

    code = "too_large"
    status = 413


class UnsupportedMedia(NetraError):
    """A body or file of a kind that is not taken."""

    code = "unsupported_media"
    status = 415


class RateLimited(NetraError):
    """Too many attempts. `retry_after` is in seconds."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None, **details: Any) -> None:
        super().__init__(message, hint=hint, retry_after_seconds=retry_after, **details)
        self.retry_after = retry_after


class LimitReached(NetraError):
    """A limit of this user is reached."""

    code = "limit_reached"
    status = 429


class Unavailable(NetraError):
    """Storage or the engine cannot be reached; nothing was lost, try again."""

    code = "unavailable"
    status = 503


class SessionReclaimed(NetraError):
    """A database connection was held for too long and taken back; what was not committed is undone."""

    code = "session_reclaimed"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "This database session held its connection for too long, so the connection was taken back.",
            hint="Open the session where it is needed and close it before anything that may wait.",
        )


class CircuitOpen(NetraError):
    """An agent or a host has failed repeatedly and is not asked for a while. `retry_after` is in seconds."""

    # Not an Unavailable: what waits for the database to come back must not wait for this.
    code = "circuit_open"
    status = 503

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None, **details: Any) -> None:
        super().__init__(message, hint=hint, retry_after_seconds=retry_after, **details)
        self.retry_after = retry_after


class ConfigurationError(NetraError):
    """Settings that cannot work; raised when the server starts, and says what to change."""

    code = "configuration"
    status = 500


class IllegalTransition(NetraError):
    """A state machine was asked for a step it does not have."""

    code = "illegal_transition"
    status = 500

    def __init__(self, what: str, current: str, wanted: str) -> None:
        super().__init__(f"{what} cannot go from {current!r} to {wanted!r}")


class AgentError(NetraError):
    """Raised by agents and tools when a person should read why: the message is shown in the conversation."""

    code = "agent_error"
    status = 500
