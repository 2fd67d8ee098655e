"""Watches how late the event loop is, and says what blocks it. A loop that is late is late for every user.

What is logged of a block are places in code and the name of the task: neither values nor lines of source, which may
hold secrets.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import structlog

from .metrics import metrics

log = structlog.get_logger(__name__)

INTERVAL = 0.1
BLOCKED = 0.25
"""Seconds after which a blocked loop is reported, once, with the stack that blocks it."""
MOST_FRAMES = 16
PLACE_CHARS = 200


class LoopMonitor:
    """Measures the loop from within and catches what blocks it from a thread beside it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._beat = 0.0
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to watch the running loop."""
        stopping = self._stopping = threading.Event()
        self._beat = time.monotonic()
        self._task = asyncio.create_task(self._measure(), name="loop monitor")
        self._watcher = threading.Thread(
            target=self._watch,
            args=(stopping, asyncio.get_running_loop(), threading.get_ident()),
            name="netra-loop-monitor",
            daemon=True,
        )
        self._watcher.start()

    async def stop(self) -> None:
        """End both. Safe to call twice."""
        self._stopping.set()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _measure(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(INTERVAL)
            self._beat = time.monotonic()
            metrics.loop_lag_seconds.observe(max(0.0, self._beat - asked - INTERVAL))

    def _watch(self, stopping: threading.Event, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        reported = 0.0
        while not stopping.wait(BLOCKED / 2):
            beat = self._beat
            late = time.monotonic() - beat - INTERVAL
            if late > BLOCKED and beat != reported:
                reported = beat
                self._report(loop, sys._current_frames().get(thread), late)

    @staticmethod
    def _report(loop: asyncio.AbstractEventLoop, frame: FrameType | None, late: float) -> None:
        try:
            task = asyncio.current_task(loop)
        except RuntimeError:  # the set of tasks changed while it was looked at
            task = None
        log.warning(
            "event loop blocked",
            seconds=round(late, 2),
            where=culprit(frame),
            task=None if task is None else task.get_name()[:PLACE_CHARS],
            stack=" > ".join(_places(frame)),  # one text: structlog's renderer for terminals takes no list
        )


def culprit(frame: FrameType | None) -> str:
    """The line to look at first: the innermost one that is neither of the standard library, a package, nor of Netra."""
    elsewhere = (Path(asyncio.__file__).parents[1], Path(__file__).parents[1])
    first = frame
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "site-packages" not in path.parts and not any(path.is_relative_to(each) for each in elsewhere):
            break
        frame = frame.f_back
    found = frame or first
    return "an unknown line" if found is None else f"{Path(found.f_code.co_filename).name}:{found.f_lineno}"


def _places(frame: FrameType | None) -> list[str]:
    """The innermost frames of a stack, the outer ones first."""
    found: list[str] = []
    while frame is not None and len(found) < MOST_FRAMES:
        found.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"[-PLACE_CHARS:])
        frame = frame.f_back
    return found[::-1]
