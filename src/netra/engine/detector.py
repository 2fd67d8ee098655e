"""Sees to it that no run of this process is forgotten: vouches for those that are worked on, ends those that are not.

Every second it tells the tracker which runs the engine works on and which of them got on, asks for verdicts, and
carries them out. Beside it a watchdog takes the event loop back from an agent that holds it. What happens when the
process itself dies or freezes is for `netra.engine.watch`, in another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from netra.clock import Clock
from netra.config import Settings
from netra.errors import Unavailable
from netra.events import RunStatus
from netra.executions import AgentExecutionTracker, Verdict

from .execution import Execution
from .runs import Attempt
from .time_limit import seconds_left
from .tracking import Tracked
from .watchdog import LoopWatchdog

log = structlog.get_logger(__name__)

WATCH_SECONDS = 1.0
EXCUSED_SECONDS = 5.0
"""A look that comes later than this tells that the server itself stood still."""


class Detector:
    """See the module.

    Args:
        settings: the bounds.
        tracker: told of every run, and asked for verdicts.
        clock: the time.
        active: the executions of this process, by run.
        is_coming: whether a run that is not among them is about to be.
        lost: ends a run that is tracked while nobody works on it.
        each_time: called at every look.
    """

    def __init__(
        self,
        settings: Settings,
        tracker: AgentExecutionTracker,
        clock: Clock,
        *,
        active: dict[str, Execution],
        is_coming: Callable[[str], bool],
        lost: Callable[[str, RunStatus, str], Awaitable[None]],
        each_time: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._tracker = tracker
        self._clock = clock
        self._active = active
        self._is_coming = is_coming
        self._lost = lost
        self._each_time = each_time
        self._tracked: dict[str, Tracked] = {}
        self._condemned: set[str] = set()
        self._watchdog = LoopWatchdog(settings.loop_stall_seconds, self._held_loop)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look. Safe to call twice."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="engine detector")
            self._watchdog.start()

    async def stop(self) -> None:
        """Look no more. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            self._watchdog.stop()
            task.cancel()
            await asyncio.wait([task])

    @property
    def watches(self) -> bool:
        """Whether there is any run to look after."""
        return bool(self._tracked)

    def track(self, attempt: Attempt) -> None:
        """Look after an attempt from now on."""
        self._tracked[attempt.run_id] = Tracked(self._tracker, attempt, seconds_left(self._settings, attempt))

    def tracked(self, run_id: str) -> Tracked:
        """What is told of a run."""
        return self._tracked[run_id]

    def let_go(self, run_id: str, status: RunStatus | None = None, error: str | None = None) -> None:
        """Look after a run no more: it has ended like this, or goes on elsewhere or later. Safe to call twice."""
        self._condemned.discard(run_id)
        tracked = self._tracked.pop(run_id, None)
        if tracked is None:
            return
        if status is None:
            tracked.left()
        else:
            tracked.ended(status, error)

    async def _watch(self) -> None:
        last = self._clock.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = self._clock.monotonic()
            excused = now - last > WATCH_SECONDS + EXCUSED_SECONDS
            last = now
            try:
                for tracked in tuple(self._tracked.values()):
                    tracked.beat(excused=excused)
                await self._carry_out(self._tracker.judge())
                await self._each_time()
            except Unavailable:
                pass  # they are judged again
            except Exception:  # the detector must outlive anything, and say so
                log.exception("detector_failed")

    async def _carry_out(self, verdicts: Sequence[Verdict]) -> None:
        lost: list[Verdict] = []
        for verdict in verdicts:
            run_id = verdict.execution_id
            tracked = self._tracked.get(run_id)
            if tracked is None or tracked.number != verdict.attempt:
                continue  # another engine's of this process, or over since
            if run_id not in self._condemned:
                self._condemned.add(run_id)
                log.warning("run_condemned", run_id=run_id, status=verdict.status, reason=verdict.reason)
            execution = self._active.get(run_id)
            if execution is not None:
                execution.condemn(verdict.status, verdict.reason)
            elif not self._is_coming(run_id):
                lost.append(verdict)
        for verdict in lost:
            await self._end_lost(verdict)

    async def _end_lost(self, verdict: Verdict) -> None:
        try:
            await self._lost(verdict.execution_id, verdict.status, verdict.reason)
        except Unavailable:
            raise  # it is judged again, and so are the others
        except Exception:  # others must not stay without an end because of this one
            log.exception("lost_run_not_ended", run_id=verdict.execution_id)

    def _held_loop(self, run_id: str, where: str) -> None:
        execution = self._active.get(run_id)
        if execution is not None:
            execution.held_loop(where)
