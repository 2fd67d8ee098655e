"""A thread log over a real database, with threads and runs to write to."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert, update

from netra.clock import SystemClock, rfc3339
from netra.events import AgentCompleted, Event, TextDelta, UserMessage
from netra.ids import new_id
from netra.log import Bus, Entry, Fence, ThreadLog, Transaction
from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from netra.storage.tables import micros, runs, threads, users

from .schema import prepare

_numbers = itertools.count(1)


@dataclass(slots=True)
class Bench:
    """A started database with its log.

    Args:
        user_id: the owner of what `thread` and `run` make.
    """

    database: RequestScopedSessionFactory
    bus: Bus
    log: ThreadLog
    clock: SystemClock
    user_id: str = field(default_factory=lambda: new_id("usr"))

    async def thread(self, user_id: str | None = None) -> str:
        """A new thread; makes its owner when there is none yet."""
        thread_id, owner, now = new_id("thr"), user_id or self.user_id, micros(self.clock.now())

        def work(connection: Connection) -> None:
            if connection.execute(users.select().where(users.c.id == owner)).one_or_none() is None:
                connection.execute(insert(users).values(user_row(owner)))
            connection.execute(
                insert(threads).values(id=thread_id, user_id=owner, title="t", created_at=now, updated_at=now)
            )

        await self.database.write(work)
        return thread_id

    async def run(self, thread_id: str, attempt: int = 1) -> Fence:
        """A running run."""
        run_id, now = new_id("run"), micros(self.clock.now())
        row = {"message_id": new_id("msg"), "message_seq": 1, "created_at": now, "state": "running", "agent": "a"}
        await self.database.write(
            lambda connection: (
                connection.execute(
                    insert(runs).values(id=run_id, thread_id=thread_id, user_id=self.user_id, attempt=attempt, **row)
                ).rowcount
            )
        )
        return Fence(run_id, attempt)

    def head(self, thread_id: str, run_id: str | None = None) -> dict[str, Any]:
        """What every event needs."""
        return {
            "event_id": new_id("evt"),
            "thread_id": thread_id,
            "run_id": run_id,
            "user_id": self.user_id,
            "agent_name": None if run_id is None else "a",
            "timestamp": rfc3339(self.clock.now()),
        }

    def message(self, thread_id: str, text: str = "hello") -> Entry:
        """A user's message with a key of its own."""
        message_id = new_id("msg")
        return Entry(message_id, UserMessage(**self.head(thread_id), message_id=message_id, content=text))

    def delta(self, thread_id: str, run_id: str, text: str = "…") -> Entry:
        """A piece of streamed text."""
        event = TextDelta(**self.head(thread_id, run_id), message_id="m", attempt=1, offset=0, text=text)
        return Entry(f"{run_id}:text:{next(_numbers)}", event)

    def completed(self, thread_id: str, run_id: str, **members: Any) -> Entry:
        """The end of a run."""
        members = {"status": "succeeded", "final_response": "", "duration_ms": 1, **members}
        event: Event = AgentCompleted(**self.head(thread_id, run_id), **members)
        return Entry(f"{run_id}:end", event)

    async def end(self, thread_id: str, run_id: str) -> int:
        """End a run as the engine does: its streamed text goes as its last event comes."""
        entry = self.completed(thread_id, run_id)

        def work(tx: Transaction) -> int:
            tx.compact(thread_id, run_id)
            (seq,) = tx.append(thread_id, [entry])
            tx.connection.execute(update(runs).where(runs.c.id == run_id).values(state="succeeded", ended_at=tx.now))
            return seq

        return await self.log.transact(work)


def user_row(user_id: str) -> dict[str, Any]:
    """A row for `users`; nobody can sign in with it."""
    now = micros(SystemClock().now())
    return {
        "id": user_id,
        "email": f"{user_id}@example.com",
        "name": "",
        "password_hash": "none",
        "roles": "user",
        "created_at": now,
    }


@asynccontextmanager
async def bench(url: str) -> AsyncIterator[Bench]:
    """Open a log on the database at `url`, with its tables."""
    prepare(url)
    database, bus, clock = RequestScopedSessionFactory(Database(url), strict=True), Bus(), SystemClock()
    await database.start()
    try:
        yield Bench(database, bus, ThreadLog(database, bus, clock), clock)
    finally:
        await database.stop()
