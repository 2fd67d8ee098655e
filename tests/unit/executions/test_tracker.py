"""What the tracker keeps of executions: attempts, time, history, and nothing for ever."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

import pytest

from netra.errors import Conflict, IllegalTransition, NotFound
from netra.executions import AgentExecutionTracker, ExecutionRecord, Phase
from support.clock import ManualClock
from support.executions import LIMITS, begin, complete, create


def record_of(tracker: AgentExecutionTracker, execution_id: str = "run_1") -> ExecutionRecord:
    record = tracker.get_execution(execution_id)
    assert record is not None
    return record


@pytest.mark.spec("tracker.history")
def test_what_an_execution_went_through_can_be_read_after_its_end(
    tracker: AgentExecutionTracker, clock: ManualClock
) -> None:
    born = clock.now()
    create(tracker, agent_name="optimizer", thread_id="thr_1", timeout_seconds=90, metadata={"worker": "one"})
    for move in (
        lambda: tracker.start_execution("run_1"),
        lambda: tracker.transition("run_1", "working"),
        lambda: tracker.transition("run_1", Phase.TOOL, "reading usage.csv"),
        lambda: tracker.progress("run_1", "half of it"),
        lambda: tracker.transition("run_1", Phase.FINALISING),
        lambda: tracker.finish("run_1", "completed"),
    ):
        clock.advance(2)
        move()
    record = record_of(tracker)
    assert [(step.phase.value, step.state.value, (step.at - born).seconds, step.note) for step in record.steps] == [
        ("created", "pending", 0, None),
        ("preparing", "starting", 2, None),
        ("working", "running", 4, None),
        ("tool", "running", 6, "reading usage.csv"),
        ("tool", "running", 8, "half of it"),
        ("finalising", "completing", 10, None),
        ("ended", "completed", 12, None),
    ]
    assert (record.agent_name, record.user_id, record.thread_id) == ("optimizer", "usr_ada", "thr_1")
    assert (record.created_at, record.started_at) == (born, born + timedelta(seconds=2))
    assert record.ended_at == born + timedelta(seconds=12)
    assert (record.worked_seconds, record.timeout_seconds, record.metadata) == (10, 90, {"worker": "one"})
    assert (record.heartbeat_age, record.progress_age) == (None, None)


def test_a_record_is_of_its_moment_and_changes_nothing(tracker: AgentExecutionTracker) -> None:
    metadata = {"worker": "one"}
    begin(tracker, metadata=metadata)
    metadata["worker"] = "another"
    record = record_of(tracker)
    tracker.transition("run_1", "model")
    assert record.phase is Phase.WORKING
    assert record.metadata["worker"] == "one"
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.phase = Phase.TOOL  # type: ignore[misc]
    with pytest.raises(TypeError):
        record.metadata["worker"] = "mine"  # type: ignore[index]


@pytest.mark.spec("tracker.heartbeats-and-progress")
def test_heartbeats_and_progress_have_their_ages(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    create(tracker)
    clock.advance(3)
    assert (record_of(tracker).heartbeat_age, record_of(tracker).progress_age) == (3, None)
    tracker.start_execution("run_1")
    clock.advance(4)
    tracker.heartbeat("run_1")
    clock.advance(1)
    assert (record_of(tracker).heartbeat_age, record_of(tracker).progress_age) == (1, 5)
    assert record_of(tracker).last_heartbeat_at == clock.now() - timedelta(seconds=1)
    tracker.progress("run_1")
    assert (record_of(tracker).heartbeat_age, record_of(tracker).progress_age) == (0, 0)
    assert record_of(tracker).last_progress_at == clock.now()


@pytest.mark.spec("tracker.heartbeats-and-progress")
def test_the_time_a_person_takes_does_not_count(tracker: AgentExecutionTracker, clock: ManualClock) -> None:
    begin(tracker)
    tracker.transition("run_1", "tool")
    clock.advance(2)
    tracker.pause("run_1")
    tracker.pause("run_1")  # two questions at once
    clock.advance(1000)
    waiting = record_of(tracker)
    assert (waiting.phase, waiting.paused, waiting.worked_seconds) == (Phase.WAITING, True, 2)
    assert waiting.progress_age is None
    tracker.resume("run_1")
    clock.advance(1000)
    assert record_of(tracker).worked_seconds == 2
    tracker.resume("run_1")
    clock.advance(3)
    back = record_of(tracker)
    assert (back.phase, back.paused, back.worked_seconds, back.progress_age) == (Phase.TOOL, False, 5, 3)
    with pytest.raises(IllegalTransition):
        tracker.resume("run_1")


def test_other_steps_go_on_while_one_waits(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    tracker.pause("run_1")
    tracker.transition("run_1", "model")
    assert record_of(tracker).paused
    tracker.resume("run_1")
    assert (record_of(tracker).phase, record_of(tracker).paused) == (Phase.MODEL, False)


def test_a_later_attempt_takes_the_place_of_an_earlier_one(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    with pytest.raises(Conflict, match="attempt 1"):
        create(tracker)
    create(tracker, attempt=2)
    assert (record_of(tracker).attempt, record_of(tracker).phase) == (2, Phase.CREATED)
    with pytest.raises(Conflict):
        create(tracker, attempt=1)
    assert len(tracker.get_active_executions()) == 1


def test_what_an_earlier_attempt_says_of_the_end_does_not_touch_the_later_one(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    create(tracker, attempt=2)
    assert not tracker.finish("run_1", "failed", attempt=1)
    assert not tracker.leave("run_1", attempt=1)
    assert record_of(tracker).active
    assert tracker.finish("run_1", "failed", attempt=2)


def test_an_execution_that_ended_does_not_begin_again(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    tracker.finish("run_1", "cancelled")
    with pytest.raises(IllegalTransition, match="cancelled"):
        create(tracker, attempt=2)
    assert not tracker.leave("run_1")


def test_another_users_execution_cannot_be_taken_over(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    with pytest.raises(Conflict, match="another user"):
        create(tracker, user_id="usr_bob", attempt=2)
    assert record_of(tracker).user_id == "usr_ada"


def test_an_execution_that_is_left_to_another_process_is_gone_without_an_end(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    assert tracker.leave("run_1")
    assert tracker.get_execution("run_1") is None
    assert tracker.get_ended_executions() == []
    create(tracker, attempt=2)


@pytest.mark.spec("rules.no-invented-values")
def test_an_unknown_execution_is_none_to_read_and_an_error_to_write(tracker: AgentExecutionTracker) -> None:
    assert tracker.get_execution("run_9") is None
    for write in (tracker.start_execution, tracker.heartbeat, tracker.progress, tracker.pause, tracker.resume):
        with pytest.raises(NotFound, match="run_9"):
            write("run_9")
    with pytest.raises(NotFound):
        tracker.transition("run_9", "working")
    with pytest.raises(NotFound):
        tracker.finish("run_9", "failed")
    with pytest.raises(NotFound):
        tracker.leave("run_9")


@pytest.mark.parametrize(
    "wrong",
    [
        {"execution_id": " "},
        {"user_id": ""},
        {"user_id": None},
        {"agent_name": "\t"},
        {"thread_id": ""},
        {"attempt": 0},
        {"timeout_seconds": -1.0},
        {"timeout_seconds": float("nan")},
    ],
)
def test_what_cannot_be_an_execution_is_refused(tracker: AgentExecutionTracker, wrong: dict[str, object]) -> None:
    good = {"execution_id": "run_1", "user_id": "usr_ada", "agent_name": "echo", "thread_id": "thr_1"}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tracker.create_execution(**{**good, **wrong})  # type: ignore[arg-type]
    assert tracker.get_active_executions() == []


@pytest.mark.spec("executions.retention")
def test_ended_executions_are_kept_up_to_a_number(tracker: AgentExecutionTracker) -> None:
    for number in range(LIMITS.kept + 3):
        begin(tracker, f"run_{number}")
        complete(tracker, f"run_{number}")
    kept = [record.execution_id for record in tracker.get_ended_executions()]
    assert kept == [f"run_{number}" for number in range(3, LIMITS.kept + 3)]
    assert tracker.get_execution("run_2") is None


@pytest.mark.spec("executions.retention")
def test_ended_executions_are_kept_for_a_time_and_active_ones_for_ever(
    tracker: AgentExecutionTracker, clock: ManualClock
) -> None:
    begin(tracker, "run_1")
    begin(tracker, "run_2")
    complete(tracker, "run_2")
    clock.advance(LIMITS.kept_seconds)
    assert tracker.get_execution("run_2") is not None
    clock.advance(1)
    assert tracker.get_execution("run_2") is None
    assert [record.execution_id for record in tracker.get_user_executions("usr_ada")] == ["run_1"]


def test_steps_and_texts_are_bounded(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    for number in range(200):
        tracker.transition("run_1", "tool", f"{number} " + "x" * 10_000)
    tracker.finish("run_1", "failed", "e" * 100_000)
    record = record_of(tracker)
    assert len(record.steps) == 50
    assert record.steps[-2].note is not None
    assert record.steps[-2].note.startswith("199 ")
    assert max(len(step.note or "") for step in record.steps) == 200
    assert len(record.error or "") == 1000


@pytest.mark.spec("tracker.user-executions")
def test_executions_are_found_by_user_thread_agent_and_activity(tracker: AgentExecutionTracker) -> None:
    begin(tracker, "run_1", "usr_ada", agent_name="echo", thread_id="thr_1")
    begin(tracker, "run_2", "usr_ada", agent_name="optimizer", thread_id="thr_2")
    begin(tracker, "run_3", "usr_bob", agent_name="echo", thread_id="thr_3")
    tracker.finish("run_1", "cancelled")

    def ids(records: list[ExecutionRecord]) -> list[str]:
        return [record.execution_id for record in records]

    assert ids(tracker.get_user_executions("usr_ada")) == ["run_1", "run_2"]
    assert ids(tracker.get_user_executions("usr_eve")) == []
    assert ids(tracker.get_executions_by_thread("thr_3")) == ["run_3"]
    assert ids(tracker.get_executions_by_agent("echo")) == ["run_1", "run_3"]
    assert ids(tracker.get_active_executions()) == ["run_2", "run_3"]
    assert ids(tracker.get_ended_executions()) == ["run_1"]


@pytest.mark.spec("tracker.cleanup-user-data")
def test_cleaning_up_takes_all_of_one_user_and_nothing_else(tracker: AgentExecutionTracker) -> None:
    begin(tracker, "run_1", "usr_ada")
    begin(tracker, "run_2", "usr_ada")
    complete(tracker, "run_2")
    begin(tracker, "run_3", "usr_ada_2")
    assert tracker.cleanup_user_data("usr_ada") == 2
    assert tracker.get_user_executions("usr_ada") == []
    assert tracker.get_execution("run_1") is None
    assert tracker.cleanup_user_data("usr_ada") == 0
    assert [record.execution_id for record in tracker.get_active_executions()] == ["run_3"]
    begin(tracker, "run_1", "usr_ada")  # nothing of before is in the way


def test_the_figures_count_what_there_is(tracker: AgentExecutionTracker) -> None:
    create(tracker, "run_1")
    begin(tracker, "run_2")
    begin(tracker, "run_3")
    tracker.finish("run_3", "timeout")
    figures = tracker.get_metrics()
    assert figures.active == {"pending": 1, "starting": 0, "running": 1, "completing": 0}
    assert figures.ended == {"completed": 0, "failed": 0, "timeout": 1, "dead": 0, "cancelled": 0}


def test_threads_share_the_tracker_without_losing_anything(tracker: AgentExecutionTracker) -> None:
    failures: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(20):
                execution_id = f"run_{worker}_{number}"
                begin(tracker, execution_id, f"usr_{worker}")
                tracker.heartbeat(execution_id)
                tracker.judge()
                assert len(tracker.get_user_executions(f"usr_{worker}")) == number + 1
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(tracker.get_active_executions()) == 160
