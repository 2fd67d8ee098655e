"""The engine's look at the rows: what calls may have missed, found in one transaction a second.

Whoever stores what is wanted (`netra.chat`) calls the engine afterwards; a call that is lost, and what other processes
store, is in the rows all the same. In the same transaction the worker shows that it lives, before it takes more work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from netra.log import Transaction
from netra.storage.tables import approvals, runs

from .runs import Claimed, Note, note
from .workers import Worker


@dataclass(frozen=True, slots=True)
class Found:
    """What the rows say.

    Args:
        claimed: queued runs that were begun.
        unwanted: runs that their users want to end.
        decided: approvals somebody here waits for that were decided.
        lost: runs worked on here that another process has ended, or that were deleted.
        queued: how many runs wait.
    """

    claimed: Claimed
    unwanted: tuple[str, ...]
    decided: tuple[str, ...]
    lost: tuple[str, ...]
    queued: int


def look(
    tx: Transaction,
    *,
    worker: Worker | None,
    notes: Sequence[Note],
    active: Sequence[str],
    waiting: Sequence[str],
    claim: Callable[[Transaction], Claimed],
) -> Found:
    """See what there is to do.

    Args:
        worker: shows that it lives, unless it is None.
        notes: written down.
        active: the runs that are worked on here.
        waiting: the approvals that are waited for here.
        claim: begins queued runs.
    """
    execute = tx.connection.execute
    if worker is not None:
        worker.beat(tx)
    note(tx, notes)
    open_ = runs.c.ended_at.is_(None)
    going_on = set(execute(select(runs.c.id).where(runs.c.id.in_(active), open_)).scalars()) if active else set()
    claimed = claim(tx)
    unwanted = execute(select(runs.c.id).where(open_, runs.c.cancel_requested_at.is_not(None))).scalars()
    decided = (
        execute(
            select(approvals.c.id).where(approvals.c.id.in_(waiting), approvals.c.decided_at.is_not(None))
        ).scalars()
        if waiting
        else ()
    )
    queued = execute(select(func.count()).select_from(runs).where(runs.c.state == "queued", open_)).scalar_one()
    lost = tuple(run_id for run_id in active if run_id not in going_on)
    return Found(claimed, tuple(unwanted), tuple(decided), lost, queued)
