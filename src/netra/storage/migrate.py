"""Bring a database to the newest schema. Called by `netra serve` at start and by `netra migrate`."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from netra.errors import ConfigurationError, Unavailable

from .database import parse_url, sync_engine
from .writer import is_broken

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x6E65747261  # "netra": two servers that start at once migrate one after the other


def newest() -> str:
    """The revision this version of the code works with. Files in `versions/` are named after their revision."""
    return max(path.stem.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def current(connection: Connection) -> str | None:
    """The revision a database is at, or None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(url: str) -> tuple[str | None, str]:
    """Upgrade the database and return the revisions (before, after). Blocks: call it from a thread.

    Raises:
        ConfigurationError: the database was written by a newer version of Netra, or holds something else.
        Unavailable: the database cannot be reached.
    """
    engine = sync_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            before = current(connection)
            connection.rollback()
            target = newest()
            if before == target:
                return before, before
            if before is not None and before > target:
                raise ConfigurationError(
                    f"The database is at revision {before}, this version of Netra knows up to {target}.",
                    hint="Install the newer version of Netra that wrote it, or restore a backup.",
                )
            _upgrade(connection)
            return before, target
    except DBAPIError as error:
        if not is_broken(error):
            raise ConfigurationError(
                "The database could not be migrated, and was left as it is.",
                hint=f"Look at what is in it, or restore a backup. It answered: {error.orig}",
            ) from error
        raise Unavailable(
            "The database cannot be reached.", hint=f"Check database_url and that the server runs: {error.orig}"
        ) from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Alembic is slow to import and seldom needed.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(config, "head")
