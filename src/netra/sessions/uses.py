"""What SQLAlchemy's events tell of the connections, and to which session each belongs.

Storage marks a connection with the `ConnectionUse` it was given for; the listeners here move its counters. A use that
works in another thread (queries, the writer) is added to its session on the event loop, so that metrics need no lock.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from netra.errors import SessionReclaimed
from netra.storage.uses import MARK

from .metrics import SessionState
from .scopes import RequestSession

OPTION = "netra_use"
"""The execution option by which an ORM session's connections learn their use."""
_DEPTH = 12
_SKIPPED = ("netra/sessions/", "/contextlib.py", "/sqlalchemy/")


class ConnectionUse:
    """One use of one connection; implements `netra.storage.uses.Use`.

    Args:
        session: whom it is for.
        pool: the connection's.
        monotonic: the clock, for one that can leak; the writer's work has none.
    """

    __slots__ = (
        "_frames",
        "_monotonic",
        "connection",
        "held",
        "live",
        "pool",
        "queries",
        "reclaimed",
        "session",
        "since",
        "statement",
    )

    def __init__(self, session: RequestSession, pool: str, monotonic: Callable[[], float] | None = None) -> None:
        self.session = session
        self.pool = pool
        self._monotonic = monotonic
        self.since = 0.0
        """When it got its connection, on the clock's `monotonic`."""
        self.live = pool in ("read", "session")
        """Whether its statements run on the event loop, so that the session may be told at once."""
        self.queries = 0
        self.statement = ""
        """The last one, without its values."""
        self.connection: Connection | None = None
        self.held = False
        self.reclaimed = False
        self._frames = _frames() if monotonic is not None else []

    def acquired(self, connection: Connection) -> None:
        if self._monotonic is not None:
            self.since = self._monotonic()
            self.connection = connection

    def settled(self, committed: bool) -> None:
        self.session.absorb(self)
        self.session.settled(committed)

    def take(self) -> None:
        """The connection is there, and counts as held."""
        if not self.held:
            self.held = True
            self.session.take()
            self.session.establish(True)

    def give_back(self) -> None:
        """The connection is gone back to its pool, or is lost."""
        if self.held:
            self.held = False
            self.session.give_back()
        self.connection = None

    def stack(self) -> str:
        """Where the connection was asked for, innermost call last, as a traceback prints it."""
        frames = [traceback.FrameSummary(code.co_filename, line, code.co_name) for code, line in self._frames]
        return "".join(traceback.format_list(reversed(frames)))


def _frames() -> list[tuple[CodeType, int]]:
    """The calls that led here, innermost first. Lines of source are looked up only when somebody reads them."""
    found: list[tuple[CodeType, int]] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(found) < _DEPTH:
        code = frame.f_code
        if found or not any(part in code.co_filename for part in _SKIPPED):
            found.append((code, frame.f_lineno))
        frame = frame.f_back
    return found


def listen(pool: str, engine: Engine) -> None:
    """Hear what happens on an engine's connections; a `netra.storage.uses.Watcher`."""
    event.listen(engine, "after_cursor_execute", _executed)
    if pool in ("read", "query"):
        event.listen(engine, "begin", _began)
    if pool == "session":
        event.listen(engine, "engine_connect", _session_connected)
        event.listen(engine, "checkin", _session_gave_back)


def _executed(
    connection: Connection, _cursor: object, statement: str, _values: object, _context: object, _many: bool
) -> None:
    use: ConnectionUse | None = connection.info.get(MARK)
    if use is None or statement.startswith(("BEGIN", "COMMIT")):  # SQLite's transactions are statements
        return
    use.queries += 1
    use.statement = statement
    if use.live and use.session.metrics is not None:
        use.session.metrics.increment_query_count()


def _began(connection: Connection) -> None:
    use: ConnectionUse | None = connection.info.get(MARK)
    if use is not None and use.live:
        use.session.transacted()


def _session_connected(connection: Connection) -> None:
    use: ConnectionUse | None = connection.get_execution_options().get(OPTION)
    if use is not None:
        connection.info[MARK] = use
        use.acquired(connection)
        use.take()


def _session_gave_back(_connection: object, record: Any) -> None:
    use: ConnectionUse | None = record.info.pop(MARK, None)
    if use is not None:
        use.give_back()


class TaggedSession(Session):
    """The session inside the factory's AsyncSessions; `info` says whose it is, and its events move its metrics."""


def _use_of(session: Session) -> ConnectionUse:
    use: ConnectionUse = session.info[OPTION]
    return use


@event.listens_for(TaggedSession, "after_begin")
def _session_began(session: Session, transaction: SessionTransaction, _connection: Connection) -> None:
    if not transaction.nested:
        owner = _use_of(session).session
        owner.transacted()
        owner.ended(SessionState.ACTIVE)
        session.info["changed"] = True


@event.listens_for(TaggedSession, "after_commit")
def _session_committed(session: Session) -> None:
    # A savepoint that is released has committed nothing, nor has a session that never had a connection.
    if not session.in_nested_transaction() and session.info.pop("changed", False):
        _use_of(session).session.settled(True)


@event.listens_for(TaggedSession, "after_rollback")
def _session_rolled_back(session: Session) -> None:
    if not session.in_nested_transaction() and session.info.pop("changed", False):
        _use_of(session).session.settled(False)


@event.listens_for(TaggedSession, "do_orm_execute")
@event.listens_for(TaggedSession, "before_commit")
def _check_reclaimed(subject: Any) -> None:
    session = subject if isinstance(subject, Session) else subject.session
    if _use_of(session).reclaimed:
        raise SessionReclaimed()


@event.listens_for(TaggedSession, "before_flush")
def _check_reclaimed_flush(session: Session, _context: object, _instances: object) -> None:
    _check_reclaimed(session)
