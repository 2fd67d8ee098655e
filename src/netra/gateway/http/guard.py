"""What every HTTP request passes, before and after its route: one ASGI middleware.

It gives the request an id, refuses what HTTP/1.1 forbids but servers let through (no or several Host headers,
Content-Length together with Transfer-Encoding), bounds the body in size and in time, adds the security headers to
every answer, turns what nobody caught into a problem document, and logs and counts one line per request. Each request
is one database session; an answer that streams ends it with its first byte, and may hold no connection then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import structlog
from starlette.requests import ClientDisconnect

from netra.config import MIB, Settings
from netra.errors import BadRequest, BodyTimeout, NetraError, PayloadTooLarge
from netra.ids import new_id
from netra.monitoring.daily import daily
from netra.monitoring.logs import request_id as request_id_variable
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory

from .page import CONTENT_SECURITY_POLICY
from .problems import problem_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger(__name__)

_SECURITY = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
SLOWEST_BYTES_PER_SECOND = 16 * 1024
"""A body that comes slower than this has `body_seconds` in all; a byte now and then does not keep a request alive."""

_QUIET = frozenset({"/health", "/health/live", "/health/ready", "/health/startup", "/metrics"})


class Guard:
    """See the module. Wraps the whole application; leaves sockets and the lifespan alone."""

    def __init__(self, app: App, settings: Settings, sessions: RequestScopedSessionFactory) -> None:
        self._app = app
        self._sessions = sessions
        self._settings = settings
        self._headers = list(_SECURITY)
        if settings.secure:
            self._headers.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = new_id("req")
        token = request_id_variable.set(request_id)
        session = self._sessions.scope(request_id=request_id)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {name for name, _ in message.get("headers", [])}
                extra = [header for header in self._headers if header[0] not in own]
                message["headers"] = [*message.get("headers", []), *extra, (b"x-request-id", request_id.encode())]
                seconds = time.perf_counter() - started
                metrics.request_seconds.labels(_route(scope)).observe(seconds)
                if scope["path"] not in _QUIET:
                    daily.observe("request_latency", seconds)
            elif message.get("more_body") and not session.closed:
                self._sessions.guard_stream(session)
            await send(message)

        try:
            try:
                receive = self._bounded(scope, receive)
                with session:
                    await self._app(scope, receive, answer)
            except ClientDisconnect:  # there is nobody to answer
                pass
            except NetraError as error:
                if status:
                    raise
                await _problem(answer, error)
            except Exception:
                log.exception("request failed", method=scope["method"], path=scope["path"])
                if status:
                    raise
                await _problem(answer, NetraError("The server failed at this; the failure is logged."))
        finally:
            route = _route(scope)
            metrics.requests.labels(scope["method"][:10], route, str(status)).inc()
            if scope["path"] not in _QUIET:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )
            request_id_variable.reset(token)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """Check the head of the request, and return a `receive` that bounds the body."""
        names = [name for name, _ in scope["headers"]]
        if names.count(b"host") != 1:
            raise BadRequest("A request needs exactly one Host header.")
        if b"transfer-encoding" in names and b"content-length" in names:
            raise BadRequest("A request cannot have both Content-Length and Transfer-Encoding.")
        upload = scope["path"] == "/api/files"
        limit = self._settings.file_bytes + MIB if upload else self._settings.body_bytes
        refusal = PayloadTooLarge(f"The body may have at most {limit:,} bytes.")
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or len(declared) > 19:
            raise BadRequest("Content-Length is not a number of bytes.")
        if int(declared) > limit:
            raise refusal
        received, waited, finished = 0, 0.0, False

        async def bounded() -> Message:
            nonlocal received, waited, finished
            if finished:  # now it waits for the client to go away, however long the answer takes
                return await receive()
            patience = self._settings.body_seconds + received / SLOWEST_BYTES_PER_SECOND - waited
            asked = time.perf_counter()
            try:
                async with asyncio.timeout(patience):
                    message = await receive()
            except TimeoutError:
                raise BodyTimeout("The body did not arrive in time.") from None
            waited += time.perf_counter() - asked
            received += len(message.get("body", b""))
            if received > limit:
                raise refusal
            finished = not message.get("more_body", False)
            return message

        return bounded


def _route(scope: Scope) -> str:
    """The route's template, so that ids do not become labels."""
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))


async def _problem(send: Send, error: NetraError) -> None:
    body = msgspec.json.encode(problem_body(error))
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
