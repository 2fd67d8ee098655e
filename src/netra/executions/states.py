"""The states and phases of an execution, as tables.

A *state* says how far an execution is, a *phase* what it does now. Every phase belongs to one state, so that an
execution moves by its phases and its state follows. The row of a run has states of its own, which are stored and shown
to users; `state_of_run` maps them onto these.

    phase         state        what happens
    created       pending      known, nothing begun
    preparing     starting     the thread's past is read
    working       running      the agent's own code runs
    model         running      a model was asked
    tool          running      a tool works
    waiting       running      a person is to decide; no time counts
    finalising    completing   the end is being stored
    ended         one of the five final states
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from netra.errors import IllegalTransition


class ExecutionState(StrEnum):
    """How far an execution is."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    COMPLETING = "completing"
    COMPLETED = "completed"
    """It has an answer."""
    FAILED = "failed"
    """Its agent failed."""
    TIMEOUT = "timeout"
    """It took longer than it may."""
    DEAD = "dead"
    """Nothing works on it any more, or what does makes no progress."""
    CANCELLED = "cancelled"
    """Its user ended it."""


class Phase(StrEnum):
    """What an execution does now; see the module."""

    CREATED = "created"
    PREPARING = "preparing"
    WORKING = "working"
    MODEL = "model"
    TOOL = "tool"
    WAITING = "waiting"
    FINALISING = "finalising"
    ENDED = "ended"


FINAL: frozenset[ExecutionState] = frozenset(
    {
        ExecutionState.COMPLETED,
        ExecutionState.FAILED,
        ExecutionState.TIMEOUT,
        ExecutionState.DEAD,
        ExecutionState.CANCELLED,
    }
)
"""The states nothing comes after."""

_CUT_SHORT = FINAL - {ExecutionState.COMPLETED}  # may come at any moment; an answer is stored before it counts

STATES: Mapping[ExecutionState, frozenset[ExecutionState]] = MappingProxyType(
    {
        ExecutionState.PENDING: frozenset({ExecutionState.STARTING}) | _CUT_SHORT,
        ExecutionState.STARTING: frozenset({ExecutionState.RUNNING, ExecutionState.COMPLETING}) | _CUT_SHORT,
        ExecutionState.RUNNING: frozenset({ExecutionState.COMPLETING}) | _CUT_SHORT,
        ExecutionState.COMPLETING: FINAL,
        **{state: frozenset() for state in FINAL},
    }
)
"""From each state, the states that may come next."""

WORK: frozenset[Phase] = frozenset({Phase.WORKING, Phase.MODEL, Phase.TOOL})
"""The phases of a running execution that nobody waits for. Steps may overlap: each may follow each, and itself."""

PHASES: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.CREATED: frozenset({Phase.PREPARING, Phase.ENDED}),
        Phase.PREPARING: frozenset({Phase.WORKING, Phase.FINALISING, Phase.ENDED}),
        **{phase: WORK | {Phase.WAITING, Phase.FINALISING, Phase.ENDED} for phase in WORK | {Phase.WAITING}},
        Phase.FINALISING: frozenset({Phase.ENDED}),
        Phase.ENDED: frozenset(),
    }
)
"""From each phase, the phases that may come next."""

STATE_OF_PHASE: Mapping[Phase, ExecutionState] = MappingProxyType(
    {
        Phase.CREATED: ExecutionState.PENDING,
        Phase.PREPARING: ExecutionState.STARTING,
        Phase.WORKING: ExecutionState.RUNNING,
        Phase.MODEL: ExecutionState.RUNNING,
        Phase.TOOL: ExecutionState.RUNNING,
        Phase.WAITING: ExecutionState.RUNNING,
        Phase.FINALISING: ExecutionState.COMPLETING,
    }
)
"""The state each phase belongs to; `ended` belongs to the final one that was given."""

STATE_OF_RUN: Mapping[str, ExecutionState] = MappingProxyType(
    {
        "queued": ExecutionState.PENDING,
        "running": ExecutionState.RUNNING,
        "succeeded": ExecutionState.COMPLETED,
        "failed": ExecutionState.FAILED,
        "cancelled": ExecutionState.CANCELLED,
        "timed_out": ExecutionState.TIMEOUT,
        "stalled": ExecutionState.DEAD,
        "died": ExecutionState.DEAD,
    }
)
"""From the state of a run's row, the state of its execution. A running row is `starting` or `completing` too, which
only the process that works on it knows."""


def state_of_run(run_state: str) -> ExecutionState:
    """The execution's state that a run's stored state stands for.

    Raises:
        ValueError: there is no such state of a run.
    """
    try:
        return STATE_OF_RUN[run_state]
    except KeyError:
        raise ValueError(f"There is no run state {run_state!r}; there are {', '.join(STATE_OF_RUN)}.") from None


def check_state(execution_id: str, current: ExecutionState, wanted: ExecutionState) -> None:
    """Raise unless an execution may go from one state to the other. Staying in an active state is no step.

    Raises:
        IllegalTransition: it may not.
    """
    if wanted not in STATES[current] and (wanted is not current or current in FINAL):
        raise IllegalTransition(f"Execution {execution_id}", current.value, wanted.value)


def check_phase(execution_id: str, current: Phase, wanted: Phase) -> None:
    """Raise unless an execution may go from one phase to the other.

    Raises:
        IllegalTransition: it may not.
    """
    if wanted not in PHASES[current]:
        raise IllegalTransition(f"Execution {execution_id}", current.value, wanted.value)
