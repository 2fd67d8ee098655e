"""`netra watch`: ends the runs of servers that died or froze, from a process beside them on the same database.

A server that lives moves its worker's `seen_at` every second while it has runs. The watch goes by its own watch: a run
is an orphan when neither its worker's `seen_at` nor its attempt has changed for `run_orphan_seconds` while this process
looked on, so that clocks that differ harm nobody. After a look that failed (the database was away), and after a pause
of its own, it begins to count anew: the servers had no chance to be seen either. An end is fenced like every other: it
is stored only if nothing has changed at that moment, and a server that thaws later is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select

from netra.clock import Clock
from netra.config import Settings
from netra.errors import Unavailable
from netra.events import Failure, RunStatus
from netra.log import ThreadLog, Transaction
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import approvals, micros, runs, workers

from .ends import Ends
from .interface import EndedRun
from .workers import seen_at

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
LATE_SECONDS = 5.0
"""A look that comes later than this tells that this process itself stood still."""
ONCE_SECONDS = 5.0
"""How long a single pass looks at runs that seem forsaken; a server that lives is seen meanwhile."""
GRACE_SECONDS = 30.0
"""How long after a run's time is used up its own server has to end it."""


@dataclass(frozen=True, slots=True)
class _Sign:
    """What changes while a server works on a run."""

    attempt: int
    worker_id: str | None
    seen_at: int | None


@dataclass(slots=True)
class _Watched:
    sign: _Sign
    since: float
    overdue_since: float | None = None


class Watch:
    """See the module.

    Args:
        settings: the bounds.
        database: started before, stopped after.
        log: where ends go.
        clock: the time.
        told: called for each run that was ended, and for each look that failed, with a sentence for people.
    """

    def __init__(
        self,
        settings: Settings,
        database: RequestScopedSessionFactory,
        log: ThreadLog,
        clock: Clock,
        *,
        told: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._database = database
        self._ends = Ends(database, log, clock)
        self._clock = clock
        self._told = told
        self._watched: dict[str, _Watched] = {}
        self._last_look: float | None = None
        self._away = False
        self._complained: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look every second until `stop` is set."""
        while not stop.is_set():
            await self.look()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def once(self) -> list[EndedRun]:
        """One pass: what has not been seen for the bound by the clock, and is not seen during a few seconds either.

        Raises:
            Unavailable: the database cannot be reached; nothing was ended.
        """
        old = micros(self._clock.now()) - round(self._settings.run_orphan_seconds * 1e6)
        before = {
            row.id: _sign(row)
            for row in await self._read()
            if max(row.seen_at or 0, row.started_at or 0) < old or self._is_overdue(row)
        }
        if not before:
            return []
        await asyncio.sleep(ONCE_SECONDS)
        ended: list[EndedRun] = []
        for row in await self._read():
            if before.get(row.id) == _sign(row):
                ended += await self._try_to_end(row, "died")
            elif row.id in before and self._is_overdue(row):
                ended += await self._try_to_end(row, "timed_out")
        return ended

    async def look(self) -> list[EndedRun]:
        """See who lives, and end the runs of those that have not for the bound.

        Returns:
            What was ended.
        """
        now = self._clock.monotonic()
        if self._last_look is not None and now - self._last_look > LOOK_SECONDS + LATE_SECONDS:
            self._watched.clear()
        try:
            rows = await self._read()
            self._watched = {row.id: self._see(row, now) for row in rows}
            self._complained &= self._watched.keys()
            ended: list[EndedRun] = []
            for row in rows:
                watched = self._watched[row.id]
                if now - watched.since >= self._settings.run_orphan_seconds:
                    ended += await self._try_to_end(row, "died")
                elif watched.overdue_since is not None and now - watched.overdue_since >= GRACE_SECONDS:
                    ended += await self._try_to_end(row, "timed_out")
        except Unavailable as error:
            self._watched.clear()
            if not self._away:
                self._told(f"The database cannot be reached: {error.message} Nothing is ended until it answers.")
            self._away = True
            return []
        finally:
            self._last_look = self._clock.monotonic()
        if self._away:
            self._away = False
            self._told("The database answers again.")
        return ended

    async def _read(self) -> list[Any]:
        asked = select(approvals.c.id).where(approvals.c.run_id == runs.c.id, approvals.c.decided_at.is_(None)).exists()
        async with self._database.read() as connection:
            found = await connection.execute(
                select(
                    runs.c.id,
                    runs.c.attempt,
                    runs.c.worker_id,
                    runs.c.worked_ms,
                    runs.c.started_at,
                    workers.c.seen_at,
                    asked.label("asked"),
                )
                .select_from(runs.outerjoin(workers, workers.c.id == runs.c.worker_id))
                .where(runs.c.state == "running", runs.c.ended_at.is_(None))
            )
            return list(found)

    def _see(self, row: Any, now: float) -> _Watched:
        watched = self._watched.get(row.id)
        if watched is None:
            watched = _Watched(_sign(row), now)
        elif watched.sign != (sign := _sign(row)):
            watched.sign, watched.since = sign, now
        if not self._is_overdue(row):
            watched.overdue_since = None
        elif watched.overdue_since is None:
            watched.overdue_since = now
        return watched

    def _is_overdue(self, row: Any) -> bool:
        """Whether a run has used its time, as its own server has noted. Waiting for a person takes none."""
        return not row.asked and row.worked_ms >= self._settings.run_seconds * 1000

    async def _try_to_end(self, row: Any, status: RunStatus) -> list[EndedRun]:
        """End a run. One that cannot be ended is logged and tried again; it must not keep others from their ends."""
        try:
            return await self._end(row, status)
        except Unavailable:
            raise
        except Exception as error:
            if row.id not in self._complained:
                self._complained.add(row.id)
                log.exception("run_not_ended", run_id=row.id, status=status)
                self._told(f"{row.id} cannot be ended: {type(error).__name__}. It is tried again.")
            return []

    async def _end(self, row: Any, status: RunStatus) -> list[EndedRun]:
        """End a run, unless it has moved on meanwhile."""
        sign, run_id = _sign(row), row.id
        message = (
            "The server that worked on this died or stopped answering."
            if status == "died"
            else f"A run may take {self._settings.run_seconds:g} seconds."
        )

        def moved_on(tx: Transaction) -> bool:
            now = tx.connection.execute(
                select(runs.c.attempt, runs.c.worker_id).where(runs.c.id == run_id).with_for_update()
            ).one_or_none()
            if now is None or (now.attempt, now.worker_id) != (sign.attempt, sign.worker_id):
                return True
            return status == "died" and seen_at(tx, now.worker_id) != sign.seen_at

        ended = await self._ends.store(run_id, status, Failure(code=status, message=message), unless=moved_on)
        if ended is None:
            return []
        log.warning("run_ended_by_watch", run_id=run_id, status=status, worker_id=sign.worker_id)
        self._told(f"Ended {run_id} as {status}: {message}")
        return [ended]


def _sign(row: Any) -> _Sign:
    return _Sign(row.attempt, row.worker_id, row.seen_at)
