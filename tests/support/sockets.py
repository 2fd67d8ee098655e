"""A client of `/ws` for tests: sends commands, collects frames, and follows threads by the reader's rule."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from .accounts import Account

Frame = dict[str, Any]
EVENTS = frozenset(
    {
        "user_message",
        "agent_started",
        "agent_thinking",
        "text_delta",
        "tool_executing",
        "tool_completed",
        "approval_requested",
        "approval_resolved",
        "agent_completed",
    }
)


class Socket:
    """One open socket. Every frame that came is in `frames`, and in `received` the time of day when it came."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.frames: list[Frame] = []
        self.received: list[float] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self.closed = asyncio.Event()

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                self.received.append(time.time())
                async with self._news:
                    self.frames.append(json.loads(text))
                    self._news.notify_all()
        except websockets.ConnectionClosed:
            pass
        finally:
            self.closed.set()
            async with self._news:
                self._news.notify_all()

    async def send(self, type: str, **members: Any) -> None:
        """Send a command."""
        await self.connection.send(json.dumps({"type": type, **members}))

    async def wait(self, wanted: Callable[[Frame], bool], *, start: int = 0, timeout: float = 20) -> Frame:
        """The first frame from number `start` on that is wanted, once it is there."""

        def found() -> Frame | None:
            return next((frame for frame in self.frames[start:] if wanted(frame)), None)

        async with asyncio.timeout(timeout), self._news:
            while (frame := found()) is None:
                if self.closed.is_set():
                    raise AssertionError(f"closed with {self.close_code} before the frame came: {self.frames[-5:]}")
                await self._news.wait()
        return frame

    async def ask(self, type: str, **members: Any) -> Frame:
        """Send a command and return what comes next that is no event and no `thread_changed`."""
        start = len(self.frames)
        await self.send(type, **members)
        return await self.wait(lambda f: f["type"] not in EVENTS | {"thread_changed"}, start=start)

    async def of_type(self, type: str, *, start: int = 0, timeout: float = 20, **members: Any) -> Frame:
        """The first frame of a type, with these members, from number `start` on."""

        def wanted(frame: Frame) -> bool:
            return frame["type"] == type and all(frame.get(name) == value for name, value in members.items())

        return await self.wait(wanted, start=start, timeout=timeout)

    def events(self, thread_id: str) -> list[Frame]:
        """The events of a thread that came, in the order they came."""
        return [f for f in self.frames if f["type"] in EVENTS and f["thread_id"] == thread_id]

    async def close_code_within(self, timeout: float = 20) -> int | None:
        """The close code, once the server has closed."""
        await asyncio.wait_for(self.closed.wait(), timeout)
        return self.close_code

    @property
    def close_code(self) -> int | None:
        return self.connection.close_code

    async def close(self) -> None:
        """Close it properly."""
        await self.connection.close()
        await self._reader


@asynccontextmanager
async def open_socket(account: Account, **options: Any) -> AsyncIterator[Socket]:
    """A socket of a user, after its first frame."""
    url = account.base_url.replace("http://", "ws://") + "/ws"
    options = {"additional_headers": account.headers, "subprotocols": ["netra.v1"], "proxy": None, **options}
    async with connect(url, max_size=None, **options) as connection:
        socket = Socket(connection)
        await socket.of_type("connection_established")
        try:
            yield socket
        finally:
            await socket.close()


class Reader:
    """The reader's rule of the protocol: what is applied, what is dropped, what shows that something is missing."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self.applied: list[Frame] = []

    def take(self, event: Frame) -> bool:
        """Apply an event or drop a duplicate; False when something before it is missing."""
        if event["seq"] <= self.last:
            return True
        if event["prev"] > self.last:
            return False
        self.last = event["seq"]
        self.applied.append(event)
        return True


async def read_stream(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, Frame] | None]:
    """Server-sent events as `(id, data)`; None for the comment that says the log has been read."""
    number, data = 0, ""
    async for line in lines:
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            data = line[6:]
        elif line == ": caught up":
            yield None
        elif not line and data:
            yield number, json.loads(data)
            data = ""
