"""What kind of failure of the database an error is, for counting and logging it once."""

from __future__ import annotations

import sqlite3

from psycopg.errors import QueryCanceled
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from netra.errors import NetraError, SessionReclaimed, Unavailable

KINDS = (
    "foreign",
    "pool_timeout",
    "disconnect",
    "statement_timeout",
    "locked",
    "connect",
    "reclaimed",
    "unavailable",
    "statement",
)
"""A session was used for a user it does not belong to; no connection came free; a connection broke; a statement took
too long; SQLite was locked by another process; the database cannot be reached; a session was held for too long and then
used; the server is not ready; any other."""


def root_of(error: BaseException) -> BaseException:
    """The database's own error behind one that was raised for it."""
    return _chain(error)[-1]


def mark_counted(error: BaseException) -> None:
    """Note that an error was counted. The error itself: several callers' errors may have one root."""
    error.netra_counted = True  # type: ignore[attr-defined]


def is_counted(error: BaseException) -> bool:
    """Whether an error, or one for which it was raised, was counted before."""
    return any(getattr(each, "netra_counted", False) for each in _chain(error))


def _chain(error: BaseException) -> list[BaseException]:
    found = [error]
    while isinstance(error, NetraError) and error.__cause__ is not None:
        error = error.__cause__
        found.append(error)
    return found


def kind_of(error: BaseException) -> str | None:
    """One of `KINDS`, or None for an error that says nothing about the database: what callers do wrong, and rows that
    exist already."""
    if isinstance(error, SessionReclaimed):
        return "reclaimed"
    root = root_of(error)
    if isinstance(root, Unavailable):
        return "unavailable"
    if isinstance(root, PoolTimeout):
        return "pool_timeout"
    if isinstance(root, IntegrityError):
        return None
    if isinstance(root, DBAPIError):
        return _kind_of_driver(root)
    if isinstance(root, sqlite3.Error):
        return "statement"
    if isinstance(root, SQLAlchemyError):
        return "statement"
    if isinstance(root, OSError) and isinstance(error, Unavailable):
        return "connect"
    return None


def _kind_of_driver(error: DBAPIError) -> str:
    cause = error.orig
    if isinstance(cause, QueryCanceled):
        return "statement_timeout"
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "locked"
        return "connect" if code == sqlite3.SQLITE_CANTOPEN else "statement"
    if error.connection_invalidated:
        return "disconnect"
    if isinstance(error, OperationalError | InterfaceError) and error.statement is None:
        return "connect"
    return "statement"
