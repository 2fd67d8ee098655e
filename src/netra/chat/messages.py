"""Send a message: the user's turn, its run and its place in the log, in one transaction.

The same idempotency key again gives the same answer and no second run, whatever happened in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from netra.clock import Clock, rfc3339
from netra.config import Settings
from netra.engine import RunEngine
from netra.errors import Conflict, InvalidInput, LimitReached
from netra.events import Attachment, UserMessage, decode
from netra.executions import Breakers
from netra.identity import Scope
from netra.ids import new_id
from netra.log import Entry, ThreadLog, Transaction
from netra.monitoring import tracing
from netra.storage.prepared import Prepared
from netra.storage.tables import files, messages, runs, threads
from netra.text import clean_id, clean_text

from .threads import create_in, missing

KEY_CHARS = 128
MISSED_BYTES = 256 * 1024
"""Bytes of missed events after which a conflict names no more; the rest is in the log."""


_sent_before = Prepared(
    select(messages).where(messages.c.user_id == bindparam("user"), messages.c.client_id == bindparam("client"))
)
_lock_thread = Prepared(
    select(threads).where(threads.c.id == bindparam("thread"), threads.c.user_id == bindparam("user")).with_for_update()
)
_open_runs = Prepared(
    select(runs.c.thread_id, runs.c.state, func.count().label("many"))
    .where(runs.c.user_id == bindparam("user"), runs.c.ended_at.is_(None))
    .group_by(runs.c.thread_id, runs.c.state)
)
_insert_message = Prepared(insert(messages), [column.name for column in messages.columns])
_insert_run = Prepared(
    insert(runs), ["id", "thread_id", "user_id", "agent", "state", "message_id", "message_seq", "created_at"]
)
_touch = Prepared(
    update(threads)
    .where(threads.c.id == bindparam("thread"))
    .values(updated_at=bindparam("now"), agent=bindparam("answering"), title=bindparam("name"))
)


@dataclass(frozen=True, slots=True)
class Sent:
    """Where a message went."""

    thread_id: str
    message_id: str
    run_id: str
    seq: int


class Messages:
    """Messages of one user at a time.

    Args:
        agents: names of the agents there are, the default first.
        breakers: say which agents rest because they failed repeatedly.
    """

    def __init__(
        self,
        log: ThreadLog,
        engine: RunEngine,
        settings: Settings,
        clock: Clock,
        agents: Collection[str],
        breakers: Breakers | None = None,
    ) -> None:
        self._log = log
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._agents = tuple(agents)
        self._breakers = breakers or Breakers()

    async def send(
        self,
        scope: Scope,
        *,
        id: str,
        content: str,
        thread_id: str | None = None,
        agent: str | None = None,
        attachments: Sequence[str] = (),
        base_seq: int | None = None,
    ) -> Sent:
        """Store a message and queue its run.

        Args:
            id: the idempotency key, chosen by the client.
            content: the text; may be empty when there are attachments.
            thread_id: None starts a new thread.
            agent: who answers; default: the thread's last agent, else the server's first.
            attachments: ids of uploaded files.
            base_seq: the last seq the client has applied; the message is refused when the thread has moved on.

        Raises:
            NotFound: the thread is not the caller's.
            InvalidInput: a field is wrong, an agent or a file unknown.
            Conflict: `base_seq` is stale (details: `missed`), the key was used for another message, or the thread is
                busy and says so.
            LimitReached: too many runs of this user wait.
            CircuitOpen: the agent has failed repeatedly and is not asked for a while.
        """
        clean_text(id, field="id", max_chars=KEY_CHARS, min_chars=1)
        content, wanted = self._checked(content, agent, attachments)
        digest = hashlib.sha256(msgspec.json.encode([content, thread_id, agent, wanted])).digest()
        message_id, run_id, event_id = new_id("msg"), new_id("run"), new_id("evt")
        new_thread = new_id("thr") if thread_id is None else None
        timestamp = rfc3339(self._clock.now())

        def work(tx: Transaction) -> Sent:
            connection = tx.connection
            # Locked before it is looked for: whoever else sends the same message to the thread is waited for.
            thread = _lock_thread.one(connection, {"thread": thread_id, "user": scope.user_id}) if thread_id else None
            before = _sent_before.one(connection, {"user": scope.user_id, "client": id})
            if before is not None:
                if bytes(before.digest) != digest:
                    raise Conflict("This id was used for another message.", hint="Choose a new id for each message.")
                return Sent(before.thread_id, before.id, before.run_id, before.seq)
            if new_thread is not None:
                create_in(tx, scope, new_thread, title_of(content) or "New thread")
                thread = _lock_thread.one(connection, {"thread": new_thread, "user": scope.user_id})
            if thread is None:
                raise missing()
            if base_seq is not None and base_seq != thread.last_seq:
                raise Conflict("The thread has moved on.", hint="Read what was missed, then send again.", stale=True)
            self._check_load(tx, scope, thread.id, thread.on_busy)
            answering = agent or (thread.agent if thread.agent in self._agents else None) or self._agents[0]
            self._breakers.get("agent", answering).check()
            event = UserMessage(
                event_id=event_id,
                thread_id=thread.id,
                run_id=run_id,
                user_id=scope.user_id,
                agent_name=None,
                timestamp=timestamp,
                message_id=message_id,
                content=content,
                attachments=_attach(tx, scope, thread.id, wanted),
            )
            (seq,) = tx.append(thread.id, [Entry(message_id, event)])
            answered = {"thread_id": thread.id, "user_id": scope.user_id}
            _insert_message.run(
                connection,
                answered | {"client_id": id, "id": message_id, "run_id": run_id, "seq": seq, "digest": digest},
            )
            _insert_run.run(
                connection,
                answered
                | {"id": run_id, "agent": answering, "state": "queued", "created_at": tx.now}
                | {"message_id": message_id, "message_seq": seq},
            )
            title = thread.title
            if thread.last_seq == 0 and title == "New thread":
                title = title_of(content) or title
            _touch.run(connection, {"thread": thread.id, "now": tx.now, "answering": answering, "name": title})
            tx.thread_changed(thread.id)
            return Sent(thread.id, message_id, run_id, seq)

        try:
            with tracing.sending(run_id) as span:
                try:
                    sent = await self._log.transact(work)
                except IntegrityError:  # another process has stored it meanwhile, and now it is found
                    sent = await self._log.transact(work)
                if span is not None:
                    span.stored(sent.run_id, sent.thread_id)
        except Conflict as conflict:
            if conflict.details.pop("stale", False) and thread_id is not None and base_seq is not None:
                page = await self._log.read(thread_id, base_seq, max_bytes=MISSED_BYTES)
                conflict.details["missed"] = [decode(wire) for _, _, wire in page.events]
            raise
        self._engine.wake()
        return sent

    def _checked(self, content: str, agent: str | None, attachments: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The text of a message and the ids of its files, each once, as they are stored.

        Raises:
            InvalidInput: there is nothing to send, too much, or nobody of that name to answer.
        """
        content = clean_text(content, field="content", max_chars=self._settings.content_chars)
        wanted = tuple(dict.fromkeys(clean_id(file_id, field="attachments") for file_id in attachments))
        if not content.strip() and not wanted:
            raise InvalidInput("Write a message or attach a file.", field="content")
        if len(wanted) > self._settings.attachments:
            raise InvalidInput(f"At most {self._settings.attachments} files with one message.", field="attachments")
        if agent is not None and agent not in self._agents:
            raise InvalidInput(
                f"There is no agent {agent[:80]!r}.", field="agent", hint=f"Agents: {', '.join(self._agents)}."
            )
        return content, wanted

    def _check_load(self, tx: Transaction, scope: Scope, thread_id: str, on_busy: str) -> None:
        open_runs = _open_runs.all(tx.connection, {"user": scope.user_id})
        if on_busy == "reject" and any(row.thread_id == thread_id for row in open_runs):
            raise Conflict("An answer is still being written in this thread.", hint="Wait for it, or stop it.")
        # What waits is what cannot start at once: beyond the places for running, and behind a run of its own thread.
        waiting = sum(row[2] for row in open_runs if row.state == "queued")
        if waiting >= self._settings.runs_queued + self._settings.runs_running or (
            waiting >= self._settings.runs_queued and sum(row[2] for row in open_runs) > waiting
        ):
            raise LimitReached(
                f"{waiting} of your messages are waiting already.", hint="Wait for some to be answered, or stop them."
            )


def title_of(content: str) -> str:
    """A thread's first title: the first line of its first message, cut at a word."""
    line = next((line.strip() for line in content.splitlines() if line.strip()), "")
    if len(line) <= 60:
        return line
    cut = line[:60]
    return (cut[: cut.rfind(" ")] if " " in cut[30:] else cut) + "…"


def _attach(tx: Transaction, scope: Scope, thread_id: str, wanted: Sequence[str]) -> list[Attachment]:
    """Bind uploaded files to the thread. A file belongs to one thread, and goes with it."""
    if not wanted:
        return []
    mine = (files.c.user_id == scope.user_id) & or_(files.c.thread_id.is_(None), files.c.thread_id == thread_id)
    rows = tx.connection.execute(select(files).where(files.c.id.in_(wanted), mine).with_for_update())
    found = {row.id: row for row in rows}
    for file_id in wanted:
        if file_id not in found:
            raise InvalidInput(
                f"There is no file {file_id[:80]!r} to attach here.", field="attachments", hint="Upload it again."
            )
    tx.connection.execute(update(files).where(files.c.id.in_(wanted)).values(thread_id=thread_id))
    return [
        Attachment(id=row.id, name=row.name, size=row.size, media_type=row.media_type)
        for row in (found[file_id] for file_id in wanted)
    ]
