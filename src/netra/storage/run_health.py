"""How the runs of an installation fare, read from their rows: the same for every process that asks.

The alert rules of `netra.monitoring.standard` are fed from here.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from sqlalchemy import Connection, and_, exists, func, or_, select

from netra.clock import Clock

from .access import Access
from .tables import approvals, micros, runs

FAILED = ("failed", "timed_out", "stalled", "died")
"""The ends of a run that nobody wanted. Being cancelled is not one of them."""
WINDOW = timedelta(minutes=15)
FEWEST = 5
"""Ended runs in the window from which on a share means something."""
THREAD_WINDOW = timedelta(hours=1)
GRACE = timedelta(seconds=60)
"""What a run may take beyond its deadline before somebody should look: its end has to be noticed and stored."""


class RunHealth:
    """See the module. Every method may raise Unavailable.

    Args:
        database: started before it is asked.
        clock: gives the time now.
        run_seconds: the deadline of a run.
        runs_running: how many one user may have running.
    """

    def __init__(self, database: Access, clock: Clock, *, run_seconds: float, runs_running: int) -> None:
        self._database = database
        self._clock = clock
        self._run_seconds = run_seconds
        self._runs_running = runs_running

    async def failure_share(self) -> float | None:
        """The share of failed ones among the runs that ended within `WINDOW`, without the cancelled ones.

        None when some failed, but fewer than `FEWEST` ended: too little to judge.
        """
        since = micros(self._clock.now() - WINDOW)
        statement = (
            select(runs.c.state, func.count())
            .where(runs.c.ended_at >= since, runs.c.state != "cancelled")
            .group_by(runs.c.state)
        )
        rows = await self._database.query(lambda connection: connection.execute(statement).all())
        ended: dict[str, int] = {str(state): number for state, number in rows}
        total, failed = sum(ended.values()), sum(ended.get(state, 0) for state in FAILED)
        if not failed:
            return 0.0
        return failed / total if total >= FEWEST else None

    async def failures(self) -> int:
        """How many runs that ended within `WINDOW` failed."""
        since = micros(self._clock.now() - WINDOW)
        statement = select(func.count()).where(runs.c.ended_at >= since, runs.c.state.in_(FAILED))
        return await self._database.query(lambda connection: int(connection.execute(statement).scalar_one()))

    async def queue_age(self) -> float:
        """Seconds for which a run waits that nothing keeps from beginning; 0 when there is none.

        Runs that wait for an earlier one of their thread, or because their user has as many running as are allowed, are
        left out: they wait as they should.
        """
        other = runs.alias()
        in_thread = exists().where(
            other.c.thread_id == runs.c.thread_id, other.c.ended_at.is_(None), other.c.id < runs.c.id
        )
        running = (
            select(func.count())
            .where(other.c.user_id == runs.c.user_id, other.c.state == "running", other.c.ended_at.is_(None))
            .scalar_subquery()
        )
        statement = select(func.min(runs.c.created_at)).where(
            runs.c.state == "queued", runs.c.ended_at.is_(None), ~in_thread, running < self._runs_running
        )
        oldest = await self._database.query(lambda connection: connection.execute(statement).scalar_one())
        return 0.0 if oldest is None else max(0.0, (micros(self._clock.now()) - int(oldest)) / 1e6)

    async def stuck(self) -> int:
        """How many runs go on past their deadline, although nobody is asked for an approval."""
        since = micros(self._clock.now() - timedelta(seconds=self._run_seconds) - GRACE)
        asked = and_(
            approvals.c.run_id == runs.c.id, or_(approvals.c.decided_at.is_(None), approvals.c.decided_at > since)
        )
        statement = select(func.count()).where(
            runs.c.state == "running", runs.c.ended_at.is_(None), runs.c.started_at < since, ~exists().where(asked)
        )

        def work(connection: Connection) -> int:
            return int(connection.execute(statement).scalar_one())

        return await self._database.query(work)

    async def failing_threads(self) -> dict[str, float]:
        """Threads with failed runs within `THREAD_WINDOW`: how many in a row, up to the newest that ended."""
        since = micros(self._clock.now() - THREAD_WINDOW)
        statement = (
            select(runs.c.thread_id, runs.c.state)
            .where(runs.c.ended_at >= since, runs.c.state != "cancelled")
            .order_by(runs.c.ended_at)
        )
        row_of: Counter[str] = Counter()
        for thread_id, state in await self._database.query(lambda connection: connection.execute(statement).all()):
            row_of[thread_id] = row_of[thread_id] + 1 if state in FAILED else 0
        return {thread_id: float(number) for thread_id, number in row_of.items() if number}
