"""What a client can ask for over a socket: each command handed to the use case that carries it out."""

from __future__ import annotations

from netra.chat import Approvals, Messages, Runs, Threads
from netra.clock import Clock, rfc3339
from netra.events import (
    Ack,
    CancelRun,
    Ping,
    Pong,
    ResolveApproval,
    SendMessage,
    Subscribe,
    Unsubscribe,
)
from netra.routing import MessageRouter
from netra.text import clean_id

from .hub import Connection, Hub


class Commands:
    """The handlers. `register` puts them into the router."""

    def __init__(
        self, hub: Hub, threads: Threads, messages: Messages, runs: Runs, approvals: Approvals, clock: Clock
    ) -> None:
        self._hub = hub
        self._threads = threads
        self._messages = messages
        self._runs = runs
        self._approvals = approvals
        self._clock = clock

    def register(self, router: MessageRouter[Connection]) -> None:
        """Add every command to the router."""
        router.register(SendMessage, self.send_message)
        router.register(Subscribe, self.subscribe)
        router.register(Unsubscribe, self.unsubscribe)
        router.register(CancelRun, self.cancel_run)
        router.register(ResolveApproval, self.resolve_approval)
        router.register(Ping, self.ping)

    async def send_message(self, connection: Connection, command: SendMessage) -> Ack:
        sent = await self._messages.send(
            connection.principal.scope,
            id=command.id,
            content=command.content,
            thread_id=clean_id(command.thread_id, field="thread_id") if command.thread_id is not None else None,
            agent=command.agent,
            attachments=command.attachments,
            base_seq=command.base_seq,
        )
        return Ack(
            id=command.id, thread_id=sent.thread_id, run_id=sent.run_id, message_id=sent.message_id, seq=sent.seq
        )

    async def subscribe(self, connection: Connection, command: Subscribe) -> None:
        thread_id = clean_id(command.thread_id, field="thread_id")
        await self._threads.authorise(connection.principal.scope, thread_id)
        self._hub.subscribe(connection, thread_id, command.after)

    async def unsubscribe(self, connection: Connection, command: Unsubscribe) -> Ack:
        self._hub.unsubscribe(connection, command.thread_id)
        return Ack(thread_id=command.thread_id)

    async def cancel_run(self, connection: Connection, command: CancelRun) -> Ack:
        await self._runs.cancel(connection.principal.scope, clean_id(command.run_id, field="run_id"))
        return Ack(run_id=command.run_id)

    async def resolve_approval(self, connection: Connection, command: ResolveApproval) -> Ack:
        thread_id = await self._approvals.resolve(
            connection.principal.scope,
            clean_id(command.approval_id, field="approval_id"),
            command.decision,
            command.payload,
        )
        return Ack(id=command.approval_id, thread_id=thread_id)

    async def ping(self, connection: Connection, command: Ping) -> Pong:
        return Pong(server_time=rfc3339(self._clock.now()))
