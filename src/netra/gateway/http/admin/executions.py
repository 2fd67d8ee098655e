"""`GET /api/admin/executions`: what agents do for whom at this moment, what they did, and which circuits are open."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from netra.chat import Runs
from netra.chat.trace import Trace
from netra.executions import Breakers, ExecutionRecord, ExecutionState
from netra.executions.overview import ActiveExecution, ExecutionFilter, ExecutionOverview, StoredExecution
from netra.gateway.http.api import Limit, Require
from netra.gateway.http.models import Moment
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.text import clean_id, clean_text

from .accounts import actor_of

Worker = Annotated[str | None, Field(description="The process that works on it, or did last; null when none has.")]
State = Annotated[ExecutionState, Field(description="How far it is.")]


class ActiveExecutionModel(BaseModel):
    id: str = Field(description="Of its run.")
    user_id: str
    thread_id: str
    agent: str
    state: State
    phase: str = Field(description="What it does now.")
    attempt: int
    worker: Worker
    created_at: Moment
    started_at: Moment | None
    worked_seconds: float = Field(description="Since its start, without the time a person took to decide.")
    timeout_seconds: float | None = Field(description="How long it may work; null for no limit.")
    paused: bool = Field(description="A person is to decide.")
    heartbeat_age_seconds: float | None
    progress_age_seconds: float | None = Field(description="Null before its start and while a person decides.")

    @classmethod
    def of(cls, found: ActiveExecution) -> ActiveExecutionModel:
        record = found.record
        return cls(
            id=record.execution_id,
            user_id=record.user_id,
            thread_id=record.thread_id,
            agent=record.agent_name,
            state=record.state,
            phase=record.phase,
            attempt=record.attempt,
            worker=found.worker,
            created_at=record.created_at,
            started_at=record.started_at,
            worked_seconds=record.worked_seconds,
            timeout_seconds=record.timeout_seconds,
            paused=record.paused,
            heartbeat_age_seconds=record.heartbeat_age,
            progress_age_seconds=record.progress_age,
        )


class EndedExecutionModel(BaseModel):
    id: str = Field(description="Of its run.")
    user_id: str
    thread_id: str
    agent: str
    state: State
    status: str = Field(description="How its run ended.")
    attempt: int
    worker: Worker
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None

    @classmethod
    def of(cls, found: StoredExecution) -> EndedExecutionModel:
        return cls.model_validate(found, from_attributes=True)


class BreakerModel(BaseModel):
    kind: Literal["agent", "host"]
    name: str
    state: Literal["closed", "half_open", "open"]
    calls: int = Field(description="Outcomes of the last minute, while it is closed.")
    failures: int = Field(description="How many of them are failures.")
    trips: int = Field(description="How often it opened.")
    retry_after_seconds: float | None = Field(description="Until a call is admitted; null unless it is open.")
    reason: str | None = Field(description="Of the latest failure.")


class ExecutionsModel(BaseModel):
    active: list[ActiveExecutionModel] = Field(description="Of this process, in the order of their creation.")
    ended: list[EndedExecutionModel] = Field(description="Of all processes, the latest created first.")
    next_cursor: str | None = Field(description="For the next page of those that ended.")
    breakers: list[BreakerModel] = Field(description="Those that are not closed first.")
    refusals: dict[str, int] = Field(
        description="Refused attempts on other users' executions since the server began, by kind."
    )
    blocked_constructions: int = Field(description="Attempts to make a tracker without its factory since then.")


class StepModel(BaseModel):
    phase: str
    state: State
    at: Moment
    note: str | None


class ExecutionModel(EndedExecutionModel):
    state: State
    status: str = Field(description="Its run's state.")
    phase: str | None = Field(description="What it does now; null unless this process works on it or did lately.")
    heartbeat_age_seconds: float | None
    progress_age_seconds: float | None
    error: str | None
    steps: list[StepModel] = Field(description="Its latest moves, oldest first; none when phase is null.")

    @classmethod
    def joined(cls, stored: StoredExecution, record: ExecutionRecord | None) -> ExecutionModel:
        """From the run's row, and what the tracker has of it."""
        known = EndedExecutionModel.of(stored).model_dump()
        if record is None:
            return cls(**known, phase=None, heartbeat_age_seconds=None, progress_age_seconds=None, error=None, steps=[])
        return cls(
            **{**known, "state": record.state},
            phase=record.phase,
            heartbeat_age_seconds=record.heartbeat_age,
            progress_age_seconds=record.progress_age,
            error=record.error,
            steps=[StepModel.model_validate(step, from_attributes=True) for step in record.steps],
        )


class TracedEventModel(BaseModel):
    seq: int
    type: str
    at: str = Field(description="RFC 3339, UTC")
    attempt: int | None
    agent: str | None
    call_id: str | None = Field(description="Joins the beginning and the end of a tool's call.")
    tool: str | None
    duration_ms: float | None
    success: bool | None
    bytes: int = Field(description="Stored for it.")


class TraceModel(BaseModel):
    items: list[TracedEventModel]


def executions_admin_routes(
    require_admin: Require, executions: ExecutionOverview, breakers: Breakers, runs: Runs, trace: Trace
) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get("/executions", responses=problems(404, 422))
    async def list_executions(
        caller: Principal = administrator,
        state: Annotated[ExecutionState | None, Query(description="Only those in this state.")] = None,
        agent: Annotated[str | None, Query(description="Only those of this agent.")] = None,
        user: Annotated[str | None, Query(description="Only those of the user with this id.")] = None,
        thread: Annotated[str | None, Query(description="Only those of the thread with this id.")] = None,
        limit: Limit = 50,
        cursor: Annotated[str | None, Query()] = None,
    ) -> ExecutionsModel:
        """Active executions, recent ones that ended, circuit breakers, and refused attempts."""
        only = ExecutionFilter(
            state=state,
            agent=clean_text(agent, field="agent", max_chars=128) if agent else None,
            user_id=clean_id(user, field="user") if user else None,
            thread_id=clean_id(thread, field="thread") if thread else None,
        )
        before = clean_id(cursor, field="cursor") if cursor else None
        active = await executions.active(only)
        ended, more = await executions.ended(only, limit=limit, before=before)
        figures = executions.tracker.get_metrics()
        return ExecutionsModel(
            active=[ActiveExecutionModel.of(found) for found in active],
            ended=[EndedExecutionModel.of(found) for found in ended],
            next_cursor=more,
            breakers=[BreakerModel.model_validate(each, from_attributes=True) for each in breakers.statuses()],
            refusals=dict(figures.refusals or {}),
            blocked_constructions=figures.blocked_constructions or 0,
        )

    @router.get("/executions/{run_id}", responses=problems(404))
    async def one_execution(run_id: str, caller: Principal = administrator) -> ExecutionModel:
        """One execution of any user."""
        return ExecutionModel.joined(*await executions.get(clean_id(run_id)))

    @router.get("/executions/{run_id}/events", responses=problems(404))
    async def events_of_execution(run_id: str, caller: Principal = administrator) -> TraceModel:
        """What happened in a run of any user, without a word of the user's or the agent's."""
        found = await trace.of_run(clean_id(run_id))
        return TraceModel(
            items=[
                TracedEventModel(
                    seq=each.seq,
                    type=each.type,
                    at=each.at,
                    attempt=each.attempt,
                    agent=each.agent,
                    call_id=each.call_id,
                    tool=each.tool,
                    duration_ms=each.duration_ms,
                    success=each.success,
                    bytes=each.size,
                )
                for each in found
            ]
        )

    @router.post("/executions/{run_id}/cancel", status_code=202, responses=problems(404))
    async def stop_execution(run_id: str, caller: Principal = administrator) -> None:
        """Ask a run of any user to end. One that has ended stays as it is."""
        await runs.stop(actor_of(caller), clean_id(run_id))

    return router
