"""The hub: who is connected, what they follow, and the bytes that go to them.

Everything that happens to a live event is synchronous: the log's bus calls `_publish`, the event's frame is built once,
and written to every subscription of its thread. A subscription first reads the log (`_catch_up`, one task), then is
live. A reader that is too slow loses its subscription, never the log: it is told to `resync` and asks again from the
seq it has. What is unsent to a connection is bounded: by `buffer_bytes` and one write of live events (at most as much
again), by a page of `PAGE_BYTES` and its largest event while a log is replayed, and by one notice for each thread.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

import structlog

from netra.errors import LimitReached, NotFound, Unavailable
from netra.events import Event, Live, Resync, ServerFrame, ThreadChanged, encode
from netra.identity import Principal
from netra.ids import new_id
from netra.log import Bus, Page, Published, ThreadLog
from netra.monitoring.metrics import metrics
from netra.sessions.tracker import Note, unnoted

from .transport import Transport, text_frame

log = structlog.get_logger(__name__)

STALL_SECONDS = 60.0
"""How long a reader that replays a log may read nothing, or the database be away, before its subscription ends."""
RETRY_SECONDS = 0.5
SUBSCRIPTIONS = 256
"""Threads that one connection may follow."""
PAGE_BYTES = 256 * 1024
"""Bytes of a log that are read and written at a time, by one subscription of a connection at a time."""


class Connection:
    """One open socket."""

    __slots__ = ("_notices", "id", "invalid", "principal", "replaying", "subscriptions", "transport")

    def __init__(self, principal: Principal, transport: Transport) -> None:
        self.id = new_id("con")
        self.principal = principal
        self.transport = transport
        self.subscriptions: dict[str, Subscription] = {}
        self.replaying = asyncio.Lock()
        self.invalid = 0
        """Messages that could not be understood, for the judgement of abuse."""
        self._notices: dict[str, ThreadChanged] = {}
        transport.on_drained(self._send_notices)

    def send(self, frame: ServerFrame | Event) -> None:
        """Send one frame."""
        self.transport.write(text_frame(encode(frame)))

    def notify(self, notice: ThreadChanged, frame: bytes, limit: int) -> None:
        """Send what a thread has become; to a slow reader, only its newest state, when there is room again."""
        if self.transport.unsent > limit:
            self._notices[notice.id] = notice
        else:
            self.transport.write(frame)

    def _send_notices(self) -> None:
        notices, self._notices = self._notices, {}
        for notice in notices.values():
            self.send(notice)


class Subscription:
    """One connection following one thread."""

    __slots__ = ("again", "connection", "last", "live", "newest", "task", "thread_id")

    def __init__(self, connection: Connection, thread_id: str, after: int) -> None:
        self.connection = connection
        self.thread_id = thread_id
        self.last = after
        """The seq up to which everything was written to the socket."""
        self.newest = 0
        """The highest seq published while the log was being read."""
        self.again = False
        """Whether the log must be read once more, whatever was published."""
        self.live = False
        self.task: asyncio.Task[None] | None = None


class _Ahead(Exception):
    """A reader has more than the log, which was restored from a backup: what comes would look like duplicates to it."""


class Hub:
    """See the module.

    Args:
        log: read by subscriptions that are not live yet.
        bus: tells of new events and changed threads.
        buffer_bytes: unsent bytes at which a reader counts as too slow.
        note: told of every connection and its end.
    """

    def __init__(self, log: ThreadLog, bus: Bus, *, buffer_bytes: int, note: Note = unnoted) -> None:
        self._log = log
        self._bus = bus
        self._limit = buffer_bytes
        self._note = note
        self._connections: dict[str, Connection] = {}
        self._users: defaultdict[str, set[Connection]] = defaultdict(set)
        self._user_stops: dict[str, Callable[[], None]] = {}
        self._threads: defaultdict[str, set[Subscription]] = defaultdict(set)
        self._thread_stops: dict[str, Callable[[], None]] = {}

    def open(self, connection: Connection) -> None:
        """Take a connection whose handshake is complete."""
        user_id = connection.principal.scope.user_id
        self._connections[connection.id] = connection
        if user_id not in self._user_stops:
            self._user_stops[user_id] = self._bus.listen_user(user_id, lambda notice: self._notify(user_id, notice))
        self._users[user_id].add(connection)
        metrics.connections.labels("socket").inc()
        self._note(user_id, "connected")

    def close(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        if self._connections.pop(connection.id, None) is None:
            return
        for thread_id in tuple(connection.subscriptions):
            self.unsubscribe(connection, thread_id)
        user_id = connection.principal.scope.user_id
        self._users[user_id].discard(connection)
        if not self._users[user_id]:
            del self._users[user_id]
            self._user_stops.pop(user_id)()
        metrics.connections.labels("socket").dec()
        self._note(user_id, "disconnected")

    def connections(self) -> tuple[Connection, ...]:
        """Every open connection."""
        return tuple(self._connections.values())

    def of_user(self, user_id: str) -> int:
        """How many connections a user has."""
        return len(self._users.get(user_id, ()))

    def disconnect(self, connections: Iterable[Connection], code: int, reason: str) -> None:
        """Close connections, such as those whose login was revoked."""
        for connection in tuple(connections):
            for thread_id in tuple(connection.subscriptions):
                self.unsubscribe(connection, thread_id)
            connection.transport.close(code, reason)

    def subscribe(self, connection: Connection, thread_id: str, after: int) -> None:
        """Send a thread's events after `after`, then `live`, then events as they happen. The caller has authorised it.

        A subscription of the same thread that the connection has already is replaced.

        Raises:
            LimitReached: the connection follows too many threads.
        """
        self.unsubscribe(connection, thread_id)
        if connection.id not in self._connections:
            return
        if len(connection.subscriptions) >= SUBSCRIPTIONS:
            raise LimitReached(
                f"One connection follows at most {SUBSCRIPTIONS} threads.", hint="Unsubscribe from some."
            )
        subscription = Subscription(connection, thread_id, after)
        connection.subscriptions[thread_id] = subscription
        if thread_id not in self._thread_stops:
            self._thread_stops[thread_id] = self._bus.listen(thread_id, self._publish)
        self._threads[thread_id].add(subscription)
        metrics.subscriptions.inc()
        self._start(subscription)

    def unsubscribe(self, connection: Connection, thread_id: str) -> None:
        """Stop sending a thread's events. Does nothing if it was not followed."""
        subscription = connection.subscriptions.pop(thread_id, None)
        if subscription is None:
            return
        if subscription.task is not None:
            subscription.task.cancel()
        followers = self._threads[thread_id]
        followers.discard(subscription)
        if not followers:
            del self._threads[thread_id]
            self._thread_stops.pop(thread_id)()
        metrics.subscriptions.dec()

    def _start(self, subscription: Subscription) -> None:
        subscription.live = subscription.again = False
        subscription.newest = 0
        subscription.task = asyncio.create_task(self._catch_up(subscription))

    async def _catch_up(self, subscription: Subscription) -> None:
        """Write what the log has, until there is nothing that was stored and not written; then the reader is live."""
        connection = subscription.connection
        try:
            while await self._replay_page(subscription):
                pass
            # Nothing is awaited between the last check and `live`, so nothing can be published unseen in between.
            connection.send(Live(thread_id=subscription.thread_id, seq=subscription.last))
            subscription.live = True
        except NotFound:  # deleted meanwhile; `thread_changed` says so
            subscription.task = None
            self.unsubscribe(connection, subscription.thread_id)
        except (TimeoutError, Unavailable, _Ahead):
            subscription.task = None
            self._resync(subscription)
        except Exception:
            log.exception("replay failed", thread_id=subscription.thread_id)
            subscription.task = None
            self._resync(subscription)

    async def _replay_page(self, subscription: Subscription) -> bool:
        """Write the next page of the log. Returns whether there is more to read."""
        transport = subscription.connection.transport
        async with subscription.connection.replaying:
            subscription.again = False
            page = await self._read(subscription)
            if page.last_seq < subscription.last:
                subscription.last = page.last_seq
                raise _Ahead
            if page.events:
                transport.write(b"".join([text_frame(wire) for _, _, wire in page.events]))
                subscription.last = page.events[-1][0]
                metrics.events_delivered.inc(len(page.events))
                async with asyncio.timeout(STALL_SECONDS):
                    await transport.drained()
        return page.more or subscription.again or subscription.newest > subscription.last

    async def _read(self, subscription: Subscription) -> Page:
        """The next page. The reader is owed it, so a database that is away is asked again for a while."""
        give_up = asyncio.get_running_loop().time() + STALL_SECONDS
        while True:
            try:
                return await self._log.read(subscription.thread_id, subscription.last, max_bytes=PAGE_BYTES)
            except Unavailable:
                if asyncio.get_running_loop().time() > give_up:
                    raise
                await asyncio.sleep(RETRY_SECONDS)

    def _resync(self, subscription: Subscription) -> None:
        metrics.resyncs.inc()
        connection = subscription.connection
        self.unsubscribe(connection, subscription.thread_id)
        connection.send(Resync(thread_id=subscription.thread_id, after=subscription.last))

    def _publish(self, published: Published) -> None:
        followers = self._threads.get(published.thread_id)
        if not followers:
            return
        if not published.events:  # deleted, or a commit whose outcome is not known: the log has the truth
            for subscription in tuple(followers):
                if subscription.live:
                    self._start(subscription)
                else:
                    subscription.again = True
            return
        first_seq, first_prev, _ = published.events[0]
        last_seq = published.events[-1][0]
        frames = [text_frame(wire) for _, _, wire in published.events]
        whole = b"".join(frames)
        delivered = 0
        for subscription in tuple(followers):
            if not subscription.live:
                subscription.newest = max(subscription.newest, last_seq)
                continue
            if last_seq <= subscription.last:
                continue
            transport = subscription.connection.transport
            if transport.unsent > self._limit:
                self._resync(subscription)
            elif first_prev <= subscription.last < first_seq and len(whole) <= self._limit:
                transport.write(whole)
                subscription.last = last_seq
                delivered += len(frames)
            else:  # more than may be unsent at once, or the bus lost or repeated something: the log has it, in pages
                self._start(subscription)
        metrics.events_delivered.inc(delivered)

    def _notify(self, user_id: str, notice: ThreadChanged) -> None:
        frame = text_frame(encode(notice))
        for connection in tuple(self._users.get(user_id, ())):
            connection.notify(notice, frame, self._limit)
