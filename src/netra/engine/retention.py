"""Forgets runs that ended long ago, so that tables do not grow for ever. The engine has one `Tidier`.

What goes are the rows that describe the work: the run, its questions to people, and workers that are gone. What stays
is the conversation: the log with all its events, and the message that remembers its run, so that a client that sends
it again gets the same answer as the first time.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import delete, select

from netra.clock import Clock
from netra.errors import Unavailable
from netra.log import ThreadLog, Transaction
from netra.storage.tables import approvals, micros, runs, workers

from .durable import Durable

log = structlog.get_logger(__name__)

TIDY_SECONDS = 60.0
BATCH = 200
"""Runs forgotten in one transaction: other writers wait for it."""


class Tidier:
    """Forgets what is over, once a minute: finished workflows at once, ended runs and their workers later.

    Args:
        thread_log: where runs are.
        durable: where workflows are.
        clock: the time.
        keep_days: how long an ended run is kept.
    """

    def __init__(self, thread_log: ThreadLog, durable: Durable, clock: Clock, *, keep_days: float) -> None:
        self._log = thread_log
        self._durable = durable
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. Safe to call twice."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="engine tidier")

    async def stop(self) -> None:
        """Forget no more. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def tidy(self) -> None:
        """Forget what is over by now.

        Raises:
            Unavailable: the database is away.
        """
        while await self._durable.tidy():
            pass
        before = micros(self._clock.now() - self._keep)
        forgotten = 0
        while many := await self._log.transact(lambda tx: forget_runs(tx, before)):
            forgotten += many
        await self._log.transact(lambda tx: forget_workers(tx, before))
        if forgotten:
            log.info("runs_forgotten", runs=forgotten)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            try:
                await self.tidy()
            except Unavailable:
                pass  # a next time comes
            except Exception:
                log.exception("tidy_failed")


def forget_runs(tx: Transaction, before: int) -> int:
    """Remove a batch of the runs that ended before a moment, and their approvals.

    Args:
        before: microseconds since the epoch.

    Returns:
        How many; call again while it is not 0.
    """
    old = list(
        tx.connection.execute(
            select(runs.c.id).where(runs.c.ended_at < before).order_by(runs.c.ended_at).limit(BATCH)
        ).scalars()
    )
    if old:
        tx.connection.execute(delete(approvals).where(approvals.c.run_id.in_(old)))
        tx.connection.execute(delete(runs).where(runs.c.id.in_(old)))
    return len(old)


def forget_workers(tx: Transaction, before: int) -> int:
    """Remove the workers that were last seen before a moment, unless a run that has not ended names them.

    Returns:
        How many.
    """
    named = select(runs.c.id).where(runs.c.worker_id == workers.c.id, runs.c.ended_at.is_(None)).exists()
    return tx.connection.execute(delete(workers).where(workers.c.seen_at < before, ~named)).rowcount
