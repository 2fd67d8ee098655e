"""`watch_operations`: administrators' sockets get a picture of the server once a second, all the same one."""

from __future__ import annotations

import asyncio

import structlog

from netra.errors import NetraError, NotFound
from netra.events import Ack, WatchOperations, encode
from netra.gateway.operations import OperationsDesk
from netra.identity.principal import ADMIN
from netra.routing import MessageRouter

from .hub import Connection, Hub
from .transport import text_frame

log = structlog.get_logger(__name__)

PUSH_SECONDS = 1.0
UNSENT_BYTES = 256 * 1024
"""A reader with more than this to read misses a picture: the next one is newer."""


class OperationsCommands:
    """The handler, and the task that pushes while somebody watches."""

    def __init__(self, hub: Hub, desk: OperationsDesk) -> None:
        self._hub = hub
        self._desk = desk
        self._watching: set[str] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def register(self, router: MessageRouter[Connection]) -> None:
        """Add the command to the router."""
        router.register(WatchOperations, self.watch_operations)

    async def start(self) -> None:
        """Push from now on."""
        self._wanted = asyncio.Event()
        self._task = asyncio.create_task(self._push(), name="operations")

    async def stop(self) -> None:
        """End. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def watch_operations(self, connection: Connection, command: WatchOperations) -> Ack:
        if ADMIN not in connection.principal.scope.roles:
            raise NotFound("There is no such message for you.", hint="Only administrators can watch the server.")
        if command.on:
            self._watching.add(connection.id)
            self._wanted.set()
        else:
            self._watching.discard(connection.id)
        return Ack(id=command.id)

    async def _push(self) -> None:
        while True:
            await self._wanted.wait()
            listening = [each for each in self._hub.connections() if each.id in self._watching]
            self._watching = {each.id for each in listening}
            if not listening:
                self._wanted.clear()
                continue
            try:
                frame = text_frame(encode(await self._desk.now()))
                for connection in listening:
                    if connection.id in self._watching and connection.transport.unsent <= UNSENT_BYTES:
                        connection.transport.write(frame)
            except NetraError as error:
                log.warning("operations not shown", error=error.code)
            except Exception:
                log.exception("operations not shown")  # the next picture may succeed
            await asyncio.sleep(PUSH_SECONDS)
