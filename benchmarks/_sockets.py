"""Many WebSockets in one thread, read as fast as Python can: the load client of `delivery.py` and `resume.py`.

It speaks RFC 6455 over plain sockets and `epoll`, looks for a marker in what arrives instead of parsing JSON, and
masks with a zero key, which leaves the payload as it is.
"""

from __future__ import annotations

import base64
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

EVENT_MARKER = b'"type":"agent_thinking"'


def client_frame(text: str) -> bytes:
    """A complete, masked text frame."""
    payload = text.encode()
    length = len(payload)
    if length < 126:
        head = bytes((0x81, 0x80 | length))
    elif length < 65536:
        head = bytes((0x81, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x81, 0x80 | 127)) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


def handshake(port: int, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """The request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def open_socket(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[socket.socket, bytes]:
    """A WebSocket that is open, with the bytes that came after the handshake.

    Raises:
        ConnectionError: the server refused.
    """
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(handshake(port, path, headers))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError(f"the server closed the connection: {answer[:500]!r}")
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(f"the server refused: {answer[:500]!r}")
    return connection, rest


class Crowd:
    """Open sockets that all read.

    Args:
        port: of the server on 127.0.0.1.
        path: of the WebSocket.
        headers: of the handshake.
        hello: text frames each socket sends once it is open.
    """

    def __init__(
        self, port: int, path: str = "/ws", headers: Mapping[str, str] | None = None, hello: Sequence[str] = ()
    ) -> None:
        self._port, self._path, self._headers = port, path, headers
        self._hello = b"".join(client_frame(text) for text in hello)
        self._sockets: dict[int, socket.socket] = {}
        self._poll = select.epoll()
        self._tails: dict[int, bytes] = {}
        self.reads = 0
        """How often `count` found something to read on a socket."""

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._sockets.values():
            connection.close()
        self._poll.close()

    def __len__(self) -> int:
        return len(self._sockets)

    def grow(self, size: int) -> None:
        """Open sockets until there are `size`."""
        while len(self._sockets) < size:
            connection, rest = open_socket(self._port, self._path, self._headers)
            if self._hello:
                connection.sendall(self._hello)
            connection.setblocking(False)
            self._sockets[connection.fileno()] = connection
            self._tails[connection.fileno()] = rest
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def rush(self, size: int, marker: bytes, seconds: float = 120) -> None:
        """Open `size` sockets at once, as when a server comes back; read until each has received the marker.

        Raises:
            TimeoutError: not all have.
            ConnectionError: the server refused or closed a socket.
        """
        request = handshake(self._port, self._path, self._headers)
        for _ in range(size):
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            connection.sendall(request)
            connection.setblocking(False)
            self._sockets[connection.fileno()] = connection
            self._tails[connection.fileno()] = b""
            self._poll.register(connection.fileno(), select.EPOLLIN)
        waiting = set(self._sockets)
        greeted: set[int] = set()
        deadline = time.monotonic() + seconds
        while waiting:
            ready = self._poll.poll(1.0, 1024)
            if not ready and time.monotonic() > deadline:
                raise TimeoutError(f"{len(waiting)} of {size} still wait")
            for number, _ in ready:
                data = self._sockets[number].recv(262_144)
                if not data:
                    raise ConnectionError(f"the server closed a socket; last it said {self._tails[number]!r}")
                text = self._tails[number] + data
                if number not in greeted and b"\r\n\r\n" in text:
                    if b" 101 " not in text.split(b"\r\n", 1)[0]:
                        raise ConnectionError(f"the server refused: {text[:500]!r}")
                    greeted.add(number)
                    self._sockets[number].send(self._hello)
                if marker in text:
                    waiting.discard(number)
                self._tails[number] = text[-500:]

    def count(self, marker: bytes, expected: int, seconds: float = 120) -> int:
        """Read until the marker has arrived `expected` times, over all sockets.

        Raises:
            TimeoutError: it did not.
            ConnectionError: the server closed a socket.
        """
        found = sum(tail.count(marker) for tail in self._tails.values())
        keep = len(marker) - 1
        self._tails = {number: tail.replace(marker, b"")[-keep:] for number, tail in self._tails.items()}
        tails, sockets = self._tails, self._sockets
        deadline = time.monotonic() + seconds
        while found < expected:
            ready = self._poll.poll(1.0, 1024)
            if not ready and time.monotonic() > deadline:
                raise TimeoutError(f"{found} of {expected} arrived")
            for number, _ in ready:
                data = sockets[number].recv(262_144)
                if not data:
                    raise ConnectionError(f"the server closed a socket; last it said {tails[number]!r}")
                self.reads += 1
                found += (tails[number] + data).count(marker)
                tails[number] = data[-keep:]
        return found
