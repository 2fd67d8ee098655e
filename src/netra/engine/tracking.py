"""What the tracker of executions is told of one attempt at a run.

The row in `runs` is the truth and moves first; the tracker is the live view. What it refuses therefore never breaks a
run: it is logged as an error, because view and row should not disagree, and the run goes on. Progress is noted here
and told once a second (`Tracked.beat`), so that a streamed word costs an assignment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from netra.events import RunStatus
from netra.executions import AgentExecutionTracker, Phase, state_of_run

from .runs import Attempt

log = structlog.get_logger(__name__)


class Tracked:
    """See the module. Made when the attempt is claimed, which is when the tracker hears of it.

    Args:
        seconds: how long the attempt may work.
    """

    __slots__ = ("_attempt", "_closed", "_steps", "_tracker", "progressed")

    def __init__(self, tracker: AgentExecutionTracker, attempt: Attempt, seconds: float) -> None:
        self._tracker = tracker
        self._attempt = attempt
        self._steps = 0
        self._closed = False
        self.progressed = False
        """Set by whatever the agent does; `beat` tells it."""
        with self._told("create"):
            tracker.create_execution(
                execution_id=attempt.run_id,
                agent_name=attempt.agent,
                user_id=attempt.scope.user_id,
                thread_id=attempt.thread_id,
                timeout_seconds=seconds,
                attempt=attempt.number,
            )

    @property
    def number(self) -> int:
        """Which attempt it is."""
        return self._attempt.number

    def starting(self, alive: Callable[[], bool]) -> None:
        """The work begins; `alive` says whether the task that does it is there."""
        with self._told("start"):
            self._tracker.start_execution(self._attempt.run_id, alive=alive)

    def working(self) -> None:
        """The agent's own code runs."""
        self._move(Phase.WORKING, None)

    @contextmanager
    def step(self, phase: Phase, name: str) -> Iterator[None]:
        """A tool or a model works; steps may overlap."""
        self._steps += 1
        self._move(phase, name)
        try:
            yield
        finally:
            self._steps -= 1
            if self._steps == 0:
                self._move(Phase.WORKING, None)

    def waiting(self, waits: bool) -> None:
        """A person is to decide, or has decided."""
        if not self._closed:
            with self._told("wait"):
                (self._tracker.pause if waits else self._tracker.resume)(self._attempt.run_id)

    def progress(self, note: str | None) -> None:
        """The agent says that it gets on."""
        self.progressed = True
        if note is not None and not self._closed:
            with self._told("progress"):
                self._tracker.progress(self._attempt.run_id, note)

    def beat(self, *, excused: bool = False) -> None:
        """The engine still works on it; called every second.

        Args:
            excused: the server itself stood still, which is no fault of the run: counts as progress.
        """
        if self._closed:
            return
        with self._told("beat"):
            if self.progressed or excused:
                self.progressed = False
                self._tracker.progress(self._attempt.run_id)
            else:
                self._tracker.heartbeat(self._attempt.run_id)

    def finalising(self) -> None:
        """The end is being stored. What the agent's tasks still do while they stop is not told any more."""
        self._move(Phase.FINALISING, None)
        self._closed = True

    def ended(self, status: RunStatus, error: str | None = None) -> None:
        """The run has ended: the row says so."""
        self._closed = True
        with self._told("finish"):
            self._tracker.finish(self._attempt.run_id, state_of_run(status), error, attempt=self._attempt.number)

    def left(self) -> None:
        """The attempt is over without an end here."""
        self._closed = True
        with self._told("leave"):
            self._tracker.leave(self._attempt.run_id, attempt=self._attempt.number)

    def _move(self, phase: Phase, note: str | None) -> None:
        if not self._closed:
            with self._told(phase.value):
                self._tracker.transition(self._attempt.run_id, phase, note)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:  # the view must not break what it shows
            log.exception("tracker_disagrees", run_id=self._attempt.run_id, attempt=self._attempt.number, move=what)
