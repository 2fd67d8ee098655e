"""Connections to PostgreSQL that give up: nothing waits for ever for a server that hangs or a network that is dead.

The server ends a statement that takes too long; TCP notices a machine that is gone; and where the machine lives but the
server on it does not answer, the client closes the connection. Each limit covers what the ones before it cannot see.
"""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
ANSWER_SECONDS = 35.0
"""How long an answer may take; more than `STATEMENT_SECONDS`, so that a server that lives says what was wrong."""
KEEPALIVE = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
UNACKNOWLEDGED_MILLISECONDS = 20_000

_INTERVAL = 0.1


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer does not come; whoever waits gets an OperationalError."""

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except psycopg.OperationalError:
            _close_unanswered(self.pgconn)
            raise


class BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """`BoundedConnection` for asyncio."""

    async def wait(self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None) -> T:
        try:
            return await super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except psycopg.OperationalError:
            _close_unanswered(self.pgconn)
            raise


def _close_unanswered(connection: psycopg.pq.abc.PGconn) -> None:
    if connection.transaction_status == TransactionStatus.ACTIVE:  # an error from the server would have ended it
        connection.finish()


def took_too_long(error: DBAPIError) -> bool:
    """Whether a statement was ended for its time; nothing of it was stored."""
    return isinstance(error.orig, QueryCanceled)


def network_limits() -> dict[str, Any]:
    """Arguments of a connection whose statements may take long, such as migrations."""
    return {
        "connect_timeout": CONNECT_SECONDS,
        **KEEPALIVE,
        "tcp_user_timeout": UNACKNOWLEDGED_MILLISECONDS,
    }


def limits(url_options: str | None) -> dict[str, Any]:
    """Arguments of every other connection.

    Args:
        url_options: `options` of the database URL, which are kept and come last.
    """
    options = f"-c statement_timeout={STATEMENT_SECONDS * 1000}"
    return {**network_limits(), "options": f"{options} {url_options}" if url_options else options}
