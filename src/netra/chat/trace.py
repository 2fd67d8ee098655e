"""What happened in a run, without a word of its user's or agent's: for administrators, who may see that an execution
hangs in a tool and not what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from netra.errors import NotFound
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import events, runs

MOST = 2_000
"""Events of one answer; a longer run shows its latest."""


@dataclass(frozen=True, slots=True)
class TracedEvent:
    """An event's circumstances.

    Args:
        at: RFC 3339, UTC.
        agent: which sub-agent; None where an event has none.
        call_id: joins the beginning and the end of a tool's call.
        success: of what ended; None of what did not.
        size: of what is stored, in bytes.
    """

    seq: int
    type: str
    at: str
    attempt: int | None
    agent: str | None
    call_id: str | None
    tool: str | None
    duration_ms: float | None
    success: bool | None
    size: int


class _Seen(msgspec.Struct):
    """What is read of an event's body, and nothing else."""

    timestamp: str
    attempt: int | None = None
    agent_name: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    duration_ms: float | None = None
    success: bool | None = None
    status: str | None = None


_decode = msgspec.json.Decoder(_Seen).decode


class Trace:
    """See the module."""

    def __init__(self, database: RequestScopedSessionFactory) -> None:
        self._database = database

    async def of_run(self, run_id: str) -> list[TracedEvent]:
        """The latest events of anybody's run, in their order.

        Raises:
            NotFound: there is no such run.
        """
        thread = select(runs.c.thread_id).where(runs.c.id == run_id)

        def work(connection: Connection) -> list[TracedEvent] | None:  # a thread decodes what may be megabytes
            thread_id = connection.execute(thread).scalar_one_or_none()
            if thread_id is None:
                return None
            mine = (events.c.thread_id == thread_id) & (events.c.run_id == run_id) & (events.c.type != "text_delta")
            wanted = select(events.c.seq, events.c.type, events.c.body).where(mine).order_by(events.c.seq.desc())
            return [_traced(row.seq, row.type, row.body) for row in connection.execute(wanted.limit(MOST))]

        found = await self._database.query(work)
        if found is None:
            raise NotFound("There is no such run.")
        return found[::-1]


def _traced(seq: int, type: str, body: bytes) -> TracedEvent:
    seen = _decode(body)
    success = seen.status == "succeeded" if type == "agent_completed" else seen.success
    return TracedEvent(
        seq=seq,
        type=type,
        at=seen.timestamp,
        attempt=seen.attempt,
        agent=seen.agent_name,
        call_id=seen.tool_call_id,
        tool=seen.tool_name,
        duration_ms=seen.duration_ms,
        success=success,
        size=len(body),
    )
