"""Append to, read and follow thread logs.

The rules (protocol.md has the guarantees): `seq` is dense and given in the transaction that stores the event; an
append is idempotent by its entry's key; events of a run carry its attempt, and one that comes from an older attempt
or after the run's end is refused; the streamed text of a run is removed in the transaction that ends it; nothing is
published before it is committed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from netra.clock import Clock, rfc3339
from netra.errors import NetraError, NotFound, Unavailable
from netra.events import BlobRef, Event, ThreadChanged, encode_unplaced, place
from netra.ids import new_id
from netra.monitoring.daily import daily
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage.prepared import Prepared
from netra.storage.tables import blobs, events, micros, moment, runs, threads

from .bus import Bus, Published

log = structlog.get_logger(__name__)

T = TypeVar("T")

BLOB_BYTES = 64 * 1024
"""A value whose JSON is longer is stored as a blob, and the event carries a reference."""

PAGE = 500
CHUNK = 50
"""Events that are fetched at a time when a page is bounded in bytes."""
PAGE_BYTES = 1024 * 1024
"""Bytes after which a page for a live reader ends, however few its events."""
FOLLOW_BYTES = 1024 * 1024
"""Bytes kept for one follower that is slower than the log; when they overflow, it reads the log again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event to append.

    Args:
        key: what makes the append idempotent: the log of a thread holds one event of each key.
        event: the event; its `seq` and `prev` are ignored.
    """

    key: str
    event: Event


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt of a run that an append belongs to."""

    run_id: str
    attempt: int


class Fenced(NetraError):
    """The run has ended, or a newer attempt of it has begun: whoever appends must stop."""

    code = "fenced"
    status = 409


Placed = list[tuple[int, int, bytes]]
"""Consecutive events: `(seq, prev, wire)`, where `wire` is the complete JSON of the event."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a log, and the thread's last seq when it was read."""

    events: Placed
    last_seq: int

    @property
    def more(self) -> bool:
        """Whether the log went on after this page."""
        return bool(self.events) and self.events[-1][0] < self.last_seq


_lock_thread = Prepared(select(threads.c.last_seq).where(threads.c.id == bindparam("thread")).with_for_update())
_lock_run = Prepared(select(runs.c.attempt, runs.c.ended_at).where(runs.c.id == bindparam("run")).with_for_update())
_known_one = Prepared(
    select(events.c.seq).where(events.c.thread_id == bindparam("thread"), events.c.key == bindparam("one"))
)
_known = select(events.c.key, events.c.seq).where(
    events.c.thread_id == bindparam("thread"), events.c.key.in_(bindparam("keys", expanding=True))
)
_insert = Prepared(insert(events), [column.name for column in events.columns])
_advance = Prepared(update(threads).where(threads.c.id == bindparam("thread")).values(last_seq=bindparam("seq")))
_last = Prepared(select(threads.c.last_seq).where(threads.c.id == bindparam("thread")))
_nearest = Prepared(
    select(func.max(events.c.seq)).where(
        events.c.thread_id == bindparam("thread"), events.c.seq <= bindparam("seq_after")
    )
)
_page = Prepared(
    select(events.c.seq, events.c.body)
    .where(events.c.thread_id == bindparam("thread"), events.c.seq > bindparam("seq_after"))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
_compact = Prepared(
    delete(events).where(
        events.c.thread_id == bindparam("thread"), events.c.run_id == bindparam("run"), events.c.type == "text_delta"
    )
)
_head = Prepared(
    select(
        threads.c.user_id,
        threads.c.title,
        threads.c.last_seq,
        threads.c.updated_at,
        select(runs.c.id).where(runs.c.thread_id == threads.c.id, runs.c.ended_at.is_(None)).exists().label("running"),
    ).where(threads.c.id == bindparam("thread"))
)


class Transaction:
    """What a unit of work may do to logs. Lives for one unit; see `ThreadLog.transact`."""

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self._published: list[Published] = []
        self._changed: dict[str, None] = {}
        self._gone: list[tuple[str, ThreadChanged]] = []
        self._types: Counter[str] = Counter()
        self._stored: list[Event] = []
        self._compacted = False

    def append(self, thread_id: str, entries: Sequence[Entry], *, fence: Fence | None = None) -> list[int]:
        """Append events and return their seqs. An entry whose key is there already keeps its old seq.

        Raises:
            NotFound: there is no such thread.
            Fenced: see `Fence`.
        """
        connection = self.connection
        if fence is not None:
            run = _lock_run.one(connection, {"run": fence.run_id})
            if run is None or run.ended_at is not None or run.attempt != fence.attempt:
                raise Fenced(f"Attempt {fence.attempt} of {fence.run_id} is over.")
        last = _lock_thread.scalar(connection, {"thread": thread_id})
        if last is None:
            raise NotFound("There is no such thread.")
        known = self._known(thread_id, entries)
        rows: list[dict[str, Any]] = []
        placed: list[tuple[int, int, bytes]] = []
        # The newest event is never compacted away before a newer one is stored, so it is the one before ours,
        # unless this very transaction has just removed it.
        prev = last
        if entries and self._compacted:
            prev = _nearest.scalar(connection, {"thread": thread_id, "seq_after": last}) or 0
        for entry in entries:
            if entry.key in known:
                continue
            body = encode_unplaced(entry.event)
            if len(body) > BLOB_BYTES:
                body = encode_unplaced(self._with_blobs(thread_id, entry.event))
            last += 1
            known[entry.key] = last
            kind = str(entry.event.__struct_config__.tag)
            self._types[kind] += 1
            self._stored.append(entry.event)
            rows.append(
                {
                    "thread_id": thread_id,
                    "seq": last,
                    "key": entry.key,
                    "type": kind,
                    "run_id": entry.event.run_id,
                    "body": body,
                }
            )
            placed.append((last, prev, place(body, last, prev)))
            prev = last
        if rows:
            _insert.run_many(connection, rows)
            _advance.run(connection, {"thread": thread_id, "seq": last})
            self._published.append(Published(thread_id, tuple(placed)))
        return [known[entry.key] for entry in entries]

    def _known(self, thread_id: str, entries: Sequence[Entry]) -> dict[str, int]:
        """The seqs of the entries that are stored already."""
        if len(entries) == 1:
            key = entries[0].key
            seq = _known_one.scalar(self.connection, {"thread": thread_id, "one": key})
            return {} if seq is None else {key: seq}
        keys = [entry.key for entry in entries]
        return {row.key: row.seq for row in self.connection.execute(_known, {"thread": thread_id, "keys": keys})}

    def compact(self, thread_id: str, run_id: str) -> None:
        """Remove the streamed text of a run. Only together with its `agent_completed`, and before appending that."""
        _compact.run(self.connection, {"thread": thread_id, "run": run_id})
        self._compacted = True

    def thread_changed(self, thread_id: str) -> None:
        """Tell the owner's connections, after the commit, that this thread's title, head or runs have changed."""
        self._changed[thread_id] = None

    def thread_deleted(self, thread_id: str) -> None:
        """Tell the owner's connections, after the commit, that this thread is gone. Call it before deleting."""
        if (head := self._notice(thread_id, deleted=True)) is not None:
            self._gone.append(head)
            self._published.append(Published(thread_id, ()))

    def _notice(self, thread_id: str, *, deleted: bool = False) -> tuple[str, ThreadChanged] | None:
        row = _head.one(self.connection, {"thread": thread_id})
        if row is None:
            return None
        return row.user_id, ThreadChanged(
            id=thread_id,
            title=row.title,
            last_seq=row.last_seq,
            running=bool(row.running),
            updated_at=rfc3339(moment(row.updated_at)),
            deleted=deleted,
        )

    def _with_blobs(self, thread_id: str, event: Event) -> Event:
        replaced: dict[str, Any] = {}
        for name in ("parameters", "results", "final_response", "result", "payload"):
            value = getattr(event, name, None)
            if value is None:
                continue
            body = msgspec.json.encode(value)
            if len(body) > BLOB_BYTES:
                blob = new_id("blob")
                self.connection.execute(
                    insert(blobs).values(id=blob, thread_id=thread_id, user_id=event.user_id, body=body)
                )
                reference = BlobRef(blob=blob, size=len(body))
                # Only `final_response` is typed to take a reference; the others hold any JSON object.
                replaced[name] = reference if name == "final_response" else msgspec.to_builtins(reference)
        return msgspec.structs.replace(event, **replaced)

    def outcome(self) -> _Outcome:
        """What to publish once this is committed."""
        notices = [notice for thread in self._changed if (notice := self._notice(thread)) is not None]
        return _Outcome(self._published, notices + self._gone, self._types, self._stored)


@dataclass(frozen=True, slots=True)
class _Outcome:
    published: list[Published]
    notices: list[tuple[str, ThreadChanged]]
    types: Counter[str]
    stored: list[Event]


class ThreadLog:
    """All thread logs of a database.

    Args:
        database: started before, stopped after.
        bus: where readers listen.
        clock: gives the time of changes.
        on_stored: called with every event once it is stored, on the event loop. It must not raise.
    """

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        bus: Bus,
        clock: Clock,
        *,
        on_stored: Callable[[Event], None] = lambda _event: None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._on_stored = on_stored

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in the writer (`Database.write` says what that asks of it) and publish what it appended.

        Raises:
            Unavailable: the database is away, and nothing was stored.
        """
        now = micros(self._clock.now())
        attempted: list[_Outcome] = []

        def unit(connection: Connection) -> tuple[T, _Outcome]:
            transaction = Transaction(connection, now)
            result = work(transaction)
            outcome = transaction.outcome()
            attempted[:] = [outcome]
            return result, outcome

        started = time.perf_counter()
        try:
            result, _ = await self._database.write(unit, committed=self._publish)
        except Unavailable:
            # The commit may have succeeded without our hearing of it: readers must look at the log for themselves.
            for outcome in attempted:
                for thread_id in dict.fromkeys(published.thread_id for published in outcome.published):
                    self._bus.publish(Published(thread_id, ()))
            raise
        seconds = time.perf_counter() - started
        metrics.append_seconds.observe(seconds)
        if attempted[-1].published:  # the commit was published, so live readers have the events
            daily.observe("event_latency", seconds)
        return result

    def _publish(self, committed: tuple[Any, _Outcome]) -> None:
        outcome = committed[1]
        for kind, count in outcome.types.items():
            metrics.events_appended.labels(kind).inc(count)
        for published in outcome.published:
            self._bus.publish(published)
        for user_id, notice in outcome.notices:
            self._bus.notify(user_id, notice)
        for event in outcome.stored:
            try:
                self._on_stored(event)
            except Exception:  # what is stored is stored, and its readers have it
                log.exception("stored event not noted")

    async def announce(self, thread_id: str) -> None:
        """Let this process's readers look at a thread that another process has written to."""
        self._bus.publish(Published(thread_id, ()))
        await self.transact(lambda tx: tx.thread_changed(thread_id))

    async def append(self, thread_id: str, entries: Sequence[Entry], *, fence: Fence | None = None) -> list[int]:
        """Append events to one thread; see `Transaction.append`."""
        return await self.transact(lambda tx: tx.append(thread_id, entries, fence=fence))

    async def read(self, thread_id: str, after: int = 0, limit: int = PAGE, *, max_bytes: int | None = None) -> Page:
        """The events after `after`, at most `limit`, oldest first.

        Args:
            max_bytes: end the page at the event that reaches this size.

        Raises:
            NotFound: there is no such thread.
        """
        return await self._database.query(lambda connection: _read(connection, thread_id, after, limit, max_bytes))

    async def follow(self, thread_id: str, after: int = 0) -> AsyncIterator[Placed]:
        """Everything after `after`, then everything that happens, for ever; in order, without gap or repetition.

        The first empty list says that the reader has caught up. An `after` beyond the log counts as its end. Holds no
        database connection while the consumer works or waits.

        Raises:
            NotFound: there is no such thread, or it was deleted.
        """
        pending: deque[tuple[int, int, bytes]] = deque()
        size = 0
        news = asyncio.Event()
        behind, told = True, False

        def take(published: Published) -> None:
            nonlocal behind, size
            size += sum(len(wire) for _, _, wire in published.events)
            if size > FOLLOW_BYTES or not published.events:
                behind = True  # the log has what is not kept; of a deleted thread, reading it says so
            if behind:
                pending.clear()
                size = 0
            else:
                pending.extend(published.events)
            news.set()

        stop = self._bus.listen(thread_id, take)
        try:
            while True:
                if behind:
                    # What is published while the log is read may be missing from the page; `take` sets this again.
                    behind = False
                    page = await self.read(thread_id, after, max_bytes=PAGE_BYTES)
                    behind = behind or page.more
                    after = min(after, page.last_seq)
                    if page.events:
                        after = page.events[-1][0]
                        yield page.events
                    if not behind and not told:
                        told = True
                        yield []
                    continue
                if not pending:
                    await news.wait()
                news.clear()
                batch: list[tuple[int, int, bytes]] = []
                while pending and not behind:
                    seq, prev, wire = pending.popleft()
                    size -= len(wire)
                    if prev > after:
                        behind = True  # the bus lost something; the log has it
                    elif seq > after:
                        batch.append((seq, prev, wire))
                        after = seq
                if batch:
                    yield batch
        finally:
            stop()


def _read(connection: Connection, thread_id: str, after: int, limit: int, max_bytes: int | None) -> Page:
    last = _last.scalar(connection, {"thread": thread_id})
    if last is None:
        raise NotFound("There is no such thread.")
    if after >= last:
        return Page([], last)
    prev = _nearest.scalar(connection, {"thread": thread_id, "seq_after": after}) or 0
    placed: Placed = []
    size, seq = 0, after
    while len(placed) < limit and (max_bytes is None or size < max_bytes):
        most = limit if max_bytes is None else min(CHUNK, limit - len(placed))
        rows = _page.all(connection, {"thread": thread_id, "seq_after": seq, "most": most})
        for seq, body in rows:
            placed.append((seq, prev, place(body, seq, prev)))
            prev = seq
            size += len(body)
            if max_bytes is not None and size >= max_bytes:
                break
        if len(rows) < most:
            break
    return Page(placed, last)
