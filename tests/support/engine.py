"""A database, a log and an engine as `netra.app` builds them, and ways to put runs in and watch them end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from netra.agents.spec import AgentSpec
from netra.clock import SystemClock, rfc3339
from netra.config import Settings
from netra.engine.engine import Engine
from netra.events import ApprovalResolved, Attachment, UserMessage
from netra.executions import Breakers
from netra.ids import new_id
from netra.log import Bus, Entry, ThreadLog, Transaction
from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from netra.storage.tables import approvals, messages, runs, threads, users

from .schema import prepare
from .waiting import until


@dataclass
class Workbench:
    """One process's worth of parts."""

    settings: Settings
    database: RequestScopedSessionFactory
    log: ThreadLog
    engine: Engine
    user_id: str = "usr_tester"

    async def thread(self, user_id: str | None = None) -> str:
        """A new thread, and its user if need be."""
        user, thread = user_id or self.user_id, new_id("thr")

        def work(tx: Transaction) -> None:
            if tx.connection.execute(select(users.c.id).where(users.c.id == user)).one_or_none() is None:
                tx.connection.execute(
                    insert(users).values(
                        id=user, email=f"{user}@example.com", name="", password_hash="", roles="user", created_at=tx.now
                    )
                )
            tx.connection.execute(
                insert(threads).values(id=thread, user_id=user, title="T", created_at=tx.now, updated_at=tx.now)
            )

        await self.log.transact(work)
        return thread

    async def send(
        self,
        content: str = "hello",
        *,
        agent: str,
        thread: str | None = None,
        user_id: str | None = None,
        attachments: Sequence[Attachment] = (),
        wake: bool = True,
    ) -> tuple[str, str]:
        """Store a message and its queued run, as `netra.chat` does. Returns (thread, run)."""
        user = user_id or self.user_id
        target = thread or await self.thread(user)
        run_id, message_id = new_id("run"), new_id("msg")
        event = UserMessage(
            event_id=new_id("evt"),
            thread_id=target,
            run_id=None,
            user_id=user,
            agent_name=None,
            timestamp=rfc3339(SystemClock().now()),
            message_id=message_id,
            content=content,
            attachments=list(attachments),
        )

        def work(tx: Transaction) -> None:
            (seq,) = tx.append(target, [Entry(message_id, event)])
            tx.connection.execute(
                insert(messages).values(
                    user_id=user,
                    client_id=message_id,
                    id=message_id,
                    thread_id=target,
                    run_id=run_id,
                    seq=seq,
                    digest=b"",
                )
            )
            tx.connection.execute(
                insert(runs).values(
                    id=run_id,
                    thread_id=target,
                    user_id=user,
                    agent=agent,
                    state="queued",
                    message_id=message_id,
                    message_seq=seq,
                    created_at=tx.now,
                )
            )

        await self.log.transact(work)
        if wake:
            self.engine.wake()
        return target, run_id

    async def until(
        self, thread: str, wanted: Callable[[dict[str, Any]], bool], after: int = 0
    ) -> list[dict[str, Any]]:
        """Follow a thread's log until an event is wanted. Returns all events read."""
        seen: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            async for batch in self.log.follow(thread, after):
                for _, _, wire in batch:
                    seen.append(json.loads(wire))
                    if wanted(seen[-1]):
                        return seen
        raise AssertionError("the log ended")

    async def ended(self, thread: str, run_id: str) -> dict[str, Any]:
        """The `agent_completed` of a run, when it comes."""
        events = await self.until(thread, lambda e: e["type"] == "agent_completed" and e["run_id"] == run_id)
        return events[-1]

    async def ended_elsewhere(self, thread: str) -> dict[str, Any]:
        """The end of a run that another process works on, read from the log again and again."""

        async def end() -> dict[str, Any] | None:
            return next((event for event in await self.events(thread) if event["type"] == "agent_completed"), None)

        return await until(end, "the end of the run", seconds=30)

    async def ask(
        self, agent: str, content: str = "hello", **options: Any
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Send, wait for the end, and return it with everything the log then holds."""
        thread, run_id = await self.send(content, agent=agent, **options)
        end = await self.ended(thread, run_id)
        return end, await self.events(thread)

    async def events(self, thread: str) -> list[dict[str, Any]]:
        """Everything a thread's log holds now."""
        return [json.loads(wire) for _, _, wire in (await self.log.read(thread)).events]

    async def decide(self, approval_id: str, decision: str, payload: Any = None, *, signal: bool = True) -> None:
        """Decide an approval, as `netra.chat` does."""

        def work(tx: Transaction) -> None:
            row = tx.connection.execute(select(approvals).where(approvals.c.id == approval_id)).one()
            tx.connection.execute(
                update(approvals)
                .where(approvals.c.id == approval_id)
                .values(
                    decision=decision,
                    payload=json.dumps(payload).encode() if payload is not None else None,
                    decided_by=self.user_id,
                    decided_at=tx.now,
                )
            )
            event = ApprovalResolved(
                event_id=new_id("evt"),
                thread_id=row.thread_id,
                run_id=row.run_id,
                user_id=self.user_id,
                agent_name=row.agent,
                timestamp=rfc3339(SystemClock().now()),
                approval_id=approval_id,
                decision=decision,
                payload=payload,
                by=self.user_id,
            )
            tx.append(row.thread_id, [Entry(f"{approval_id}:resolved", event)])

        await self.log.transact(work)
        if signal:
            self.engine.signal(approval_id)

    async def row(self, run_id: str) -> Any:
        """A run's row."""
        async with self.database.read() as connection:
            return (await connection.execute(select(runs).where(runs.c.id == run_id))).one()

    async def ended_row(self, run_id: str, *, seconds: float = 20) -> Any:
        """A run's row, once the run has ended."""

        async def ended() -> Any:
            row = await self.row(run_id)
            return row if row.ended_at is not None else None

        return await until(ended, f"the end of {run_id}", seconds=seconds)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types of events, without the streamed text."""
    return [event["type"] for event in events if event["type"] != "text_delta"]


@asynccontextmanager
async def workbench(
    database_url: str,
    data_dir: Path,
    agents: Sequence[AgentSpec],
    *,
    start: bool = True,
    breakers: Breakers | None = None,
    **settings: Any,
) -> AsyncIterator[Workbench]:
    """Everything started; stopped afterwards."""
    prepare(database_url, data_dir)
    options = Settings(data_dir=data_dir, database_url=database_url, **{"drain_seconds": 0.0, **settings})
    database = RequestScopedSessionFactory(Database(database_url), strict=True)
    await database.start()
    clock = SystemClock()
    log = ThreadLog(database, Bus(), clock)
    engine = Engine(options, {spec.name: spec for spec in agents}, database, log, clock, breakers=breakers)
    try:
        if start:
            await engine.start()
        yield Workbench(options, database, log, engine)
    finally:
        await engine.stop()
        await database.stop()
