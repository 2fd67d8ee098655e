"""Repairs: what calls have missed is found by the sweep, and no run is ever worked on twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import update

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.engine.durable import Progress
from netra.engine.runs import Attempt
from netra.errors import Unavailable
from netra.storage.tables import runs
from support.engine import workbench
from support.waiting import until


async def answer(ctx: RunContext) -> str:
    return f"attempt {ctx.attempt}"


async def test_a_doubt_that_comes_up_during_a_repair_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("answer", answer)]) as bench:
        durable = bench.engine._durable
        launch, progress = durable.launch, durable.progress
        repairing, failed = asyncio.Event(), asyncio.Event()

        async def fail_once(run_id: str) -> None:
            await repairing.wait()
            monkeypatch.setattr(durable, "launch", launch)
            failed.set()
            raise ConnectionError("the engine's database was away for a moment")

        async def look_meanwhile(run_ids: Sequence[str]) -> dict[str, Progress]:
            monkeypatch.setattr(durable, "progress", progress)
            repairing.set()
            await failed.wait()
            await asyncio.sleep(0)  # the launch has noted its failure
            return await progress(run_ids)

        monkeypatch.setattr(durable, "launch", fail_once)
        monkeypatch.setattr(durable, "progress", look_meanwhile)
        thread, run_id = await bench.send(agent="answer")
        await until(lambda: run_id in bench.engine._claimed, "the claim")
        bench.engine._in_doubt = True
        assert (await bench.ended(thread, run_id))["status"] == "succeeded"


async def test_a_repair_does_not_begin_a_run_that_is_just_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database comes back: the run's own attempt waits for it, and so does the repair."""
    arrived, release = asyncio.Event(), asyncio.Event()

    async def waits(ctx: RunContext) -> str:
        arrived.set()
        await release.wait()
        return f"attempt {ctx.attempt}"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("waits", waits)]) as bench:
        thread, run_id = await bench.send(agent="waits")
        await arrived.wait()
        await bench.engine.stop()
        engine, begin = bench.engine, bench.engine._begin_again
        back, begun = asyncio.Event(), 0

        async def begin_when_back(which: str) -> Attempt | None:
            nonlocal begun
            begun += 1
            await back.wait()
            return await begin(which)

        monkeypatch.setattr(engine, "_begin_again", begin_when_back)
        await engine.start()
        await until(lambda: begun, "what begins again")
        await engine._repair(fresh=False)
        await asyncio.sleep(1.5)  # in which DBOS would begin what was resumed: nothing must happen
        back.set()
        release.set()
        assert (await bench.ended(thread, run_id))["final_response"] == "attempt 2"
        assert begun == 1
        assert (await bench.row(run_id)).attempt == 2


async def test_a_stop_counts_no_death_for_a_run_that_was_claimed_and_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("answer", answer)]) as bench:
        with monkeypatch.context() as hanging:
            launching = asyncio.Event()

            async def hang(run_id: str) -> None:
                launching.set()
                await asyncio.Event().wait()

            hanging.setattr(bench.engine._durable, "launch", hang)
            thread, run_id = await bench.send(agent="answer")
            await launching.wait()
            await bench.engine.stop()
        assert not bench.engine._claimed
        assert (await bench.row(run_id)).deaths == -1, "its next beginning brings it to none"
        await bench.engine.start()
        assert (await bench.ended(thread, run_id))["final_response"] == "attempt 2"
        assert (await bench.row(run_id)).deaths == 0


async def test_a_drain_does_not_wait_for_a_launch_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("answer", answer)]) as bench:
        launching, fail = asyncio.Event(), asyncio.Event()

        async def fails(run_id: str) -> None:
            launching.set()
            await fail.wait()
            raise ConnectionError("away")

        monkeypatch.setattr(bench.engine._durable, "launch", fails)
        await bench.send(agent="answer")
        await launching.wait()
        drain = asyncio.create_task(bench.engine.drain(30))
        await asyncio.sleep(0.05)  # it drains: what it waits for is the launch
        fail.set()
        await asyncio.wait_for(drain, 5)


async def test_an_engine_that_cannot_start_leaves_nothing_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("answer", answer)], start=False) as bench:

        async def fails(*, fresh: bool) -> None:
            raise Unavailable("The database cannot be reached.")

        monkeypatch.setattr(bench.engine, "_repair", fails)
        with pytest.raises(Unavailable):
            await bench.engine.start()
        async with workbench(url, tmp_path, [AgentSpec("answer", answer)]) as other:
            assert (await other.ask("answer"))[0]["status"] == "succeeded"


async def test_an_engine_that_starts_again_has_threads_for_tools_again(tmp_path: Path) -> None:
    async def threaded(ctx: RunContext) -> str:
        return str(await ctx.tool(lambda: "from a thread"))

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("threaded", threaded)]) as bench:
        assert (await bench.ask("threaded"))[0]["final_response"] == "from a thread"
        await bench.engine.stop()
        await bench.engine.start()
        assert (await bench.ask("threaded"))[0]["final_response"] == "from a thread"


async def test_a_run_that_cannot_be_ended_keeps_neither_the_engine_nor_other_runs(tmp_path: Path) -> None:
    """The ends of two runs were lost, and the row of one of them is damaged."""
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("answer", answer)]) as bench:
        damaged, whole = [await bench.send(agent="answer") for _ in range(2)]
        for thread, run_id in (damaged, whole):
            await bench.ended(thread, run_id)
        await bench.engine.stop()
        lost = update(runs).values(state="running", ended_at=None)
        await bench.log.transact(lambda tx: tx.connection.execute(lost).rowcount)
        broken = update(runs).where(runs.c.id == damaged[1]).values(started_at="not a time")
        await bench.log.transact(lambda tx: tx.connection.execute(broken).rowcount)
        await bench.engine.start()
        assert (await bench.row(whole[1])).state == "died"
        assert (await bench.row(damaged[1])).state == "running"
        assert (await bench.ask("answer"))[0]["status"] == "succeeded"
