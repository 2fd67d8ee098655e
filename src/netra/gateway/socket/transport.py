"""A socket as the hub sees it: bytes out, how much is unsent, and a close code.

The hub writes synchronously, so that one event encoded once costs each of a thousand sockets one call. ASGI's
`await send` cannot do that (it hides the buffer and waits for slow readers), so `SocketProtocol`, handed to uvicorn
through its `ws=` setting, puts itself into the ASGI scope as the socket's `Transport`. The opening handshake, reading,
fragments, pings and the close still go through wsproto, which passes every case of the Autobahn suite; only finished
text frames are written past it, which the protocol allows between any two frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import wsproto
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.connection import ConnectionState

EXTENSION = "netra.transport"
HEARTBEAT_MISSED = 4408


def text_frame(payload: bytes) -> bytes:
    """A complete, unmasked WebSocket text frame (RFC 6455, section 5.2)."""
    length = len(payload)
    if length < 126:
        return b"\x81" + length.to_bytes(1, "big") + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


class Transport(Protocol):
    """What the hub needs of a socket."""

    def write(self, frames: bytes) -> None:
        """Send complete frames; never waits. Ignored once the socket is closing."""
        ...

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer to read."""
        ...

    async def drained(self) -> None:
        """Wait until little is unsent, or the socket is gone."""
        ...

    def on_drained(self, callback: Callable[[], None]) -> None:
        """Call this whenever a peer that was slow has caught up."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Start the closing handshake."""
        ...


class SocketProtocol(WSProtocol):
    """uvicorn's wsproto implementation, with the socket as a `Transport` in the scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drained_callback: Callable[[], None] | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self.on_lost: Callable[[], None] | None = None

    def handle_connect(self, event: wsproto.events.Request) -> None:
        super().handle_connect(event)
        extensions: Any = self.scope["extensions"]
        extensions[EXTENSION] = self

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            self._end_soon()

    def handle_close(self, event: wsproto.events.CloseConnection) -> None:
        if not self.close_sent and self.conn.state is ConnectionState.OPEN:
            # Not the peer's close but its breach of the protocol, which RFC 6455 (7.1.7) has us name.
            self.transport.write(self.conn.send(wsproto.events.CloseConnection(code=event.code, reason=event.reason)))
        super().handle_close(event)

    def _end_soon(self) -> None:
        """Closing waits until everything unsent is sent; a peer that does not read must not keep it for ever."""
        if self._abort_timer is None:
            self._abort_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def write(self, frames: bytes) -> None:
        if self.handshake_complete and not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    @property
    def unsent(self) -> int:
        return 0 if self.disconnected else self.transport.get_write_buffer_size()

    async def drained(self) -> None:
        await self.writable.wait()

    def on_drained(self, callback: Callable[[], None]) -> None:
        self._drained_callback = callback

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._drained_callback is not None:
            self._drained_callback()

    def close(self, code: int, reason: str) -> None:
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        self.close_sent = True
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(self.conn.send(wsproto.events.CloseConnection(code=code, reason=reason)))
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        self._end_soon()

    def keepalive_timeout(self) -> None:
        self.pong_timer = None
        if self.read_paused and self.writable.is_set():
            # It is we who do not read, because a command is being carried out; the answer may wait in the kernel.
            assert self.ping_timeout is not None
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
            return
        self.pending_ping_payload = None
        self.close(HEARTBEAT_MISSED, "heartbeat missed")
        self.transport.close()

    def shutdown(self) -> None:
        super().shutdown()
        self._end_soon()
