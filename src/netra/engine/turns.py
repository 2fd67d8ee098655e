"""What a run knows when it begins: its message, the thread's earlier turns and files, read from the log.

Only what was written before the run's own message counts, and the answers to that, so that an attempt after a crash
sees exactly what the first one saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog
from sqlalchemy import select

from netra.agents.context import File, Files, Message, Turn
from netra.events import AgentCompleted, Attachment, BlobRef, UserMessage, decode
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import blobs, events, messages

from .runs import Attempt

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Past:
    """What came before, and the message itself."""

    message: Message
    history: tuple[Turn, ...]
    files: Files


async def read_past(database: RequestScopedSessionFactory, attempt: Attempt, files_dir: Path) -> Past:
    """Read what a run needs to begin.

    Raises:
        Unavailable: the database is away.
    """
    event = decode(attempt.message)
    assert isinstance(event, UserMessage)
    attachments = _files(event.attachments, files_dir)
    message = Message(event.message_id, event.content, attachments)
    if attempt.message_seq == 1:
        return Past(message, (), Files(attachments))
    history = await _turns(database, attempt, files_dir)
    earlier = {file.id: file for turn in history for file in turn.attachments}
    earlier.update({file.id: file for file in attachments})
    return Past(message, history, Files(tuple(earlier.values())))


async def _turns(database: RequestScopedSessionFactory, attempt: Attempt, files_dir: Path) -> tuple[Turn, ...]:
    thread = events.c.thread_id == attempt.thread_id
    async with database.read() as connection:
        # Not from the runs, which are forgotten one day.
        answering = {
            row.id: row.run_id
            for row in await connection.execute(
                select(messages.c.id, messages.c.run_id).where(
                    messages.c.thread_id == attempt.thread_id, messages.c.seq < attempt.message_seq
                )
            )
        }
        bodies = (
            await connection.execute(
                select(events.c.body)
                .where(thread, events.c.type.in_(("user_message", "agent_completed")))
                .order_by(events.c.seq)
            )
        ).scalars()
        asked: list[UserMessage] = []
        ends: dict[str, AgentCompleted] = {}
        for body in bodies:
            try:
                event = decode(bytes(body))
            except msgspec.DecodeError as error:  # one turn less is better than a thread where nothing works any more
                log.error("event_unreadable", thread_id=attempt.thread_id, error=str(error))
                continue
            if isinstance(event, UserMessage):
                if event.message_id in answering:
                    asked.append(event)
            elif isinstance(event, AgentCompleted) and event.run_id:
                ends[event.run_id] = event
        stored: dict[str, Any] = {}
        wanted = [ref for end in ends.values() for value in (end.final_response, end.result) if (ref := _blob(value))]
        if wanted:
            rows = await connection.execute(select(blobs.c.id, blobs.c.body).where(blobs.c.id.in_(wanted)))
            stored = {row.id: msgspec.json.decode(bytes(row.body)) for row in rows}

    def whole(value: Any) -> Any:
        reference = _blob(value)
        return value if reference is None else stored.get(reference)

    turns: list[Turn] = []
    for question in asked:
        end = ends.get(answering[question.message_id])
        turns.append(
            Turn(
                question=question.content,
                answer=str(whole(end.final_response) or "") if end else "",
                attachments=_files(question.attachments, files_dir),
                result=whole(end.result) if end else None,
                agent=(end.agent_name or "") if end else "",
            )
        )
    return tuple(turns)


def _blob(value: Any) -> str | None:
    if isinstance(value, BlobRef):
        return value.blob
    if isinstance(value, dict) and value.keys() == {"$blob", "size"}:
        return str(value["$blob"])
    return None


def _files(attachments: list[Attachment], files_dir: Path) -> tuple[File, ...]:
    return tuple(File(each.id, each.name, each.size, each.media_type, files_dir / each.id) for each in attachments)
