"""On whose behalf a connection is used: what storage knows of it, which is next to nothing.

`Database` marks a connection with the use it was given for, so that whoever listens to SQLAlchemy's events (see
`netra.sessions`) can tell whose statement that was. Work for the writer shares a connection and a commit with others';
its use is told the outcome.
"""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection, Engine

MARK = "netra use"
"""The key in `Connection.info` under which a connection's present use is found."""


class Use(Protocol):
    """One use of one connection."""

    def acquired(self, connection: Connection) -> None:
        """The connection is there. Called where it is used: in a query's thread, or on the event loop."""
        ...

    def settled(self, committed: bool) -> None:
        """The writer has committed or undone the work. Called on the event loop, after the commit happened."""
        ...


class Watcher(Protocol):
    """Whoever wants to listen to the engines' events."""

    def __call__(self, pool: str, engine: Engine) -> None:
        """An engine was made and has no connection yet.

        Args:
            pool: `read`, `query`, `writer` or `session`.
        """
        ...


def mark(connection: Connection, use: Use | None) -> None:
    """Say what a connection is used for from now on."""
    if use is not None:
        connection.info[MARK] = use
        use.acquired(connection)
