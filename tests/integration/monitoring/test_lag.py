"""A blocked event loop names what blocks it: once for each block, by places in code and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.monitoring import logs
from netra.monitoring.lag import BLOCKED, INTERVAL, MOST_FRAMES, PLACE_CHARS, LoopMonitor
from support.engine import workbench

MONITOR = "netra.monitoring.lag"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged, one JSON object in each line."""
    stream = io.StringIO()
    logs.configure(format="json", stream=stream)
    yield stream
    logs.configure()


def reports(written: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line.get("logger") == MONITOR]


def deep(levels: int, seconds: float, password: str) -> None:
    """Blocks far below whoever calls it."""
    if levels:
        deep(levels - 1, seconds, password)
    else:
        assert password == "hunter-two" and time.sleep(seconds) is None, "a line of source may hold a secret"


async def test_an_agent_that_blocks_the_loop_is_named_once_for_each_block(written: io.StringIO, tmp_path: Path) -> None:
    async def blocking(ctx: RunContext) -> str:
        deep(2, 4 * BLOCKED, "hunter-two")
        await asyncio.sleep(3 * INTERVAL)
        deep(300, 4 * BLOCKED, "hunter-two")
        return "done"

    monitor = LoopMonitor()
    await monitor.start()
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("blocking", blocking)]) as bench:
        end, _ = await bench.ask("blocking")
    await monitor.stop()
    mine = [each for each in reports(written) if each["task"] == f"agent {end['run_id']}"]
    assert len(mine) == 2, reports(written)
    for report in mine:
        assert report["level"] == "warning"
        assert report["where"].startswith("test_lag.py:")
        assert report["seconds"] >= BLOCKED
        assert 1 < len(report["stack"].split(" > ")) <= MOST_FRAMES
        assert all(len(place) <= PLACE_CHARS for place in report["stack"].split(" > "))
        assert report["stack"].split(" > ")[-1].endswith(" deep")
    assert any(place.endswith(" blocking") for place in mine[0]["stack"].split(" > "))
    assert "hunter" not in written.getvalue()


async def test_a_monitor_that_was_stopped_says_nothing_and_can_be_started_again(written: io.StringIO) -> None:
    monitor = LoopMonitor()
    await monitor.start()
    await monitor.stop()
    await monitor.stop()
    time.sleep(3 * BLOCKED)  # nobody looks
    assert reports(written) == []
    await monitor.start()
    time.sleep(3 * BLOCKED)
    await monitor.stop()
    (report,) = reports(written)
    assert report["where"].startswith("test_lag.py:")
