"""Repairs: what calls have missed is found by the sweep, and no run is ever worked on twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.engine.durable import Progress
from support.engine import workbench


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
        while run_id not in bench.engine._claimed:
            await asyncio.sleep(0.01)
        bench.engine._in_doubt = True
        assert (await bench.ended(thread, run_id))["status"] == "succeeded"
