"""What the tracker of executions gives away: frozen values, which nobody can change it through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from netra.config import Settings

from .states import FINAL, ExecutionState, Phase

Signal = Literal["task", "deadline", "heartbeat", "progress"]
"""What a verdict rests on."""


@dataclass(frozen=True, slots=True)
class UserContext:
    """Whose executions a handle sees. Never changes: a handle is for one user for as long as it lives."""

    user_id: str


@dataclass(frozen=True, slots=True)
class TrackerLimits:
    """The thresholds of the tracker.

    Args:
        silent_seconds: an execution without a heartbeat for longer is judged dead.
        stalled_seconds: one that works without progress for longer is judged stalled.
        kept: ended executions kept for reading, at most.
        kept_seconds: how long an ended execution is kept, at most.
    """

    silent_seconds: float = 15.0
    stalled_seconds: float = 300.0
    kept: int = 1000
    kept_seconds: float = 3600.0

    @classmethod
    def of(cls, settings: Settings) -> TrackerLimits:
        """The thresholds an operator chose."""
        return cls(
            silent_seconds=settings.run_silent_seconds,
            stalled_seconds=settings.run_stalled_seconds,
            kept=settings.executions_kept,
            kept_seconds=settings.executions_kept_seconds,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One move of an execution from phase to phase."""

    phase: Phase
    state: ExecutionState
    at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """An execution at one moment.

    Args:
        attempt: 1, and one more each time its run began again.
        started_at: None while it is pending.
        last_progress_at: when it last moved or said that it got on; None until then.
        heartbeat_age: seconds since its last heartbeat, creation counting as the first; None once it has ended.
        progress_age: seconds since its last progress; None before the start, while a person decides and at the end.
        worked_seconds: since the start, without the time a person took to decide.
        timeout_seconds: how long it may work; None for no limit.
        paused: a person is to decide.
        steps: its latest moves, oldest first, at most 50.
        metadata: what its creator noted.
    """

    execution_id: str
    agent_name: str
    user_id: str
    thread_id: str
    attempt: int
    state: ExecutionState
    phase: Phase
    created_at: datetime
    started_at: datetime | None
    last_heartbeat_at: datetime
    last_progress_at: datetime | None
    ended_at: datetime | None
    heartbeat_age: float | None
    progress_age: float | None
    worked_seconds: float
    timeout_seconds: float | None
    paused: bool
    error: str | None
    steps: tuple[Step, ...]
    metadata: Mapping[str, object]

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state not in FINAL


@dataclass(frozen=True, slots=True)
class Verdict:
    """An active execution that should be ended, and why.

    Args:
        status: how its run should end.
        state: the final state that stands for it.
        seconds: by how much the threshold of `signal` is passed; 0 for a task that is gone.
        reason: for people.
    """

    execution_id: str
    user_id: str
    attempt: int
    status: Literal["timed_out", "stalled", "died"]
    state: ExecutionState
    signal: Signal
    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class TrackerMetrics:
    """What a tracker sees, counted.

    Args:
        active: executions that have not ended, by state.
        ended: kept executions that have, by state.
        refusals: refused attempts on other users' executions, by kind; None from a user's handle.
        blocked_constructions: attempts to make a tracker without the factory; None from a user's handle.
    """

    active: Mapping[str, int]
    ended: Mapping[str, int]
    refusals: Mapping[str, int] | None
    blocked_constructions: int | None
