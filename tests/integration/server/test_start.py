"""What a start loads. Each module that is not needed to become ready, or to answer a command, costs everybody time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.schema import prepare
from support.server import ServerProcess

ROOT = Path(__file__).resolve().parents[3]
SAY_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
_IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| *([\w.]+)$", re.MULTILINE)

SERVER = {
    "aiosqlite",
    "argon2-cffi",
    "dbos",
    "fastapi",
    "joserfc",
    "msgspec",
    "prometheus-client",
    "psycopg",  # dbos imports it, whatever the database is
    "pydantic",
    "pydantic-settings",
    "python-multipart",
    "rich",
    "sqlalchemy",
    "structlog",
    "typer",
    "uvicorn",
    "watchfiles",  # uvicorn imports it
    "wsproto",
}
"""The dependencies that a server needs to become ready. What else we depend on is imported by what uses it."""

OURS_LATER = {f"netra.{name}" for name in ("compliance.check", "launcher", "agents.pydantic_ai", "storage.backup")}
ONLY_THE_SERVER = {"dbos", "fastapi", "starlette", "uvicorn", "netra.app", "netra.engine.engine", "netra.gateway"}
DATABASE = {"sqlalchemy", "psycopg", "netra.storage"}


def imported(text: str) -> set[str]:
    """The modules in what Python says of its imports."""
    found = set(_IMPORTED.findall(text))
    assert "netra" in found, "Python did not say what it imports"
    return found


def dependencies() -> set[str]:
    """The distributions that pyproject.toml asks for."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return {re.split(r"[\[<>=]", name)[0] for name in wanted}


def distributions(modules: set[str]) -> set[str]:
    """Where modules come from."""
    homes = packages_distributions()
    names = {name for module in modules for name in homes.get(module.partition(".")[0], ())}
    return {name.lower().replace("_", "-") for name in names}


def test_a_server_that_is_ready_has_loaded_only_what_that_takes(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environment=SAY_IMPORTS) as server:
        loaded = imported(server.output)
    assert dependencies() & distributions(loaded) == SERVER
    assert OURS_LATER & loaded == set()


@pytest.mark.parametrize(
    ("arguments", "not_loaded"),
    [
        ("--help", ONLY_THE_SERVER | DATABASE),
        ("backup --help", ONLY_THE_SERVER | DATABASE),
        ("dev --help", ONLY_THE_SERVER | DATABASE | {"netra.launcher"}),
        ("migrate", ONLY_THE_SERVER | {"alembic"}),
        ("alerts list", ONLY_THE_SERVER | {"alembic", "apprise"}),
    ],
)
def test_a_command_loads_nothing_of_the_server(arguments: str, not_loaded: set[str], tmp_path: Path) -> None:
    prepare(f"sqlite:///{tmp_path / 'netra.db'}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NETRA_")}
    done = subprocess.run(
        [sys.executable, "-m", "netra", *arguments.split()],
        cwd=tmp_path,
        env=environment | SAY_IMPORTS | {"NETRA_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not_loaded & imported(done.stderr) == set()
