"""All executions for administrators: the live ones from the tracker, what became of the others from the rows of runs.

`netra.gateway.http.admin.executions` asks. The tracker knows the executions of this process; a run that another process
works on is seen in its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from netra.errors import NotFound
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import moment, runs

from .records import ExecutionRecord
from .states import FINAL, STATE_OF_RUN, ExecutionState, state_of_run
from .tracker import AgentExecutionTracker


@dataclass(frozen=True, slots=True)
class ActiveExecution:
    """An execution of this process.

    Args:
        worker: the name of the process, as its run's row has it; None before it is written.
    """

    record: ExecutionRecord
    worker: str | None


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """An execution as its run's row tells it.

    Args:
        status: the row's own state.
        worker: the process that worked on it last; None when none did.
    """

    id: str
    user_id: str
    thread_id: str
    agent: str
    state: ExecutionState
    status: str
    attempt: int
    worker: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions are asked for: those that have all that is given here."""

    state: ExecutionState | None = None
    agent: str | None = None
    user_id: str | None = None
    thread_id: str | None = None


class ExecutionOverview:
    """See the module.

    Args:
        tracker: the process's, which sees everybody's.
        database: for the rows of runs.
    """

    def __init__(self, tracker: AgentExecutionTracker, database: RequestScopedSessionFactory) -> None:
        self.tracker = tracker
        self._database = database

    async def active(self, only: ExecutionFilter) -> list[ActiveExecution]:
        """Executions that have not ended, in the order of their creation."""
        records = [
            record
            for record in self.tracker.get_active_executions()
            if only.state in (None, record.state)
            and only.agent in (None, record.agent_name)
            and only.user_id in (None, record.user_id)
            and only.thread_id in (None, record.thread_id)
        ]
        if not records:
            return []
        async with self._database.read() as connection:
            ids = [record.execution_id for record in records]
            found = (await connection.execute(select(runs.c.id, runs.c.worker_id).where(runs.c.id.in_(ids)))).all()
        workers = {row.id: row.worker_id for row in found}
        return [ActiveExecution(record, workers.get(record.execution_id)) for record in records]

    async def ended(
        self, only: ExecutionFilter, *, limit: int, before: str | None = None
    ) -> tuple[list[StoredExecution], str | None]:
        """Executions that have ended, of all processes, the latest created first.

        Args:
            limit: at most so many.
            before: only those created before this one, for the next page.

        Returns:
            The page, and `before` of the next one, None after the last.
        """
        statement = select(runs).where(runs.c.ended_at.is_not(None)).order_by(runs.c.id.desc()).limit(limit + 1)
        if only.state is not None:
            if only.state not in FINAL:
                return [], None
            names = [name for name, state in STATE_OF_RUN.items() if state is only.state]
            statement = statement.where(runs.c.state.in_(names))
        if only.agent is not None:
            statement = statement.where(runs.c.agent == only.agent)
        if only.user_id is not None:
            statement = statement.where(runs.c.user_id == only.user_id)
        if only.thread_id is not None:
            statement = statement.where(runs.c.thread_id == only.thread_id)
        if before is not None:
            statement = statement.where(runs.c.id < before)
        async with self._database.read() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(statement)).all()
        page = [_stored(row) for row in rows[:limit]]
        return page, page[-1].id if len(rows) > limit else None

    async def get(self, execution_id: str) -> tuple[StoredExecution, ExecutionRecord | None]:
        """One execution of anybody: its row, and what the tracker has of it in this process.

        Raises:
            NotFound: there is no such run.
        """
        async with self._database.read() as connection:
            row = (await connection.execute(select(runs).where(runs.c.id == execution_id))).one_or_none()
        if row is None:
            raise NotFound("There is no such run.")
        stored, record = _stored(row), self.tracker.get_execution(execution_id)
        if record is not None and record.active and stored.state in FINAL:
            record = None  # the row is the truth, and the tracker is told a moment later
        return stored, record


def _stored(row: Row[Any]) -> StoredExecution:
    return StoredExecution(
        id=row.id,
        user_id=row.user_id,
        thread_id=row.thread_id,
        agent=row.agent,
        state=state_of_run(row.state),
        status=row.state,
        attempt=row.attempt,
        worker=row.worker_id,
        created_at=moment(row.created_at),
        started_at=moment(row.started_at) if row.started_at is not None else None,
        ended_at=moment(row.ended_at) if row.ended_at is not None else None,
    )
