"""Watches how late the event loop is. A loop that is late is late for every user."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback

import structlog

from .metrics import metrics

log = structlog.get_logger(__name__)

INTERVAL = 0.1
BLOCKED = 0.25
"""Seconds after which a blocked loop is reported, with the stack that blocks it."""


class LoopMonitor:
    """Measures the loop from within and catches what blocks it from a thread beside it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._beat = 0.0
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    async def start(self) -> None:
        """Begin to watch the running loop."""
        self._stopping.clear()
        self._beat = time.monotonic()
        self._task = asyncio.create_task(self._measure())
        self._watcher = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="netra-loop-monitor", daemon=True
        )
        self._watcher.start()

    async def stop(self) -> None:
        """End both."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _measure(self) -> None:
        while True:
            asked = time.monotonic()
            await asyncio.sleep(INTERVAL)
            self._beat = time.monotonic()
            metrics.loop_lag_seconds.observe(max(0.0, self._beat - asked - INTERVAL))

    def _watch(self, loop_thread: int) -> None:
        reported = 0.0
        while not self._stopping.wait(BLOCKED / 2):
            beat = self._beat
            if time.monotonic() - beat > INTERVAL + BLOCKED and beat != reported:
                reported = beat
                frame = sys._current_frames().get(loop_thread)
                stack = traceback.format_stack(frame, limit=8) if frame is not None else []
                log.warning("event loop blocked", stack="".join(stack))
