"""uvicorn, with what it lacks: deadlines for request heads, caps per address, and a farewell to readers.

`serve` in `netra.app` runs `Server`; nothing else needs this module.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from netra.config import Settings

from .proxies import Proxies
from .socket.transport import SocketProtocol

HEAD_BYTES = 64 * 1024
"""Most bytes of a request's head."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a deadline for heads, one for the rest of bodies nobody reads, and a cap of
    connections per address. `http_protocol` makes the class that uvicorn instantiates.
    """

    settings: Settings
    proxies: Proxies
    open_connections: Counter[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False
        self._address = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.open_connections[self._address] += 1
        full = self.open_connections[self._address] > self.settings.sockets_per_address
        if full and not self.proxies.trusts(self._address):  # many people come from a proxy's address
            transport.abort()
            return
        self._set_deadline(self.settings.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._release()
        super().connection_lost(exc)

    def _release(self) -> None:
        self.open_connections[self._address] -= 1
        if self.open_connections[self._address] <= 0:
            del self.open_connections[self._address]

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_body:
            # While the application reads the body, the guard watches it. The rest of one that was answered early is
            # thrown away, though not for ever.
            if self._deadline is None and self.cycle is not None and self.cycle.response_complete:
                self._set_deadline(self.settings.body_seconds)
        elif self._deadline is not None and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, SocketProtocol):
            protocol.on_lost = self._release  # the connection lives on, under another protocol

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._deadline is None:
            self._set_deadline(self.settings.header_seconds)

    def on_headers_complete(self) -> None:
        self._clear_deadline()
        super().on_headers_complete()
        self._in_body = True

    def on_message_complete(self) -> None:
        self._clear_deadline()
        self._in_body = False
        super().on_message_complete()

    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def http_protocol(settings: Settings) -> type[HttpProtocol]:
    """`HttpProtocol` for one server."""
    own = {"settings": settings, "proxies": Proxies(settings.trusted_proxies), "open_connections": Counter()}
    return type("HttpProtocol", (HttpProtocol,), own)


class Server(uvicorn.Server):
    """uvicorn's server; `on_ready` hears the port, `on_drain` is called before connections are closed."""

    def __init__(
        self, app: Any, settings: Settings, *, on_ready: Callable[[int], None], on_drain: Callable[[], None]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=http_protocol(settings),
                ws=SocketProtocol,
                ws_max_size=settings.socket_message_bytes,
                ws_ping_interval=settings.heartbeat_seconds,
                ws_ping_timeout=settings.heartbeat_seconds,
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
                backlog=2048,
            )
        )
        self._on_ready = on_ready
        self._on_drain = on_drain

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_drain()
        await super().shutdown(sockets)
