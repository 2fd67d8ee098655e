"""What a server has written down, for commands that only read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from netra.config import Settings
from netra.errors import ConfigurationError

if TYPE_CHECKING:
    from netra.sessions import RequestScopedSessionFactory

T = TypeVar("T")


def read_records(settings: Settings, work: Callable[[RequestScopedSessionFactory], Awaitable[T]]) -> T:
    """Run `work` on the database that the settings name, migrated, and return its result.

    Raises:
        ConfigurationError: there is none. Making one would let a mistyped directory look like a server without a
            worry.
        Unavailable: it cannot be reached.
    """
    from netra.sessions import RequestScopedSessionFactory
    from netra.storage import Database
    from netra.storage.database import parse_url
    from netra.storage.migrate import migrate

    url = parse_url(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise ConfigurationError(
            f"There is no database at {url.database}.", hint="Name the data directory of the server with --data-dir."
        )

    async def run() -> T:
        database = RequestScopedSessionFactory(Database(settings.database, read_connections=1))
        await database.start()
        try:
            return await work(database)
        finally:
            await database.stop()

    migrate(settings.database)
    return asyncio.run(run())
