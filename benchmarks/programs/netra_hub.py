"""Netra's hub alone, for `delivery.py`: real sockets, subscriptions and bounded buffers; no users, log or engine.

    python netra_hub.py PORT

Each event is built, encoded and given its place, then published on the bus, as the log does after a commit.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fanout import EVENT, REASONING

from netra.clock import SystemClock, rfc3339
from netra.events import AgentThinking, encode_unplaced, place
from netra.gateway.socket.hub import Connection, Hub
from netra.gateway.socket.transport import EXTENSION, SocketProtocol
from netra.identity import Principal
from netra.identity.principal import User
from netra.log import Bus, Page, Published, ThreadLog
from netra.storage import Database


class MemoryLog(ThreadLog):
    """What was published, in memory: what is measured here begins after the commit."""

    def __init__(self, bus: Bus, clock: SystemClock) -> None:
        super().__init__(Database("sqlite:////nonexistent/never-opened.db"), bus, clock)
        self.events: list[tuple[int, int, bytes]] = []

    async def read(self, thread_id: str, after: int = 0, limit: int = 500, *, max_bytes: int | None = None) -> Page:
        return Page(self.events[after : after + limit], len(self.events))


class App:
    """The socket door and the publisher."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.clock = SystemClock()
        self.log = MemoryLog(self.bus, self.clock)
        self.hub = Hub(self.log, self.bus, buffer_bytes=1024 * 1024)
        user = User("usr_1", "a@example.com", "A", frozenset({"user"}), datetime.now(UTC))
        self.principal = Principal(user, user.scope, "ses_1", None, None)
        self.seq = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            connection = Connection(self.principal, scope["extensions"][EXTENSION])
            self.hub.open(connection)
            self.hub.subscribe(connection, EVENT["thread_id"], self.seq)
            while (await receive())["type"] != "websocket.disconnect":
                pass
            self.hub.close(connection)
        elif scope["type"] == "http":
            query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
            self.tasks.add(asyncio.create_task(self.publish(int(query["count"]), float(query["interval"]))))
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def publish(self, count: int, interval: float) -> None:
        ids = {name: EVENT[name] for name in ("event_id", "thread_id", "run_id", "user_id", "agent_name")}
        for _ in range(count):
            thought = AgentThinking(
                **ids, timestamp=rfc3339(self.clock.now()), step_number=self.seq, reasoning=REASONING
            )
            self.seq += 1
            wire = place(encode_unplaced(thought), self.seq, self.seq - 1)
            placed = (self.seq, self.seq - 1, wire)
            self.log.events.append(placed)
            self.bus.publish(Published(EVENT["thread_id"], (placed,)))
            await asyncio.sleep(interval)


if __name__ == "__main__":
    uvicorn.run(
        App(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        ws=SocketProtocol,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="warning",
        backlog=2048,
    )
