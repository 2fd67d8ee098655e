"""Migrations build exactly the tables of the code, on both databases, there and back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from netra.errors import ConfigurationError, Unavailable
from netra.storage.database import parse_url, sync_engine
from netra.storage.migrate import _MIGRATIONS, migrate, newest
from netra.storage.tables import metadata


@pytest.fixture
def engine(empty_database_url: str) -> Iterator[Engine]:
    engine = sync_engine(parse_url(empty_database_url))
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_migrations_build_exactly_the_tables_of_the_code(empty_database_url: str, engine: Engine) -> None:
    assert migrate(empty_database_url) == (None, newest())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    assert tables(engine) == set(metadata.tables) | {"alembic_version"}


def test_a_second_migration_does_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url)
    assert migrate(empty_database_url) == (newest(), newest())


def test_going_down_and_up_again_leaves_the_same_tables(empty_database_url: str, engine: Engine) -> None:
    migrate(empty_database_url)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        with connection.begin():
            command.downgrade(config, "base")
    assert tables(engine) == {"alembic_version"}
    migrate(empty_database_url)
    assert tables(engine) == set(metadata.tables) | {"alembic_version"}


def test_a_migration_that_fails_changes_nothing(empty_database_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (id INTEGER)"))  # in the way
    with pytest.raises(ConfigurationError) as refused:
        migrate(empty_database_url)
    assert "runs" in (refused.value.hint or "")
    assert tables(engine) == {"runs"}


def test_a_database_of_a_newer_version_is_refused(empty_database_url: str, engine: Engine) -> None:
    migrate(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999"):
        migrate(empty_database_url)


def test_processes_that_start_at_once_migrate_one_after_the_other(empty_database_url: str, engine: Engine) -> None:
    code = "import sys; from netra.storage.migrate import migrate; migrate(sys.argv[1])"
    starting = [
        subprocess.Popen([sys.executable, "-c", code, empty_database_url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in starting:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert tables(engine) == set(metadata.tables) | {"alembic_version"}


def test_a_database_that_is_away_is_unavailable(port: int) -> None:
    with pytest.raises(Unavailable) as away:
        migrate(f"postgresql://postgres@127.0.0.1:{port}/none")
    assert away.value.hint


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "http://x"])
def test_another_database_is_refused_with_what_to_write_instead(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_url(url)
    assert "postgresql://" in (refused.value.hint or "")
