"""This process's row among the workers, by which other processes see that it lives.

The row is there before the process takes any work, and its `seen_at` is moved by the engine's own sweep, in the
transaction that looks for work: a process that cannot reach the database is not seen, and neither takes runs.
"""

from __future__ import annotations

import os
import socket

from sqlalchemy import bindparam, insert, select, update

from netra import __version__
from netra.clock import Clock
from netra.ids import new_id
from netra.log import Transaction
from netra.storage.prepared import Prepared
from netra.storage.tables import workers

IDLE_BEAT_SECONDS = 10.0
"""How often a worker without runs shows that it lives; one with runs does at every sweep."""

_seen = Prepared(update(workers).where(workers.c.id == bindparam("worker")).values(seen_at=bindparam("now")))


class Worker:
    """See the module. One for each start of the engine.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self.id = new_id("wrk")
        self._clock = clock
        self._next_beat = 0.0

    def register(self, tx: Transaction) -> None:
        """Add the row. Before any run is taken."""
        tx.connection.execute(
            insert(workers).values(
                id=self.id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=__version__,
                started_at=tx.now,
                seen_at=tx.now,
            )
        )

    def due(self, *, busy: bool) -> bool:
        """Whether the next sweep should beat."""
        now = self._clock.monotonic()
        if busy or now >= self._next_beat:
            self._next_beat = now + IDLE_BEAT_SECONDS
            return True
        return False

    def beat(self, tx: Transaction) -> None:
        """Be seen. A row that somebody has removed comes back before the work that follows in this transaction."""
        if _seen.run(tx.connection, {"worker": self.id, "now": tx.now}) == 0:
            self.register(tx)

    def retire(self, tx: Transaction) -> None:
        """The process stops in an orderly way."""
        tx.connection.execute(update(workers).where(workers.c.id == self.id).values(stopped_at=tx.now))


def seen_at(tx: Transaction, worker_id: str | None) -> int | None:
    """When a worker was last seen, or None when nobody knows it."""
    if worker_id is None:
        return None
    return tx.connection.execute(select(workers.c.seen_at).where(workers.c.id == worker_id)).scalar()
