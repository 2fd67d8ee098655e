"""`Watch` on an engine's database, with a clock that the test moves: whom it ends, and what stands in its way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import update

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.clock import SystemClock
from netra.engine.watch import GRACE_SECONDS, LOOK_SECONDS, Watch
from netra.log import Bus, ThreadLog
from netra.storage.tables import runs
from support.clock import ManualClock
from support.engine import Workbench, workbench


async def waits(ctx: RunContext) -> None:
    """Until it is cancelled."""
    await asyncio.Event().wait()


class Beside:
    """A watch on a workbench's database."""

    def __init__(self, bench: Workbench) -> None:
        self.told: list[str] = []
        self.clock = ManualClock()
        log = ThreadLog(bench.database, Bus(), SystemClock())
        self.watch = Watch(bench.settings, bench.database, log, self.clock, told=self.told.append)

    async def look_for(self, seconds: float) -> list[tuple[str, str]]:
        """Look as often as it would in so many seconds; which runs it has ended, and how."""
        ended: list[tuple[str, str]] = []
        for _ in range(round(seconds / LOOK_SECONDS) + 1):
            ended += [(each.run_id, each.status) for each in await self.watch.look()]
            self.clock.advance(LOOK_SECONDS)
        return ended


@pytest.mark.spec("death.other-process")
async def test_a_run_that_its_server_does_not_stop_in_time_is_ended_after_a_grace(tmp_path: Path) -> None:
    url, specs = f"sqlite:///{tmp_path / 'n.db'}", [AgentSpec("waits", waits)]
    async with workbench(url, tmp_path, specs, run_orphan_seconds=1000.0) as bench:
        (thread, late), (_, early) = [await bench.send(agent="waits") for _ in range(2)]
        await bench.until(thread, lambda event: event["type"] == "agent_started")
        await bench.engine.stop()  # or it would write down what the run has really taken
        beside = Beside(bench)
        used = update(runs).where(runs.c.id == late).values(worked_ms=bench.settings.run_seconds * 1000)
        await bench.log.transact(lambda tx: tx.connection.execute(used).rowcount)
        assert await beside.look_for(GRACE_SECONDS - 2 * LOOK_SECONDS) == []
        assert await beside.look_for(3 * LOOK_SECONDS) == [(late, "timed_out")]
        assert (await bench.row(late)).state == "timed_out"
        assert (await bench.row(early)).state == "running"


@pytest.mark.spec("death.other-process")
async def test_a_run_that_cannot_be_ended_keeps_the_watch_from_no_other(tmp_path: Path) -> None:
    url, specs = f"sqlite:///{tmp_path / 'n.db'}", [AgentSpec("waits", waits)]
    async with workbench(url, tmp_path, specs, run_orphan_seconds=10.0) as bench:
        sent = [await bench.send(agent="waits") for _ in range(2)]
        for thread, _ in sent:
            await bench.until(thread, lambda event: event["type"] == "agent_started")
        (_, damaged), (_, whole) = sent
        await bench.engine.stop()
        broken = update(runs).where(runs.c.id == damaged).values(started_at="not a time")
        await bench.log.transact(lambda tx: tx.connection.execute(broken).rowcount)
        beside = Beside(bench)
        assert await beside.look_for(15) == [(whole, "died")]
        assert [line for line in beside.told if damaged in line] == [
            f"{damaged} cannot be ended: TypeError. It is tried again."
        ]
