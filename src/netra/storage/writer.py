"""The group-commit writer: one thread, one connection, one transaction for everything that waits.

A commit that reaches the disk costs the same for one change as for a hundred. So callers hand over functions, the
thread takes all that have gathered while it wrote the last ones, runs each in a savepoint, commits once, and only then
answers anybody. Results reach the event loop in the order of the commits, which is what keeps a log's readers in
order. The queue is bounded; when it is full, `write` refuses instead of waiting. A server that stops sets a time after
which nobody waits any more (`finish_within`).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from netra.errors import Unavailable
from netra.monitoring.metrics import metrics

from .prepared import Prepared
from .uses import MARK, Use

T = TypeVar("T")

log = structlog.get_logger(__name__)

BATCH = 512
QUEUE = 20_000
_SAVEPOINT, _RELEASE, _ROLL_BACK = (Prepared(text(f"{word} unit")) for word in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))

RETRY_SECONDS = 20.0
"""How long the writer tries to reach a database that went away before it refuses the work that waits."""
JOIN_SECONDS = 1.0
"""How long the thread may take to end once nobody waits for it any more."""


@dataclass(slots=True)
class _Unit:
    work: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    committed: Callable[[Any], None] | None
    use: Use | None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """See the module. Owns `engine`, which it disposes of when stopped."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._queue: deque[_Unit] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._writing: list[_Unit] = []
        """What the thread works on."""
        self._last: float | None = None
        """The monotonic time after which nobody waits."""
        self._connection: Connection | None = None
        """Kept between commits; only the thread touches it."""

    @property
    def pending(self) -> int:
        """Units that wait."""
        return len(self._queue)

    async def start(self) -> None:
        """Start the thread.

        Raises:
            Unavailable: the database cannot be reached.
        """
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._last = None
        self._thread = threading.Thread(target=self._run, name="netra-writer", daemon=True)
        self._thread.start()
        try:
            await self.write(lambda connection: None)
        except BaseException:
            await self.stop()
            raise

    def finish_within(self, seconds: float) -> None:
        """Let nobody wait for longer than `seconds` from now: what is not stored by then is refused, as is what comes
        later. For a server that stops, whose database may never answer again. A later call can only shorten it.
        """
        if self._loop is None:
            return
        last = time.monotonic() + seconds
        with self._wake:
            self._last = last if self._last is None else min(last, self._last)
            self._wake.notify()
        self._loop.call_later(seconds, self._refuse_rest)

    def _refuse_rest(self) -> None:
        """On the loop, because the thread may hang in a connection that does not answer."""
        with self._wake:
            rest = [*self._writing, *self._queue]
            self._queue.clear()
        waited = [unit for unit in rest if not unit.future.done()]
        for unit in waited:
            unit.future.set_exception(
                Unavailable("The database did not confirm the change.", hint="Try again in a moment.")
            )
            unit.future.exception()  # a caller may have gone; its error is then nobody's
        if waited:
            log.error("writes_given_up", units=len(waited))

    async def stop(self) -> None:
        """Write what was accepted, then end the thread. After `finish_within` a thread that hangs is left behind."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._wake:
            self._stopping = True
            self._wake.notify()
        last = None if self._last is None else max(0.0, self._last - time.monotonic()) + JOIN_SECONDS
        await asyncio.to_thread(thread.join, last)
        if thread.is_alive():
            log.warning("writer_left_behind")
        self._engine.dispose()

    async def write(
        self, work: Callable[[Connection], T], committed: Callable[[T], None] | None = None, use: Use | None = None
    ) -> T:
        """See `Database.write`."""
        assert self._loop is not None
        future: asyncio.Future[T] = self._loop.create_future()
        with self._wake:
            if self._stopping or self._is_late():
                raise Unavailable("The server is stopping.", hint="Try again in a moment.")
            if len(self._queue) >= QUEUE:
                raise Unavailable("Too much waits to be written.", hint="Try again in a moment.")
            self._queue.append(_Unit(work, future, committed, use))
            self._wake.notify()
        # A caller that gives up must not undo work whose outcome it no longer sees: the unit runs all the same.
        return await asyncio.shield(future)

    def _is_late(self) -> bool:
        return self._last is not None and time.monotonic() >= self._last

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._disconnect()

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if not self._queue:
                    return
                batch = self._writing = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            started = time.perf_counter()
            self._write(batch)
            metrics.commit_seconds.observe(time.perf_counter() - started)
            metrics.commit_units.observe(len(batch))
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(_settle, batch)
            except RuntimeError:  # the loop is gone: nobody waits any more
                return
            with self._wake:
                self._writing = []

    def _write(self, batch: list[_Unit]) -> None:
        """Run the batch to its commit; try again while the database is away or another process was in the way."""
        deadline = time.monotonic() + RETRY_SECONDS
        pause = 0.05
        while True:
            try:
                self._attempt(batch)
                return
            except _Broken as broken:
                late = time.monotonic() > deadline or self._is_late()
                if late or (self._stopping and not broken.transient):
                    _refuse(batch, "The database cannot be reached.", broken.cause)
                    log.error("write_refused", units=len(batch), error=type(broken.cause).__name__)
                    return
                log.warning("write_retry", units=len(batch), error=type(broken.cause).__name__)
                time.sleep(pause)
                pause = min(pause * 2, 1.0)
            except BaseException as error:  # the commit itself failed: the outcome is unknown, so nothing is repeated
                log.error("commit_failed", units=len(batch), exc_info=True)
                _refuse(batch, "The database did not confirm the change.", error)
                return

    def _attempt(self, batch: list[_Unit]) -> None:
        connection = self._connected()
        try:
            try:
                transaction = connection.begin()
                stored = self._work(connection, batch)
            except BaseException as error:
                raise _Broken(error, transient=not connection.invalidated) from error
            if stored:
                transaction.commit()
            else:
                transaction.rollback()
        except BaseException:
            self._disconnect()
            raise

    def _work(self, connection: Connection, batch: list[_Unit]) -> bool:
        """Run the units. Returns whether there is anything to commit; raises when the whole transaction is lost."""
        if len(batch) == 1:  # it has the transaction for itself and needs no savepoint
            return self._succeeds(connection, batch[0])
        for unit in batch:
            _SAVEPOINT.run(connection, {})
            if not self._succeeds(connection, unit):
                _ROLL_BACK.run(connection, {})
            _RELEASE.run(connection, {})
        return True

    def _succeeds(self, connection: Connection, unit: _Unit) -> bool:
        """Run a unit and keep what came of it. Raises when the whole transaction is lost."""
        unit.result = unit.error = None
        connection.info[MARK] = unit.use
        try:
            unit.result = unit.work(connection)
        except BaseException as error:
            if is_broken(error):
                raise
            unit.error = error
        finally:
            connection.info[MARK] = None
        return unit.error is None

    def _connected(self) -> Connection:
        if self._connection is None:
            try:
                self._connection = self._engine.connect()
            except (DBAPIError, OSError) as error:
                raise _Broken(error) from error
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._is_late():
                connection.invalidate()  # the pool it came from may be gone, and would keep it open
            connection.close()


class _Broken(Exception):
    """The transaction is lost, before its commit: nothing of it was stored."""

    def __init__(self, cause: BaseException, *, transient: bool = False) -> None:
        self.cause = cause
        self.transient = transient


_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
# Classes of SQLSTATE (PostgreSQL, appendix A): connection, transaction rollback, insufficient resources, operator
# intervention, system error; and read-only transaction, which a server that fails over answers.
_POSTGRESQL = ("08", "40", "53", "57P", "58", "25006")


def is_broken(error: BaseException) -> bool:
    """Whether an error is about the connection or the whole transaction and not about one unit of work.

    Both drivers also raise OperationalError for what one unit did wrong, such as a key that is too long for its index.
    That must not hold up the others.
    """
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in _SQLITE
    state = getattr(cause, "sqlstate", None)
    if state is None:  # the driver's own: the connection was lost in the middle
        return isinstance(error, OperationalError | InterfaceError)
    return str(state).startswith(_POSTGRESQL)


def _refuse(batch: list[_Unit], message: str, cause: BaseException) -> None:
    for unit in batch:  # an error of its own for each caller, who raises it, and for whom it is counted
        unit.error = Unavailable(message, hint="Try again in a moment.")
        unit.error.__cause__ = cause


def _settle(batch: list[_Unit]) -> None:
    for unit in batch:
        if unit.committed is not None and unit.error is None:
            try:
                unit.committed(unit.result)
            except Exception:
                log.exception("committed_callback_failed")  # those who wait for other units must hear of them
        if unit.use is not None:
            unit.use.settled(unit.error is None)
        if unit.future.done():
            continue
        if unit.error is not None:
            unit.future.set_exception(unit.error)
            unit.future.exception()  # a caller may have gone; its error is then nobody's
        else:
            unit.future.set_result(unit.result)
