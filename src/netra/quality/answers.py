"""What the checks need to know of a run that has ended, read from its thread's log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, or_, select

from netra.storage.prepared import Prepared
from netra.storage.tables import blobs, events, runs

from .checks import check_answer
from .findings import Finding

FAILURES = frozenset({"failed", "timed_out", "stalled", "died"})
"""Ends that leave a user without an answer. One that the user wanted (cancelled) is not judged at all."""
JUDGED = FAILURES | {"succeeded"}

_run = Prepared(
    select(runs.c.thread_id, runs.c.user_id, runs.c.agent, runs.c.state, runs.c.message_seq).where(
        runs.c.id == bindparam("run")
    )
)
_events = Prepared(
    select(events.c.seq, events.c.type, events.c.body)
    .where(
        events.c.thread_id == bindparam("thread"),
        events.c.seq > bindparam("after_seq"),
        events.c.run_id == bindparam("run"),
        or_(events.c.type == "tool_completed", events.c.type == "agent_completed"),
    )
    .order_by(events.c.seq)
)
_previous = Prepared(
    select(events.c.run_id, events.c.body)
    .where(
        events.c.thread_id == bindparam("thread"),
        events.c.seq < bindparam("before_seq"),
        events.c.type == "agent_completed",
    )
    .order_by(events.c.seq.desc())
    .limit(1)
)
_question = Prepared(
    select(events.c.body)
    .select_from(events.join(runs, (runs.c.thread_id == events.c.thread_id) & (runs.c.message_seq == events.c.seq)))
    .where(runs.c.id == bindparam("run"))
)
_blob = Prepared(select(blobs.c.body).where(blobs.c.id == bindparam("blob")))


class _Tool(msgspec.Struct):
    success: bool
    tool_name: str
    results: msgspec.Raw = msgspec.Raw(b"null")


class _End(msgspec.Struct):
    final_response: str | dict[str, Any]
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Said(msgspec.Struct):
    content: str
    attachments: list[Any] = []


_tool = msgspec.json.Decoder(_Tool)
_end = msgspec.json.Decoder(_End)
_said = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class Answered:
    """A run that has ended.

    Args:
        status: how; of `JUDGED`.
        text: its answer.
        finish_reason: what its provider said of the end, if the agent's result has a member of this name.
        tool_results: of its tools that succeeded; empty where the answer has no figure to compare.
        previous: the answer before it in the thread, when it is the same and the question was another; else None.
    """

    run_id: str
    thread_id: str
    user_id: str
    agent: str
    status: str
    text: str = ""
    finish_reason: str | None = None
    tool_results: list[tuple[str, Any]] = field(default_factory=list)
    previous: str | None = None

    def findings(self) -> list[Finding]:
        """What is wrong with it. Takes time in proportion to the answer and the results."""
        if self.status in FAILURES:
            return [Finding("failed", f"The run ended as {self.status}.")]
        return check_answer(
            self.text, finish_reason=self.finish_reason, tool_results=self.tool_results, previous=self.previous
        )


def read_answered(connection: Connection, run_id: str) -> Answered | None:
    """Read one run. None when it is gone, goes on, or is of a kind that is not judged."""
    run = _run.one(connection, {"run": run_id})
    if run is None or run.state not in JUDGED:
        return None
    if run.state != "succeeded":
        return Answered(run_id, run.thread_id, run.user_id, run.agent, run.state)
    rows = _events.all(connection, {"thread": run.thread_id, "after_seq": run.message_seq, "run": run_id})
    if not rows or rows[-1].type != "agent_completed":
        return None
    end = _end.decode(rows[-1].body)
    text = _whole(connection, end.final_response)
    tools: list[tuple[str, Any]] = []
    if any(map(str.isdigit, text)):
        for row in rows[:-1]:
            tool = _tool.decode(row.body)
            if tool.success and not bytes(tool.results).startswith(b'{"$blob"'):
                tools.append((tool.tool_name, msgspec.json.decode(tool.results)))
    previous = None
    if run.message_seq > 1:
        before = _previous.one(connection, {"thread": run.thread_id, "before_seq": rows[-1].seq})
        if before is not None and _said_again(connection, text, before.body):
            asked, asked_before = (_question.one(connection, {"run": each}) for each in (run_id, before.run_id))
            if asked is not None and asked_before is not None and _asks(asked.body) != _asks(asked_before.body):
                previous = text
    return Answered(
        run_id=run_id,
        thread_id=run.thread_id,
        user_id=run.user_id,
        agent=run.agent,
        status=run.state,
        text=text,
        finish_reason=_finish_reason(end.result),
        tool_results=tools,
        previous=previous,
    )


def _whole(connection: Connection, response: str | dict[str, Any]) -> str:
    if isinstance(response, str):
        return response
    body = _blob.scalar(connection, {"blob": response.get("$blob")})
    stored = None if body is None else msgspec.json.decode(bytes(body))
    return stored if isinstance(stored, str) else ""


def _said_again(connection: Connection, text: str, body: bytes) -> bool:
    return _whole(connection, _end.decode(body).final_response).strip() == text.strip()


def _asks(body: bytes) -> tuple[str, list[Any]]:
    said = _said.decode(body)
    return said.content.strip(), said.attachments


def _finish_reason(result: msgspec.Raw) -> str | None:
    if b'"finish_reason"' not in bytes(result):
        return None
    value = msgspec.json.decode(result)
    reason = value.get("finish_reason") if isinstance(value, dict) else None
    return reason if isinstance(reason, str) else None
