"""Feedback: what a user says of an answer, with a thumb up or down and, if they like, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from netra.clock import Clock
from netra.errors import Conflict, NotFound
from netra.identity import Scope
from netra.sessions import RequestScopedSessionFactory
from netra.sessions.tracker import Note, unnoted
from netra.storage.tables import feedback, micros, moment, runs, threads
from netra.text import clean_text

Thumb = Literal[1, -1]
TEXT_CHARS = 4_000
MOST_OF_A_THREAD = 1_000
"""How many ratings of one thread are given at once, the newest of them."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What a user said of one answer.

    Args:
        rating: 1 for good, -1 for bad.
        text: in the user's words; empty when they said nothing more.
    """

    run_id: str
    thread_id: str
    rating: Thumb
    text: str
    created_at: datetime
    updated_at: datetime


def _rating(row: Row[Any]) -> Rating:
    return Rating(
        run_id=row.run_id,
        thread_id=row.thread_id,
        rating=1 if row.rating > 0 else -1,
        text=row.comment,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


class Feedback:
    """The feedback of one user at a time, on their own runs. `note` is told when some is given."""

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock, *, note: Note = unnoted) -> None:
        self._database = database
        self._clock = clock
        self._note = note

    async def give(self, scope: Scope, run_id: str, rating: Thumb, text: str = "") -> Rating:
        """Say what an answer was worth. What was said of it before is replaced.

        Raises:
            NotFound: there is no such run, or it is not the caller's.
            Conflict: it has not ended: there is no answer to judge yet.
            InvalidInput: the text is too long or cannot be stored.
        """
        words = clean_text(text, field="text", max_chars=TEXT_CHARS).strip()
        now = micros(self._clock.now())

        def work(connection: Connection) -> Row[Any]:
            mine = (runs.c.id == run_id) & (runs.c.user_id == scope.user_id)
            run = connection.execute(
                select(runs.c.thread_id, runs.c.agent, runs.c.ended_at).where(mine).with_for_update()
            ).one_or_none()
            if run is None:
                raise _missing()
            if run.ended_at is None:
                raise Conflict("This run has not ended.", hint="Give feedback when its answer is there.")
            values = {"rating": rating, "comment": words, "updated_at": now}
            changed = connection.execute(update(feedback).where(feedback.c.run_id == run_id).values(values))
            if changed.rowcount == 0:
                connection.execute(
                    insert(feedback).values(
                        run_id=run_id,
                        user_id=scope.user_id,
                        thread_id=run.thread_id,
                        agent=run.agent,
                        created_at=now,
                        **values,
                    )
                )
            return connection.execute(select(feedback).where(feedback.c.run_id == run_id)).one()

        given = _rating(await self._database.write(work))
        self._note(scope.user_id, "feature:feedback", thread_id=given.thread_id)
        return given

    async def of_run(self, scope: Scope, run_id: str) -> Rating:
        """What the caller said of one answer.

        Raises:
            NotFound: there is no such run, it is not the caller's, or the caller said nothing of it.
        """

        def work(connection: Connection) -> Row[Any]:
            row = connection.execute(select(feedback).where(_said(scope, run_id))).one_or_none()
            if row is None:
                _authorise(connection, scope, run_id)
                raise NotFound("You gave no feedback on this run.", hint="PUT gives it.")
            return row

        return _rating(await self._database.query(work))

    async def take_back(self, scope: Scope, run_id: str) -> None:
        """Forget what the caller said of an answer. Nothing happens when that was nothing.

        Raises:
            NotFound: there is no such run, or it is not the caller's.
        """

        def work(connection: Connection) -> None:
            if connection.execute(delete(feedback).where(_said(scope, run_id))).rowcount == 0:
                _authorise(connection, scope, run_id)

        await self._database.write(work)

    async def of_thread(self, scope: Scope, thread_id: str) -> list[Rating]:
        """What the caller said of the answers of a thread, the newest run first.

        Raises:
            NotFound: there is no such thread, or it is not the caller's.
        """

        def work(connection: Connection) -> list[Row[Any]]:
            mine = (threads.c.id == thread_id) & (threads.c.user_id == scope.user_id)
            if connection.execute(select(threads.c.id).where(mine)).scalar() is None:
                raise NotFound("There is no such thread.")
            said = (feedback.c.thread_id == thread_id) & (feedback.c.user_id == scope.user_id)
            statement = select(feedback).where(said).order_by(feedback.c.run_id.desc()).limit(MOST_OF_A_THREAD)
            return list(connection.execute(statement))

        return [_rating(row) for row in await self._database.query(work)]


def _said(scope: Scope, run_id: str) -> Any:
    return (feedback.c.run_id == run_id) & (feedback.c.user_id == scope.user_id)


def _missing() -> NotFound:
    return NotFound("There is no such run.")


def _authorise(connection: Connection, scope: Scope, run_id: str) -> None:
    mine = (runs.c.id == run_id) & (runs.c.user_id == scope.user_id)
    if connection.execute(select(runs.c.id).where(mine)).scalar() is None:
        raise _missing()
