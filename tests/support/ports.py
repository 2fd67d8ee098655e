"""Free ports on 127.0.0.1."""

from __future__ import annotations

import os
import random
import socket

# Below the range from which the kernel takes ports for outgoing connections, so that a server that restarts finds its
# port free. Each process has its own sequence, so that parallel test workers seldom meet.
_random = random.Random(os.getpid())


def free_port() -> int:
    """A port nobody listens on at this moment."""
    for _ in range(200):
        port = _random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000 on 127.0.0.1")
