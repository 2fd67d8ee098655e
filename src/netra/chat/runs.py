"""Runs: look at one, stop one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, true, update

from netra.engine import RunEngine
from netra.errors import NotFound
from netra.events import Usage
from netra.identity import Scope
from netra.log import ThreadLog, Transaction
from netra.sessions import RequestScopedSessionFactory
from netra.sessions.tracker import Note, unnoted
from netra.storage.audit import Actor, AuditLog
from netra.storage.tables import moment, runs


@dataclass(frozen=True, slots=True)
class Run:
    """One answer being worked on, or ended."""

    id: str
    thread_id: str
    agent: str
    state: str
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    usage: Usage


class Runs:
    """Runs of one user at a time. `note` is told of runs that their user ends."""

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        log: ThreadLog,
        engine: RunEngine,
        audit: AuditLog,
        *,
        note: Note = unnoted,
    ) -> None:
        self._database = database
        self._audit = audit
        self._log = log
        self._engine = engine
        self._note = note

    async def get(self, scope: Scope, run_id: str) -> Run:
        """One run.

        Raises:
            NotFound: it does not exist or is not the caller's.
        """
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(runs).where(runs.c.id == run_id, runs.c.user_id == scope.user_id))
            ).one_or_none()
        if row is None:
            raise NotFound("There is no such run.")
        return Run(
            id=row.id,
            thread_id=row.thread_id,
            agent=row.agent,
            state=row.state,
            attempt=row.attempt,
            created_at=moment(row.created_at),
            started_at=moment(row.started_at) if row.started_at is not None else None,
            ended_at=moment(row.ended_at) if row.ended_at is not None else None,
            usage=Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens, cost_usd=float(row.cost_usd)),
        )

    async def cancel(self, scope: Scope, run_id: str) -> None:
        """Ask a run to end. One that has ended stays as it is.

        The wish is stored first, so that a run whose worker dies at this moment does not go on after a restart.
        """

        thread_id = await self._cancel(run_id, runs.c.user_id == scope.user_id)
        self._note(scope.user_id, "feature:cancel", thread_id=thread_id)

    async def stop(self, actor: Actor, run_id: str) -> None:
        """Ask anybody's run to end, as an administrator; it is in the audit log.

        Raises:
            NotFound: there is no such run.
        """
        query = select(runs.c.user_id).where(runs.c.id == run_id)
        user_id = await self._database.query(lambda connection: connection.execute(query).scalar_one_or_none())
        if user_id is None:
            raise NotFound("There is no such run.")
        await self._audit.note(actor, "run.stop", run_id, user_id=user_id)
        await self._cancel(run_id, true())

    async def _cancel(self, run_id: str, allowed: ColumnElement[bool]) -> str:
        def work(tx: Transaction) -> str:
            mine = (runs.c.id == run_id) & allowed
            row = tx.connection.execute(select(runs.c.thread_id, runs.c.cancel_requested_at).where(mine)).one_or_none()
            if row is None:
                raise NotFound("There is no such run.")
            if row.cancel_requested_at is None:
                tx.connection.execute(
                    update(runs).where(mine, runs.c.ended_at.is_(None)).values(cancel_requested_at=tx.now)
                )
            return str(row.thread_id)

        thread_id = await self._log.transact(work)
        await self._engine.cancel(run_id)
        return thread_id
