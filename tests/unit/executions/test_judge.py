"""Which executions should be ended, and why: the three signals of life and the deadline, on a clock of the test's."""

from __future__ import annotations

import asyncio

import pytest

from netra.executions import AgentExecutionTracker
from support.clock import ManualClock
from support.executions import LIMITS, begin, create

pytestmark = pytest.mark.spec("death.signals")


def verdicts(tracker: AgentExecutionTracker, now: float | None = None) -> list[tuple[str, str, str, str]]:
    return [(each.execution_id, each.status, each.state.value, each.signal) for each in tracker.judge(now)]


def pass_time(tracker: AgentExecutionTracker, clock: ManualClock, seconds: int) -> None:
    """With a heartbeat each second."""
    for _ in range(seconds):
        clock.advance(1)
        tracker.heartbeat("run_1")


def test_an_execution_that_beats_and_gets_on_is_left_alone(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    for _ in range(20):
        pass_time(tracker, clock, 50)
        tracker.progress("run_1")
        assert verdicts(tracker) == []


def test_silence_is_death(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    clock.advance(LIMITS.silent_seconds)
    assert verdicts(tracker) == []
    clock.advance(0.5)
    assert verdicts(tracker) == [("run_1", "died", "dead", "heartbeat")]
    (verdict,) = tracker.judge()
    assert (verdict.seconds, verdict.user_id, verdict.attempt) == (0.5, "usr_ada", 1)
    assert verdict.reason == "Nothing was heard of it for 10 seconds."
    assert tracker.get_active_executions()[0].active, "judging changes nothing"


def test_a_pending_execution_that_nobody_begins_dies_of_silence(
    tracker: AgentExecutionTracker, clock: ManualClock
) -> None:
    create(tracker)
    clock.advance(LIMITS.silent_seconds + 1)
    assert verdicts(tracker) == [("run_1", "died", "dead", "heartbeat")]


def test_beating_without_progress_is_stalling(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    pass_time(tracker, clock, 60)
    assert verdicts(tracker) == []
    pass_time(tracker, clock, 1)
    assert verdicts(tracker) == [("run_1", "stalled", "dead", "progress")]


@pytest.mark.parametrize("gets_on", ["progress", "transition"])
def test_progress_of_either_kind_ends_stalling(
    tracker: AgentExecutionTracker, clock: ManualClock, gets_on: str
) -> None:
    begin(tracker)
    pass_time(tracker, clock, 61)
    if gets_on == "progress":
        tracker.progress("run_1")
    else:
        tracker.transition("run_1", "working")
    assert verdicts(tracker) == []


def test_working_for_too_long_is_timing_out(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    create(tracker, timeout_seconds=5)
    clock.advance(8)  # waiting to begin is no work
    tracker.start_execution("run_1")
    pass_time(tracker, clock, 5)
    assert verdicts(tracker) == []
    pass_time(tracker, clock, 1)
    assert verdicts(tracker) == [("run_1", "timed_out", "timeout", "deadline")]


def test_nothing_but_the_heartbeat_counts_while_a_person_decides(
    tracker: AgentExecutionTracker, clock: ManualClock
) -> None:
    begin(tracker, timeout_seconds=5)
    tracker.pause("run_1")
    pass_time(tracker, clock, 500)
    assert verdicts(tracker) == []
    clock.advance(LIMITS.silent_seconds + 1)
    assert verdicts(tracker) == [("run_1", "died", "dead", "heartbeat")]
    tracker.resume("run_1")
    pass_time(tracker, clock, 5)
    assert verdicts(tracker) == []
    pass_time(tracker, clock, 1)
    assert verdicts(tracker) == [("run_1", "timed_out", "timeout", "deadline")]


def test_a_deadline_that_passed_before_the_question_waits_for_the_answer(
    tracker: AgentExecutionTracker, clock: ManualClock
) -> None:
    begin(tracker, timeout_seconds=5)
    pass_time(tracker, clock, 6)
    tracker.pause("run_1")
    assert verdicts(tracker) == []
    tracker.resume("run_1")
    assert verdicts(tracker) == [("run_1", "timed_out", "timeout", "deadline")]


def test_progress_counts_from_the_answer_on(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    tracker.pause("run_1")
    tracker.transition("run_1", "model")  # another step goes on meanwhile
    pass_time(tracker, clock, 500)
    tracker.resume("run_1")
    assert verdicts(tracker) == []
    pass_time(tracker, clock, 61)
    assert verdicts(tracker) == [("run_1", "stalled", "dead", "progress")]


async def test_a_task_that_is_gone_without_an_end_is_death_at_once(tracker: AgentExecutionTracker) -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    create(tracker)
    tracker.start_execution("run_1", alive=lambda: not task.done())
    assert verdicts(tracker) == []
    await task
    assert verdicts(tracker) == [("run_1", "died", "dead", "task")]
    assert await asyncio.to_thread(verdicts, tracker) == verdicts(tracker), "from another thread too"
    tracker.finish("run_1", "dead")
    assert verdicts(tracker) == []


def test_the_surest_signal_counts(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    create(tracker, timeout_seconds=5)
    tracker.start_execution("run_1")
    clock.advance(1000)
    assert verdicts(tracker) == [("run_1", "timed_out", "timeout", "deadline")]
    create(tracker, attempt=2, timeout_seconds=5)
    tracker.start_execution("run_1", alive=lambda: False)
    clock.advance(1000)
    assert verdicts(tracker) == [("run_1", "died", "dead", "task")]


def test_judging_can_be_asked_of_another_moment(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    assert verdicts(tracker, clock.monotonic() + 11) == [("run_1", "died", "dead", "heartbeat")]
    assert verdicts(tracker) == []


def test_an_execution_that_ends_while_its_task_is_asked_is_not_judged(tracker: AgentExecutionTracker) -> None:
    create(tracker)

    def ends() -> bool:
        tracker.finish("run_1", "failed")
        return False

    tracker.start_execution("run_1", alive=ends)
    assert verdicts(tracker) == []
