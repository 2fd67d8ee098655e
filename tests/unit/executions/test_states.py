"""Every step there is and every step there is not, in the tables and through the tracker."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from netra.engine.runs import TRANSITIONS
from netra.errors import IllegalTransition
from netra.executions import AgentExecutionTracker, ExecutionState, Phase, state_of_run
from netra.executions.states import FINAL, PHASES, STATE_OF_PHASE, STATE_OF_RUN, STATES, check_state
from support.executions import begin, create

pytestmark = pytest.mark.spec("tracker.states", "tracker.phases")

NAMES = ["pending", "starting", "running", "completing", "completed", "failed", "timeout", "dead", "cancelled"]

# The way to each phase, and what is asked of the tracker to go to one.
WAYS: dict[Phase, list[Phase]] = {
    Phase.CREATED: [],
    Phase.PREPARING: [Phase.PREPARING],
    Phase.WORKING: [Phase.PREPARING, Phase.WORKING],
    Phase.MODEL: [Phase.PREPARING, Phase.WORKING, Phase.MODEL],
    Phase.TOOL: [Phase.PREPARING, Phase.WORKING, Phase.TOOL],
    Phase.WAITING: [Phase.PREPARING, Phase.WORKING, Phase.WAITING],
    Phase.FINALISING: [Phase.PREPARING, Phase.WORKING, Phase.FINALISING],
    Phase.ENDED: [Phase.PREPARING, Phase.WORKING, Phase.FINALISING, Phase.ENDED],
}


def go(tracker: AgentExecutionTracker, phase: Phase, end: ExecutionState = ExecutionState.COMPLETED) -> None:
    verbs: dict[Phase, Callable[[], object]] = {
        Phase.PREPARING: lambda: tracker.start_execution("run_1"),
        Phase.WAITING: lambda: tracker.pause("run_1"),
        Phase.ENDED: lambda: tracker.finish("run_1", end),
    }
    verbs.get(phase, lambda: tracker.transition("run_1", phase))()


def test_the_states_are_those_of_the_specification() -> None:
    assert [state.value for state in ExecutionState] == NAMES
    assert set(STATES) == set(ExecutionState)
    assert set(PHASES) == set(Phase)


@pytest.mark.parametrize("state", ExecutionState)
def test_a_final_state_is_left_for_nothing_and_every_other_can_end(state: ExecutionState) -> None:
    if state in FINAL:
        assert STATES[state] == frozenset()
    else:
        assert STATES[state] >= FINAL - {ExecutionState.COMPLETED}
        assert (ExecutionState.COMPLETED in STATES[state]) == (state is ExecutionState.COMPLETING)


@pytest.mark.parametrize(("current", "wanted"), list(product(ExecutionState, ExecutionState)))
def test_a_state_follows_another_as_the_table_says_or_raises(current: ExecutionState, wanted: ExecutionState) -> None:
    stays = current is wanted and current not in FINAL
    if wanted in STATES[current] or stays:
        check_state("run_1", current, wanted)
        return
    with pytest.raises(IllegalTransition) as refused:
        check_state("run_1", current, wanted)
    assert refused.value.message == f"Execution run_1 cannot go from '{current}' to '{wanted}'"


@pytest.mark.parametrize("phase", list(Phase)[:-1])
def test_the_states_of_phases_follow_each_other_where_the_phases_do(phase: Phase) -> None:
    for following in PHASES[phase] - {Phase.ENDED}:
        check_state("run_1", STATE_OF_PHASE[phase], STATE_OF_PHASE[following])


@pytest.mark.parametrize(("current", "wanted"), list(product(Phase, list(Phase)[1:])))
def test_an_execution_goes_where_the_graph_leads_and_nowhere_else(
    tracker: AgentExecutionTracker, current: Phase, wanted: Phase
) -> None:
    create(tracker)
    for phase in WAYS[current]:
        go(tracker, phase)
    before = tracker.get_execution("run_1")
    assert before is not None
    assert before.phase is current
    end = ExecutionState.FAILED  # reached from anywhere, unlike completed
    if wanted in PHASES[current]:
        go(tracker, wanted, end)
        after = tracker.get_execution("run_1")
        assert after is not None
        assert after.phase is wanted
        assert after.state is STATE_OF_PHASE.get(wanted, end)
    else:
        with pytest.raises(IllegalTransition):
            go(tracker, wanted, end)
        assert tracker.get_execution("run_1") == before


@pytest.mark.parametrize(("current", "end"), list(product(list(Phase)[:-1], sorted(FINAL))))
def test_an_execution_ends_once_and_completed_only_after_finalising(
    tracker: AgentExecutionTracker, current: Phase, end: ExecutionState
) -> None:
    create(tracker)
    for phase in WAYS[current]:
        go(tracker, phase)
    if end is ExecutionState.COMPLETED and current is not Phase.FINALISING:
        with pytest.raises(IllegalTransition):
            tracker.finish("run_1", end)
        return
    assert tracker.finish("run_1", end, "why")
    record = tracker.get_execution("run_1")
    assert record is not None
    assert (record.state, record.phase, record.error, record.active) == (end, Phase.ENDED, "why", False)
    for again in FINAL:
        with pytest.raises(IllegalTransition):
            tracker.finish("run_1", again)
    for write in (tracker.heartbeat, tracker.progress, tracker.pause, tracker.resume, tracker.start_execution):
        with pytest.raises(IllegalTransition):
            write("run_1")


@pytest.mark.parametrize("phase", ["waiting", "ended"])
def test_phases_with_a_verb_of_their_own_name_it(tracker: AgentExecutionTracker, phase: str) -> None:
    begin(tracker)
    with pytest.raises(ValueError, match=r"pause\(\)|finish\(\)"):
        tracker.transition("run_1", phase)


def test_what_is_no_phase_and_no_end_is_refused(tracker: AgentExecutionTracker) -> None:
    begin(tracker)
    with pytest.raises(ValueError, match="dreaming"):
        tracker.transition("run_1", "dreaming")
    with pytest.raises(ValueError, match="no end"):
        tracker.finish("run_1", "running")
    with pytest.raises(ValueError, match="succeeded"):
        tracker.finish("run_1", "succeeded")


def test_every_state_of_a_run_has_its_state_of_an_execution() -> None:
    assert set(STATE_OF_RUN) == set(TRANSITIONS)
    for current, following in TRANSITIONS.items():
        assert (state_of_run(current) in FINAL) == (not following)
    with pytest.raises(ValueError, match="lost"):
        state_of_run("lost")
