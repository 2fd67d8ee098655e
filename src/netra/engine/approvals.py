"""Questions of runs to people: a row bound to run, call, user and what exactly is asked; it outlives the process.

The run waits here. `netra.chat` writes the decision and calls `signal`; whatever it misses, the engine's sweep finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import insert, select, update

from netra.agents.context import Decision
from netra.clock import Clock, rfc3339
from netra.errors import AgentError, Unavailable
from netra.events import ApprovalRequested, ApprovalResolved
from netra.ids import new_id
from netra.log import Entry, Fence, ThreadLog, Transaction
from netra.storage.tables import approvals, micros, moment

from .runs import Attempt

RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _State:
    expires_at: int
    decision: Decision | None


class ApprovalDesk:
    """See the module."""

    def __init__(self, log: ThreadLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._waiting: dict[str, asyncio.Event] = {}

    def signal(self, approval_id: str) -> None:
        """Look at an approval again."""
        if (news := self._waiting.get(approval_id)) is not None:
            news.set()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The approvals that runs of this process wait for."""
        return tuple(self._waiting)

    async def ask(
        self,
        attempt: Attempt,
        approval_id: str,
        head: dict[str, Any],
        *,
        prompt: str,
        schema: dict[str, Any] | None,
        tool_call_id: str | None,
        expires_in: float,
        default: str,
    ) -> Decision:
        """Ask, and wait for the decision. After a crash the same question finds its row again.

        Raises:
            AgentError: the question is not the one that was asked under this id before the crash.
        """
        digest = hashlib.sha256(
            msgspec.json.encode([attempt.run_id, attempt.scope.user_id, tool_call_id, prompt, schema, default])
        ).digest()
        expires = self._clock.now() + timedelta(seconds=expires_in)
        event = ApprovalRequested(
            **head,
            approval_id=approval_id,
            tool_call_id=tool_call_id,
            prompt=prompt,
            schema=schema,
            expires_at=rfc3339(expires),
            default=default,
        )
        fence = Fence(attempt.run_id, attempt.number)

        def ask(tx: Transaction) -> _State:
            row = tx.connection.execute(select(approvals).where(approvals.c.id == approval_id)).one_or_none()
            if row is not None:
                if bytes(row.digest) != digest:
                    raise AgentError("The agent asks something else than it did before the restart.")
                return _state(row)
            tx.append(attempt.thread_id, [Entry(f"{approval_id}:requested", event)], fence=fence)
            tx.connection.execute(
                insert(approvals).values(
                    id=approval_id,
                    run_id=attempt.run_id,
                    thread_id=attempt.thread_id,
                    user_id=attempt.scope.user_id,
                    agent=head["agent_name"],
                    digest=digest,
                    default=default,
                    expires_at=micros(expires),
                )
            )
            tx.thread_changed(attempt.thread_id)
            return _State(micros(expires), None)

        news = self._waiting.setdefault(approval_id, asyncio.Event())
        try:
            state = await self._persist(ask)
            while state.decision is None:
                left = (moment(state.expires_at) - self._clock.now()).total_seconds()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), max(0.0, left))
                news.clear()
                state = await self._persist(lambda tx: self._look(tx, attempt, approval_id, head, fence))
            return state.decision
        finally:
            self._waiting.pop(approval_id, None)

    def _look(self, tx: Transaction, attempt: Attempt, approval_id: str, head: dict[str, Any], fence: Fence) -> _State:
        """The state of an approval; one whose time is over is decided by its default."""
        mine = approvals.c.id == approval_id
        row = tx.connection.execute(select(approvals).where(mine).with_for_update()).one()
        if row.decided_at is not None or row.expires_at > tx.now:
            return _state(row)
        tx.connection.execute(
            update(approvals).where(mine).values(decision=row.default, decided_by="timeout", decided_at=tx.now)
        )
        event = ApprovalResolved(
            **{**head, "event_id": new_id("evt"), "timestamp": rfc3339(moment(tx.now))},
            approval_id=approval_id,
            decision=row.default,
            by="timeout",
        )
        tx.append(attempt.thread_id, [Entry(f"{approval_id}:resolved", event)], fence=fence)
        return _State(row.expires_at, Decision(row.default, None, "timeout"))

    async def _persist(self, work: Callable[[Transaction], _State]) -> _State:
        while True:
            try:
                return await self._log.transact(work)
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)


def _state(row: Any) -> _State:
    if row.decided_at is None:
        return _State(row.expires_at, None)
    payload = msgspec.json.decode(bytes(row.payload)) if row.payload is not None else None
    return _State(row.expires_at, Decision(row.decision, payload, row.decided_by))
