"""Ended runs are forgotten one day; the conversation, its history and what makes a message idempotent are not."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, insert, select, update

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.clock import SystemClock
from netra.engine.retention import BATCH, forget_runs, forget_workers
from netra.log import Transaction
from netra.storage.tables import approvals, messages, micros, runs, workers
from support.engine import Workbench, workbench

DAY = 86_400_000_000


async def remembering(ctx: RunContext) -> str:
    if ctx.message.content == "ask":
        await ctx.ask_approval("Really?", expires_in=0.01)
    return f"{ctx.message.content} after " + ",".join(f"{turn.question}={turn.answer}" for turn in ctx.history)


async def count(bench: Workbench, table: object) -> int:
    async with bench.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())  # type: ignore[arg-type]


async def age(bench: Workbench, days: float) -> None:
    """Let everything that has ended have ended so long ago."""
    await bench.log.transact(
        lambda tx: tx.connection.execute(
            update(runs).where(runs.c.ended_at.is_not(None)).values(ended_at=tx.now - round(days * DAY))
        )
    )


async def test_ended_runs_go_and_the_conversation_goes_on(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [AgentSpec("a", remembering)], run_retention_days=30) as bench:
        thread, first = await bench.send("ask", agent="a")
        await bench.ended(thread, first)
        await age(bench, 29)
        await bench.engine.tidy()
        assert await count(bench, runs) == 1, "too early"
        await age(bench, 31)
        _, recent = await bench.send("recent", agent="a", thread=thread)
        await bench.ended(thread, recent)
        before = await bench.events(thread)
        await bench.engine.tidy()
        assert await count(bench, runs) == 1
        assert await count(bench, approvals) == 0
        assert await count(bench, messages) == 2, "a message sent again is known still"
        assert await bench.events(thread) == before
        _, last = await bench.send("last", agent="a", thread=thread)
        end = await bench.ended(thread, last)
        assert end["final_response"] == "last after ask=ask after ,recent=recent after ask=ask after "


async def test_open_runs_and_the_workers_they_name_stay_however_old(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [], start=False) as bench:
        thread = await bench.thread()
        old = [await bench.send(agent="a", thread=thread, wake=False) for _ in range(BATCH + 3)]
        _, open_ = await bench.send(agent="a", thread=thread, wake=False)

        def prepare(tx: Transaction) -> None:
            connection, now = tx.connection, tx.now
            for name in ("named", "gone"):
                connection.execute(
                    insert(workers).values(
                        id=name, host="h", pid=1, version="0", started_at=now - 99 * DAY, seen_at=now - 98 * DAY
                    )
                )
            ended = runs.c.id.in_([run_id for _, run_id in old])
            connection.execute(update(runs).where(ended).values(state="failed", ended_at=now - 90 * DAY))
            connection.execute(
                update(runs).where(runs.c.id == open_).values(worker_id="named", created_at=now - 99 * DAY)
            )

        await bench.log.transact(prepare)
        before = micros(SystemClock().now()) - 30 * DAY
        assert await bench.log.transact(lambda tx: forget_runs(tx, before)) == BATCH, "in batches: others wait"
        assert await bench.log.transact(lambda tx: forget_runs(tx, before)) == 3
        assert await bench.log.transact(lambda tx: forget_runs(tx, before)) == 0
        assert await bench.log.transact(lambda tx: forget_workers(tx, before)) == 1
        assert (await bench.row(open_)).worker_id == "named"
        assert await count(bench, runs) == 1
        assert await count(bench, workers) == 1
