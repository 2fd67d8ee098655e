"""Free ports, and who listens on those that are not."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import psutil

from netra.errors import Conflict

from .locks import HeldLock, NamedLocks

_TRIED = 100
"""How many ports after the wanted one are tried before any free one is taken."""


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # as servers do, so that connections of one that has ended do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def listener(port: int) -> str | None:
    """The process that listens on a port, for people; None where the system does not say."""
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    return None


class Ports:
    """Ports that this launcher has chosen. A lock keeps other launchers of this user from choosing the same while no
    child listens: before it has started, and between two starts.
    """

    def __init__(self, locks: NamedLocks, *, place: str) -> None:
        self._locks = locks
        self._place = place
        self._held: list[HeldLock] = []

    def choose(self, host: str, wanted: int, *, insist: bool = False, purpose: str = "netra dev") -> int:
        """`wanted` if it is free, else the next free one; 0 takes any.

        Raises:
            Conflict: `insist`, and it is taken; says by whom.
        """
        candidates = [wanted] if insist and wanted else [*range(wanted, min(wanted + _TRIED, 65536))] if wanted else []
        for port in candidates:
            if self._take(host, port, purpose):
                return port
        if insist and wanted:
            who = listener(wanted) or self._locks.holder(f"port-{wanted}") or "another process"
            raise Conflict(f"Port {wanted} is taken by {who}.", hint="End it, or leave --port out to take a free one.")
        while True:
            with socket.socket() as probe:
                probe.bind((host if ":" not in host else "127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if self._take(host, port, purpose):
                return port

    def release(self) -> None:
        """Let all of them go."""
        while self._held:
            self._held.pop().release()

    def _take(self, host: str, port: int, purpose: str) -> bool:
        if not is_free(host, port):
            return False
        try:
            held = self._locks.take(f"port-{port}", purpose=purpose, place=self._place)
        except Conflict:
            return False
        if not is_free(host, port):
            held.release()
            return False
        self._held.append(held)
        return True
