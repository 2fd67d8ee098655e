"""Ends of runs: stored from outside, read from the row, and told to whoever wants to know.

An execution stores the end of its own run. This is for the others: a queued run that is cancelled, one whose server
died, one that another process has ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import structlog
from sqlalchemy import select

from netra.clock import Clock, rfc3339
from netra.errors import Unavailable
from netra.events import AgentCompleted, Failure, RunStatus
from netra.ids import new_id
from netra.log import ThreadLog, Transaction
from netra.monitoring import tracing
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import runs

from .interface import EndedRun, OnEnded
from .runs import End, end

log = structlog.get_logger(__name__)


class Ends:
    """See the module.

    Args:
        database: where rows are read.
        log: where ends are stored.
        clock: the time.
    """

    def __init__(self, database: RequestScopedSessionFactory, log: ThreadLog, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._callbacks: list[OnEnded] = []

    def on_ended(self, callback: OnEnded) -> None:
        """See `RunEngine.on_ended`."""
        self._callbacks.append(callback)

    async def store(
        self,
        run_id: str,
        status: RunStatus,
        failure: Failure | None,
        *,
        unless: Callable[[Transaction], bool] = lambda tx: False,
    ) -> EndedRun | None:
        """End a run that no execution here ends.

        Args:
            unless: asked in the same transaction; the run goes on when it says True.

        Returns:
            The end, or None when the run had ended before, was deleted, or goes on.

        Raises:
            Unavailable: the database is away.
        """
        event_id, timestamp = new_id("evt"), rfc3339(self._clock.now())
        found: list[EndedRun] = []

        def completed(row: Any, milliseconds: int) -> AgentCompleted:
            found.append(
                EndedRun(run_id, row.user_id, row.thread_id, row.agent, status, milliseconds / 1000, row.attempt)
            )
            return AgentCompleted(
                event_id=event_id,
                thread_id=row.thread_id,
                run_id=run_id,
                user_id=row.user_id,
                agent_name=row.agent,
                timestamp=timestamp,
                status=status,
                final_response="",
                error=failure,
                duration_ms=milliseconds,
            )

        def work(tx: Transaction) -> EndedRun | None:
            found.clear()
            if unless(tx) or end(tx, End(run_id, status, None, completed)) is None:
                return None
            return found[0]

        ended = await self._log.transact(work)
        if ended is not None:
            tracing.ended(
                tracing.TracedEnd(
                    run_id=run_id,
                    thread_id=ended.thread_id,
                    user_id=ended.user_id,
                    agent=ended.agent,
                    status=status,
                    attempts=ended.attempt,
                    seconds=ended.seconds,
                    error=None if failure is None else failure.code,
                )
            )
        return ended

    async def read(self, run_id: str) -> EndedRun | Literal["open"] | None:
        """The end of a run as its row has it; `open` while it has none or nobody can say, None when it was deleted."""
        try:
            async with self._database.read() as connection:
                row = (await connection.execute(select(runs).where(runs.c.id == run_id))).one_or_none()
        except Unavailable:
            return "open"
        if row is None:
            return None
        if row.ended_at is None:
            return "open"
        seconds = 0.0 if row.started_at is None else max(0.0, (row.ended_at - row.started_at) / 1e6)
        return EndedRun(run_id, row.user_id, row.thread_id, row.agent, row.state, seconds, row.attempt)

    def tell(self, ended: EndedRun, worked: float | None) -> None:
        """Count an end that is stored, and tell whoever wants to know.

        Args:
            worked: seconds this process has worked on it; None when it has not.
        """
        metrics.runs_ended.labels(ended.status).inc()
        if worked is not None:
            metrics.run_seconds.observe(worked)
        with tracing.attempt(ended.run_id, ended.attempt):
            log.info(
                "run_ended",
                run_id=ended.run_id,
                agent=ended.agent,
                status=ended.status,
                attempt=ended.attempt,
                seconds=round(ended.seconds, 3),
            )
        for callback in self._callbacks:
            try:
                callback(ended)
            except Exception:  # the run has ended, whatever its audience makes of it
                log.exception("on_ended_failed", run_id=ended.run_id)
