"""The process's tracker of executions as a test wants it: empty, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netra.clock import Clock
from netra.executions import (
    AgentExecutionTracker,
    Phase,
    TrackerLimits,
    configure_execution_tracker,
    get_execution_tracker,
)

from .waiting import until

LIMITS = TrackerLimits(silent_seconds=10, stalled_seconds=60, kept=5, kept_seconds=100)


@contextmanager
def empty_tracker(clock: Clock | None = None, limits: TrackerLimits | None = None) -> Iterator[AgentExecutionTracker]:
    """The process's tracker without executions; left as a fresh process has it."""
    tracker = configure_execution_tracker(limits=limits, clock=clock)
    _forget_all(tracker)
    try:
        yield tracker
    finally:
        _forget_all(tracker)
        configure_execution_tracker()


async def until_phase(run_id: str, phase: Phase) -> None:
    """Return when the process's tracker has an execution in a phase."""

    def there() -> bool:
        found = get_execution_tracker().get_execution(run_id)
        return found is not None and found.phase is phase

    await until(there, f"{run_id} in the phase {phase.value}")


def _forget_all(tracker: AgentExecutionTracker) -> None:
    for record in tracker.get_active_executions() + tracker.get_ended_executions():
        tracker.cleanup_user_data(record.user_id)


def begin(tracker: AgentExecutionTracker, execution_id: str = "run_1", user_id: str = "usr_ada", **more: object) -> str:
    """An execution that is running, in the phase `working`."""
    create(tracker, execution_id, user_id, **more)
    tracker.start_execution(execution_id)
    tracker.transition(execution_id, "working")
    return execution_id


def create(
    tracker: AgentExecutionTracker, execution_id: str = "run_1", user_id: str = "usr_ada", **more: object
) -> str:
    """An execution that is pending."""
    given = {"agent_name": "echo", "thread_id": f"thr_{user_id}", **more}
    return tracker.create_execution(execution_id=execution_id, user_id=user_id, **given)  # type: ignore[arg-type]


def complete(tracker: AgentExecutionTracker, execution_id: str) -> None:
    """The end of a running execution that went well."""
    tracker.transition(execution_id, "finalising")
    tracker.finish(execution_id, "completed")
