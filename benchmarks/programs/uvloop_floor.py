"""The floor of `delivery.py` for Python: ready frames written to uvloop transports, and nothing else.

    python uvloop_floor.py PORT

Speaks just enough HTTP to upgrade a socket and to take `POST /publish?count=N&interval=SECONDS`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import sys

import uvloop
from fanout import event

from netra.gateway.socket.transport import text_frame

sockets: set[asyncio.Transport] = set()
tasks: set[asyncio.Task[None]] = set()


class Door(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.head = b""

    def data_received(self, data: bytes) -> None:
        self.head += data
        if b"\r\n\r\n" not in self.head or self.transport in sockets:
            return
        if key := re.search(rb"(?i)sec-websocket-key: *(\S+)", self.head):
            digest = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            self.transport.write(head + b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n")
            sockets.add(self.transport)
        elif query := re.search(rb"count=(\d+)&interval=([\d.]+)", self.head):
            tasks.add(asyncio.create_task(publish(int(query[1]), float(query[2]))))
            self.transport.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        sockets.discard(self.transport)


async def publish(count: int, interval: float) -> None:
    """Send the events."""
    for number in range(count):
        frame = text_frame(event(number + 1).encode())
        for transport in sockets:
            transport.write(frame)
        await asyncio.sleep(interval)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Door, "127.0.0.1", int(sys.argv[1]), backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
