"""Approvals: a person's answer to what a run asked."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select, update

from netra.clock import Clock, rfc3339
from netra.engine import RunEngine
from netra.errors import Conflict, NotFound
from netra.events import ApprovalResolved
from netra.identity import Scope
from netra.ids import new_id
from netra.log import Entry, ThreadLog, Transaction
from netra.storage.tables import approvals, runs
from netra.text import clean_text


class Approvals:
    """Approvals of one user at a time."""

    def __init__(self, log: ThreadLog, engine: RunEngine, clock: Clock) -> None:
        self._log = log
        self._engine = engine
        self._clock = clock

    async def resolve(self, scope: Scope, approval_id: str, decision: str, payload: Any = None) -> str:
        """Decide, and let the run go on. Returns the id of its thread. The same decision again changes nothing.

        The payload is handed to the run as it is; whether it fits the schema that was asked for, the agent judges.

        Raises:
            NotFound: there is no such approval, or it is not the caller's.
            Conflict: it was decided otherwise, has expired, or its run has ended.
        """
        decision = clean_text(decision, field="decision", max_chars=64, min_chars=1)
        event_id, timestamp = new_id("evt"), rfc3339(self._clock.now())

        def work(tx: Transaction) -> str:
            execute = tx.connection.execute
            row = execute(
                select(approvals, runs.c.ended_at)
                .join(runs, runs.c.id == approvals.c.run_id)
                .where(approvals.c.id == approval_id, approvals.c.user_id == scope.user_id)
                .with_for_update()  # nobody else decides, and the run does not end, until this is stored
            ).one_or_none()
            if row is None:
                raise NotFound("There is no such approval.")
            if row.decided_at is not None:
                if row.decision == decision:
                    return str(row.thread_id)
                raise Conflict(f"This was decided already: {row.decision}.")
            if row.ended_at is not None:
                raise Conflict("The run that asked has ended.")
            if row.expires_at <= tx.now:
                raise Conflict("The time to answer is over.")
            execute(
                update(approvals)
                .where(approvals.c.id == approval_id, approvals.c.decided_at.is_(None))
                .values(
                    decision=decision,
                    payload=msgspec.json.encode(payload) if payload is not None else None,
                    decided_by=scope.user_id,
                    decided_at=tx.now,
                )
            )
            event = ApprovalResolved(
                event_id=event_id,
                thread_id=row.thread_id,
                run_id=row.run_id,
                user_id=scope.user_id,
                agent_name=row.agent,
                timestamp=timestamp,
                approval_id=approval_id,
                decision=decision,
                payload=payload,
                by=scope.user_id,
            )
            tx.append(row.thread_id, [Entry(f"{approval_id}:resolved", event)])
            return str(row.thread_id)

        thread_id = await self._log.transact(work)
        self._engine.signal(approval_id)
        return thread_id
