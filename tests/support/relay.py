"""A cable between a browser and a server that a test can cut: neither end is told anything but that it is gone."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Relay:
    """Forwards TCP connections on a port of its own to `port`. Use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._connected = True
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset every connection, and every one that is tried until `mend`."""
        with self._lock:
            self._connected = False
            ends, self._ends = self._ends, set()
        for end in ends:
            _reset(end)

    def mend(self) -> None:
        """Forward new connections again."""
        with self._lock:
            self._connected = True

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            with self._lock:
                if not self._connected:
                    _reset(near)
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    _reset(near)
                    continue
                self._ends |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
    end.close()
