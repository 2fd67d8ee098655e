"""The detector carries out what the tracker judges, one run's trouble notwithstanding."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netra.config import Settings
from netra.engine.detector import Detector
from netra.engine.runs import Attempt
from netra.identity.scope import Scope
from support.clock import ManualClock
from support.executions import empty_tracker


def attempt_at(run_id: str) -> Attempt:
    scope = Scope("usr_ada", frozenset({"user"}))
    return Attempt(run_id, f"thr_{run_id}", scope, "echo", number=1, message=b"", message_seq=1)


@pytest.mark.spec("death.signals")
async def test_a_run_that_cannot_be_ended_keeps_no_other_from_its_end(tmp_path: Path) -> None:
    clock, ended = ManualClock(), asyncio.Event()
    told: list[tuple[str, str]] = []

    async def end(run_id: str, status: str, reason: str) -> None:
        if run_id == "run_damaged":
            raise TypeError("its row is damaged")
        told.append((run_id, status))
        ended.set()

    async def each_time() -> None:
        pass

    with empty_tracker(clock) as tracker:
        detector = Detector(
            Settings(data_dir=tmp_path),
            tracker,
            clock,
            active={},
            is_coming=lambda run_id: False,
            lost=end,
            each_time=each_time,
        )
        for run_id in ("run_damaged", "run_whole"):
            detector.track(attempt_at(run_id))
            detector.tracked(run_id).starting(lambda: False)  # the task that worked on it is gone
        detector.start()
        try:
            async with asyncio.timeout(10):
                await ended.wait()
        finally:
            await detector.stop()
    assert told[0] == ("run_whole", "died")
