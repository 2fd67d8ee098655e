"""Forgets runs that ended long ago, so that tables do not grow for ever. The tidier of the engine calls it.

What goes are the rows that describe the work: the run, its questions to people, and workers that are gone. What stays
is the conversation: the log with all its events, and the message that remembers its run, so that a client that sends
it again gets the same answer as the first time.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from netra.log import Transaction
from netra.storage.tables import approvals, runs, workers

BATCH = 200
"""Runs forgotten in one transaction: other writers wait for it."""


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
