"""Real services for one test or a few: a database, a server on it, its administrator, and users as they are needed."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal

from .accounts import Account, register, set_up_admin
from .server import ServerProcess


class LightweightServices:
    """A server of its own on an empty database; use it in a `with` block, which ends both and deletes what they wrote.

    Args:
        database: `sqlite`, or `postgresql` for a PostgreSQL server that is started for this.
        agents: import strings of the agents to serve, as `ServerProcess` takes them.
        environment: further environment variables of the server, usually `NETRA_…` settings.
    """

    server: ServerProcess
    database_url: str
    admin: Account

    def __init__(
        self,
        database: Literal["sqlite", "postgresql"] = "sqlite",
        *,
        agents: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if database not in ("sqlite", "postgresql"):
            raise ValueError(f"database is 'sqlite' or 'postgresql', not {database!r}")
        self._database = database
        self._agents = agents
        self._environment = {"NETRA_ALLOW_REGISTRATION": "true", **(environment or {})}
        self._open = ExitStack()

    def __enter__(self) -> LightweightServices:
        with ExitStack() as opening:
            folder = Path(opening.enter_context(tempfile.TemporaryDirectory(prefix="netra-services-")))
            self.database_url = self._start_database(opening, folder)
            self.server = ServerProcess(
                folder / "data",
                agents=self._agents,
                database_url=self.database_url,
                environment=self._environment,
                fresh=True,
            )
            opening.enter_context(self.server)
            self.admin = set_up_admin(self.server)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def new_user(self) -> Account:
        """A further user, signed in."""
        return register(self.server.base_url)

    def _start_database(self, opening: ExitStack, folder: Path) -> str:
        if self._database == "sqlite":
            return f"sqlite:///{folder / 'netra.db'}"
        from .postgres import PostgresServer

        postgres = PostgresServer()
        opening.callback(postgres.stop)
        postgres.start()
        return postgres.create_database(empty=True)
