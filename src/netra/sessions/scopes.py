"""A database session as the rest of the server knows it: everything one request, command or run asks of the database.

It holds no connection. Each read, query and write takes one for its own length; what they do is counted here. The
doors enter a session's scope (`RequestScopedSessionFactory.scope`), and a context variable carries it to whatever is
asked inside, for counting and for logs only: whose data may be read is decided by arguments, never by this.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

import structlog

from netra.monitoring.metrics import metrics

from .metrics import DatabaseSessionMetrics, SessionState, error_context

if TYPE_CHECKING:
    from types import TracebackType

    from .aggregator import SystemSessionAggregator
    from .uses import ConnectionUse

log = structlog.get_logger(__name__)

_current: ContextVar[RequestSession | None] = ContextVar("netra_database_session", default=None)


class StreamHoldsConnection(RuntimeError):
    """A stream begins while its request still has a database connection; see `RequestSession.begin_stream`."""


class RequestSession:
    """One logical session. It counts as one when something is first asked in it.

    Args:
        book: where it is counted.
        request_id: of the request, command or run it serves.
        user_id: whose it is; None while that is not known.
        thread_id: the thread it is about, if it is about one.
        run_id: the run it is about, if it is about one.
        session_id: its own id; default: a new one.
        around: the session inside which it was opened; connections of this one are held by that one too.
        kept: whether it has a scope; one without is made for a single question of a background task.
    """

    __slots__ = (
        "_around",
        "_book",
        "_token",
        "closed",
        "complained",
        "established",
        "held",
        "kept",
        "last_statement",
        "metrics",
        "request_id",
        "run_id",
        "session_id",
        "thread_id",
        "user_id",
    )

    def __init__(
        self,
        book: SystemSessionAggregator,
        *,
        request_id: str,
        user_id: str | None = None,
        thread_id: str | None = None,
        run_id: str | None = None,
        session_id: str | None = None,
        around: RequestSession | None = None,
        kept: bool = True,
    ) -> None:
        self._book = book
        self._around = around
        self._token: Token[RequestSession | None] | None = None
        self.request_id = request_id
        self.user_id = user_id
        self.thread_id = thread_id
        self.run_id = run_id
        self.session_id = session_id
        self.kept = kept
        self.held = 0
        """Connections it has at this moment."""
        self.last_statement = ""
        """Of the connections it gave back, without its values."""
        self.closed = False
        self.complained = False
        """Whether a failure of it was logged; further ones are only counted."""
        self.established: bool | None = None
        """Whether its first use got through to the database; None before that is known."""
        self.metrics: DatabaseSessionMetrics | None = None
        """What was counted; None before anything was asked."""

    def __enter__(self) -> RequestSession:
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            _current.reset(self._token)
            self._token = None
        self.end()

    def identify(self, user_id: str, *, thread_id: str | None = None) -> None:
        """Say whose session it is, once that is known."""
        self.user_id = user_id
        if thread_id is not None:
            self.thread_id = thread_id
        if self.metrics is not None:
            self.metrics.user_id = user_id

    def begin(self) -> DatabaseSessionMetrics:
        """Something is about to be asked. Returns the metrics, made at the first time."""
        found = self.metrics
        if found is None:
            if self.session_id is None:
                self.session_id = self._book.new_session_id()
            found = self.metrics = DatabaseSessionMetrics(self.session_id, self.request_id, self.user_id or "")
            self._book.opened(self)
        found.state = SessionState.ACTIVE
        return found

    def establish(self, worked: bool) -> None:
        """Its first use got through to the database, or did not."""
        if self.established is None:
            self.established = worked
            self._book.established(worked)

    def take(self) -> None:
        """It has one more connection."""
        self.held += 1
        if self._around is not None:
            self._around.held += 1

    def give_back(self) -> None:
        """It has one connection less."""
        self.held -= 1
        if self._around is not None:
            self._around.held -= 1

    def absorb(self, use: ConnectionUse) -> None:
        """Count what was done with a connection that somebody else's thread worked with."""
        queries, use.queries = use.queries, 0
        if not queries:
            return
        self.last_statement = use.statement
        metrics.db_queries.inc(queries)
        if not use.live and not self.closed and self.metrics is not None:
            self.metrics.query_count += queries
            self.metrics.mark_activity()

    def transacted(self) -> None:
        """A transaction began."""
        if self.metrics is not None and not self.closed:
            self.metrics.increment_transaction_count()

    def ended(self, state: SessionState) -> None:
        """A use of a connection is over; `state` is what it came to."""
        found = self.metrics
        if found is not None and not self.closed and found.state is not SessionState.ERROR:
            found.state = state

    def settled(self, committed: bool) -> None:
        """A transaction that could change something was committed or rolled back."""
        self._book.settled(committed)
        self.ended(SessionState.COMMITTED if committed else SessionState.ROLLED_BACK)

    def begin_stream(self, *, strict: bool) -> None:
        """The first byte of a stream is about to be sent: end the session, which must hold no connection any more.

        Args:
            strict: raise if it does; otherwise that is counted and logged, and the stream goes on.

        Raises:
            StreamHoldsConnection: it does.
        """
        held = self.held
        self.end()
        if not held:
            return
        metrics.stream_sessions_open.inc()
        log.error(
            "stream holds a database connection",
            connections=held,
            run_id=self.run_id,
            **error_context(self.metrics or self),
        )
        if strict:
            raise StreamHoldsConnection(
                f"Request {self.request_id} begins to stream and still has {held} database connection(s). "
                "Load what the stream needs and close the session before the first byte is sent."
            )

    def end(self) -> None:
        """Nothing more is asked in it. Safe to call twice."""
        if self.closed:
            return
        self.closed = True
        if self.metrics is not None:
            self.metrics.close_session()
            self._book.closed(self)


def current_session() -> RequestSession | None:
    """The session in whose scope this is, unless it has ended meanwhile."""
    session = _current.get()
    return None if session is None or session.closed else session


def origin_of_task() -> RequestSession | None:
    """The session in whose scope this task was started, even when it has ended."""
    return _current.get()


def identify(user_id: str) -> None:
    """Say whose the present session is. Outside of any, it does nothing."""
    session = current_session()
    if session is not None and session.user_id is None:
        session.identify(user_id)
