"""A tracker with a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netra.executions import AgentExecutionTracker
from support.clock import ManualClock
from support.executions import LIMITS, empty_tracker


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tracker(clock: ManualClock) -> Iterator[AgentExecutionTracker]:
    with empty_tracker(clock, LIMITS) as tracker:
        yield tracker
