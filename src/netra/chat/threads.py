"""Threads: create, list, search, rename, delete, and read their logs. The doors call this, with the caller's scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Row,
    bindparam,
    case,
    cast,
    collate,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Text

from netra.engine import RunEngine
from netra.errors import InvalidInput, NotFound
from netra.identity import Scope
from netra.ids import new_id
from netra.log import Page, Placed, ThreadLog, Transaction
from netra.sessions import RequestScopedSessionFactory
from netra.sessions.tracker import Note, unnoted
from netra.storage.prepared import Prepared
from netra.storage.tables import blobs, events, files, moment, runs, threads
from netra.text import clean_id, clean_text

from .files import Files

OnBusy = Literal["queue", "reject"]
TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation owned by one user."""

    id: str
    title: str
    agent: str | None
    on_busy: OnBusy
    created_at: datetime
    updated_at: datetime
    last_seq: int
    running: bool


_running = select(runs.c.id).where(runs.c.thread_id == threads.c.id, runs.c.ended_at.is_(None)).exists()
_create = Prepared(insert(threads), ["id", "user_id", "title", "created_at", "updated_at"])
_mine = Prepared(
    select(threads.c.id).where(threads.c.id == bindparam("thread"), threads.c.user_id == bindparam("user"))
)
_columns: list[Any] = [*threads.c, _running.label("running")]


def _thread(row: Row[Any]) -> Thread:
    return Thread(
        id=row.id,
        title=row.title,
        agent=row.agent,
        on_busy=row.on_busy,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        last_seq=row.last_seq,
        running=bool(row.running),
    )


def missing() -> NotFound:
    """The answer for a thread that does not exist and for one that belongs to somebody else."""
    return NotFound("There is no such thread.")


class Threads:
    """Threads of one user at a time. `note` is told of searches, and of threads that are gone."""

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        log: ThreadLog,
        engine: RunEngine,
        stored: Files,
        *,
        note: Note = unnoted,
    ) -> None:
        self._database = database
        self._log = log
        self._engine = engine
        self._files = stored
        self._note = note

    async def create(self, scope: Scope, title: str | None = None) -> Thread:
        """A new, empty thread."""
        name = clean_text(title or "", field="title", max_chars=TITLE_CHARS).strip() or "New thread"
        thread_id = new_id("thr")

        def work(tx: Transaction) -> None:
            create_in(tx, scope, thread_id, name)
            tx.thread_changed(thread_id)

        await self._log.transact(work)
        return await self.get(scope, thread_id)

    async def get(self, scope: Scope, thread_id: str) -> Thread:
        """One thread.

        Raises:
            NotFound: it does not exist or is not the caller's.
        """
        async with self._database.read() as connection:
            row = (await connection.execute(select(*_columns).where(_owned(scope, thread_id)))).one_or_none()
        if row is None:
            raise missing()
        return _thread(row)

    async def list(
        self, scope: Scope, *, query: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Thread], str | None]:
        """Threads, the most recently changed first, and the cursor of the next page.

        Args:
            query: only threads whose title, questions or answers contain this text, whatever the case.
            limit: at most this many, 1 to 200.
            cursor: as returned with the page before.
        """
        statement = select(*_columns).where(threads.c.user_id == scope.user_id)
        if cursor:
            statement = statement.where(tuple_(threads.c.updated_at, threads.c.id) < _position(cursor))
        statement = statement.order_by(threads.c.updated_at.desc(), threads.c.id.desc()).limit(limit + 1)
        wanted = clean_text(query, field="q", max_chars=200).strip() if query else ""
        async with self._database.read() as connection:
            if wanted:
                statement = statement.where(_contains(wanted, connection.dialect))
            rows = (await connection.execute(statement)).all()
        if wanted and not cursor:
            self._note(scope.user_id, "feature:search")
        more = f"{rows[limit - 1].updated_at}.{rows[limit - 1].id}" if len(rows) > limit else None
        return [_thread(row) for row in rows[:limit]], more

    async def update(
        self, scope: Scope, thread_id: str, *, title: str | None = None, on_busy: OnBusy | None = None
    ) -> Thread:
        """Rename a thread, or say what happens to a message sent while a run is going on."""
        changes: dict[str, str] = {}
        if title is not None:
            changes["title"] = clean_text(title, field="title", max_chars=TITLE_CHARS, min_chars=1).strip()
            if not changes["title"]:
                raise InvalidInput("A title needs at least one visible character.", field="title")
        if on_busy is not None:
            changes["on_busy"] = on_busy

        def work(tx: Transaction) -> None:
            if changes:
                changed = tx.connection.execute(update(threads).where(_owned(scope, thread_id)).values(changes))
                if changed.rowcount != 1:
                    raise missing()
                tx.thread_changed(thread_id)

        await self._log.transact(work)
        return await self.get(scope, thread_id)

    async def delete(self, scope: Scope, thread_id: str) -> None:
        """Remove a thread with everything in it: its log, runs and files. What still runs is stopped."""

        def work(tx: Transaction) -> tuple[Sequence[str], Sequence[str]]:
            execute = tx.connection.execute
            if execute(select(threads.c.id).where(_owned(scope, thread_id))).scalar() is None:
                raise missing()
            running = execute(select(runs.c.id).where(runs.c.thread_id == thread_id, runs.c.ended_at.is_(None)))
            stored = execute(select(files.c.id).where(files.c.thread_id == thread_id))
            gone = running.scalars().all(), stored.scalars().all()
            tx.thread_deleted(thread_id)
            execute(delete(threads).where(threads.c.id == thread_id))
            return gone

        run_ids, file_ids = await self._log.transact(work)
        for run_id in run_ids:
            await self._engine.cancel(run_id)
        await self._files.unlink(file_ids)
        self._note(scope.user_id, "thread_deleted", thread_id=thread_id)

    async def events(self, scope: Scope, thread_id: str, *, after: int = 0, limit: int = 500) -> Page:
        """Part of a thread's log."""
        await self.authorise(scope, thread_id)
        return await self._log.read(thread_id, after, limit)

    async def follow(self, scope: Scope, thread_id: str, *, after: int = 0) -> AsyncIterator[Placed]:
        """A thread's log and what is added to it, for ever; see `ThreadLog.follow`."""
        await self.authorise(scope, thread_id)
        return self._log.follow(thread_id, after)

    async def authorise(self, scope: Scope, thread_id: str) -> None:
        """Raise NotFound unless the thread is the caller's."""
        values = {"thread": thread_id, "user": scope.user_id}
        if await self._database.query(lambda connection: _mine.scalar(connection, values)) is None:
            raise missing()

    async def blob(self, scope: Scope, blob_id: str) -> bytes:
        """The JSON of a value that was too large for its event."""
        async with self._database.read() as connection:
            body = (
                await connection.execute(
                    select(blobs.c.body).where(blobs.c.id == blob_id, blobs.c.user_id == scope.user_id)
                )
            ).scalar()
        if body is None:
            raise NotFound("There is no such blob.")
        return bytes(body)


def create_in(tx: Transaction, scope: Scope, thread_id: str, title: str) -> None:
    """Create a thread within a transaction."""
    values = {"id": thread_id, "user_id": scope.user_id, "title": title, "created_at": tx.now, "updated_at": tx.now}
    _create.run(tx.connection, values)


def _owned(scope: Scope, thread_id: str) -> ColumnElement[bool]:
    return (threads.c.id == thread_id) & (threads.c.user_id == scope.user_id)


def _contains(wanted: str, dialect: Dialect) -> ColumnElement[bool]:
    """Whether a thread's title or something said in it contains a text, whatever the case."""
    pattern = "%" + wanted.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"

    def found_in(text: ColumnElement[str]) -> ColumnElement[bool]:
        if dialect.name == "postgresql":
            # The database's own collation may know the case of ASCII letters only. Before 17, it takes ICU.
            modern = (dialect.server_version_info or (0,)) >= (17,)
            text = collate(text, "pg_c_utf8" if modern else "und-x-icu")
        return func.lower(text).like(pattern, escape="\\")

    said = select(events.c.seq).where(
        events.c.thread_id == threads.c.id,
        events.c.type.in_(("user_message", "agent_completed")),
        found_in(_text_of_event(dialect)),
    )
    return or_(found_in(threads.c.title), said.exists())


def _text_of_event(dialect: Dialect) -> ColumnElement[str]:
    """What an event says: a question, or an answer, which may be a blob."""
    if dialect.name == "postgresql":
        body = _jsonb(events.c.body)
        part, part_text = func.jsonb_extract_path, func.jsonb_extract_path_text
        question = part_text(body, "content")
        is_text = func.jsonb_typeof(part(body, "final_response")) == "string"
        inline = case((is_text, part_text(body, "final_response")))
        blob_id = part_text(body, "final_response", "$blob")
        of_blob = _jsonb(blobs.c.body)[()].astext
    else:
        text = cast(events.c.body, Text)
        question = func.json_extract(text, "$.content")
        inline = case((func.json_type(text, "$.final_response") == "text", func.json_extract(text, "$.final_response")))
        blob_id = func.json_extract(text, '$.final_response."$blob"')
        of_blob = func.json_extract(cast(blobs.c.body, Text), "$")
    return func.coalesce(question, inline, select(of_blob).where(blobs.c.id == blob_id).scalar_subquery())


def _jsonb(stored: ColumnElement[bytes]) -> Any:
    """JSON that is kept as bytes. jsonb cannot hold NUL, which an agent may have written: NULL, not searched, then."""
    text = func.convert_from(stored, "UTF8")
    return case((func.strpos(text, "\\u0000") == 0, cast(text, JSONB)))  # the order is only certain within CASE


def _position(cursor: str) -> tuple[int, str]:
    changed, _, thread_id = cursor.partition(".")
    if not changed.isascii() or not changed.isdigit() or len(changed) > 18 or not thread_id:
        raise InvalidInput("This cursor is not one that a list returned.", field="cursor")
    return int(changed), clean_id(thread_id, field="cursor")
