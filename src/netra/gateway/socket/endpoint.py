"""`GET /ws`: authenticate, upgrade, then read commands until the socket is gone.

Nothing is accepted before the caller is known. A cookie counts only from the server's own pages (`Origin` is checked);
a bearer token or a one-time ticket counts from anywhere. What is refused before the upgrade gets an HTTP problem
document; afterwards, the close codes of protocol.md.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog

from netra.clock import Clock, rfc3339
from netra.config import Settings
from netra.errors import BadRequest, Forbidden, NetraError, NotAuthenticated
from netra.events import PROTOCOL, ConnectionEstablished, ErrorFrame, Limits, ServerFrame, User
from netra.gateway.http.problems import problem_body
from netra.gateway.http.security import bearer_of, cookie_of, origin_allowed
from netra.identity import Identity, Principal
from netra.ids import new_id
from netra.monitoring.logs import request_id as request_id_variable
from netra.routing import MessageRouter
from netra.sessions import RequestScopedSessionFactory

from .hub import Connection, Hub
from .transport import EXTENSION, SocketProtocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

PROTOCOL_ABUSE, TOO_MANY = 4400, 4429
COMMANDS_PER_SECOND, COMMANDS_BURST = 50.0, 200.0
INVALID_MESSAGES = 50
"""Messages in a row that could not be understood before the socket is closed."""

_INVALID = frozenset({"invalid_message", "unknown_type", "invalid_input"})


class SocketEndpoint:
    """The ASGI application behind `/ws`."""

    def __init__(
        self,
        hub: Hub,
        router: MessageRouter[Connection],
        identity: Identity,
        settings: Settings,
        clock: Clock,
        sessions: RequestScopedSessionFactory,
    ) -> None:
        self._hub = hub
        self._router = router
        self._identity = identity
        self._settings = settings
        self._clock = clock
        self._sessions = sessions
        self._limits = Limits(
            message_bytes=settings.socket_message_bytes,
            content_chars=settings.content_chars,
            file_bytes=settings.file_bytes,
            attachments=settings.attachments,
            runs_running=settings.runs_running,
            runs_queued=settings.runs_queued,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        transport: SocketProtocol | None = scope.get("extensions", {}).get(EXTENSION)
        if transport is None:
            raise RuntimeError("sockets need netra.gateway.socket.transport.SocketProtocol as uvicorn's ws= setting")
        headers = _headers(scope)
        try:
            with self._sessions.scope(request_id=new_id("req")) as session:
                principal = await self._authenticate(scope, headers)
                self._sessions.guard_stream(session)
            offered = scope.get("subprotocols") or []
            if offered and PROTOCOL not in offered:
                raise BadRequest(f"This server speaks {PROTOCOL}.")
        except NetraError as error:
            await _refuse(send, error)
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL if offered else None})
        connection = Connection(principal, transport)
        if self._hub.of_user(principal.scope.user_id) >= self._settings.sockets_per_user:
            transport.close(TOO_MANY, "too many connections")
            return
        self._hub.open(connection)
        log.info("socket opened", connection_id=connection.id, user_id=principal.scope.user_id)
        try:
            user = principal.user
            connection.send(
                ConnectionEstablished(
                    connection_id=connection.id,
                    user=User(id=user.id, email=user.email, name=user.name, roles=sorted(principal.scope.roles)),
                    protocol=PROTOCOL,
                    heartbeat_seconds=self._settings.heartbeat_seconds,
                    server_time=rfc3339(self._clock.now()),
                    limits=self._limits,
                )
            )
            await self._serve(connection, receive)
        finally:
            self._hub.close(connection)
            log.info("socket closed", connection_id=connection.id, user_id=principal.scope.user_id)

    async def _serve(self, connection: Connection, receive: Receive) -> None:
        tokens, refilled = COMMANDS_BURST, time.monotonic()
        number = 0
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            now = time.monotonic()
            tokens = min(COMMANDS_BURST, tokens + (now - refilled) * COMMANDS_PER_SECOND)
            refilled = now
            if tokens < 1:
                connection.transport.close(TOO_MANY, "too many messages")
                return
            tokens -= 1
            number += 1
            data = message.get("text")
            answer: ServerFrame | None
            if data is None:
                answer = ErrorFrame(code="invalid_message", message="This is not a text frame.", hint="Send JSON text.")
            else:
                request_id = f"{connection.id}.{number}"
                token = request_id_variable.set(request_id)
                try:
                    with self._sessions.scope(
                        request_id=request_id, user_id=connection.principal.scope.user_id
                    ) as session:
                        answer = await self._router.dispatch(connection, data)
                        self._sessions.guard_stream(session)
                finally:
                    request_id_variable.reset(token)
            if answer is None:
                connection.invalid = 0
                continue
            connection.invalid = connection.invalid + 1 if getattr(answer, "code", None) in _INVALID else 0
            connection.send(answer)
            if connection.invalid >= INVALID_MESSAGES:
                connection.transport.close(PROTOCOL_ABUSE, "too many messages that cannot be understood")
                return
            if connection.transport.unsent > self._settings.socket_buffer_bytes:
                await connection.transport.drained()  # who does not read the answers is not listened to

    async def _authenticate(self, scope: Scope, headers: dict[str, str]) -> Principal:
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket")
        if ticket:
            return await self._identity.redeem_ticket(ticket[0])
        if bearer := bearer_of(headers.get("authorization")):
            return await self._identity.authenticate_bearer(bearer)
        if cookie := cookie_of(headers.get("cookie"), self._settings):
            if not origin_allowed(headers.get("origin"), headers.get("host"), self._settings):
                raise Forbidden("This page may not open a socket here.", hint="Add its origin to allowed_origins.")
            return await self._identity.authenticate_cookie(cookie)
        raise NotAuthenticated("Sign in first.")


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name; what is sent twice is joined, so that a second Origin does not hide the first."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def _refuse(send: Send, error: NetraError) -> None:
    body = msgspec.json.encode(problem_body(error))
    await send(
        {
            "type": "websocket.http.response.start",
            "status": error.status,
            "headers": [
                (b"content-type", b"application/problem+json"),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
            ],
        }
    )
    await send({"type": "websocket.http.response.body", "body": body})
