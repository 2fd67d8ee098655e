"""Databases that have their tables already: copies of one that was made once in this process.

Making the tables costs half a second of CPU, more than most tests. On a copy the server sees that there is nothing to
do. Tests of the first start and of migrations ask for an empty database.

`python -m support.schema URL DATA_DIR` makes the tables, the server's and the engine's, in a process of its own: the
engine can run only once in a process, and a test may be running it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
_SQLITE = "sqlite:///"


def make_tables(url: str, data_dir: Path) -> None:
    """What a first start does to the database at `url`, and to the engine's in `data_dir`."""
    command = [sys.executable, "-m", "support.schema", url, str(data_dir)]
    made = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(TESTS)}, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def prepare(url: str, data_dir: Path | None = None) -> None:
    """Give an SQLite database that is not there yet its tables, and the engine's if `data_dir` says where that is.

    Databases of PostgreSQL have theirs from `PostgresServer.create_database`.
    """
    if url.startswith(_SQLITE):
        _copy("netra.db", Path(url.removeprefix(_SQLITE)))
        if data_dir is not None:
            _copy("engine.db", data_dir / "engine.db")


def _copy(name: str, to: Path) -> None:
    if not to.exists() and to.parent.is_dir():
        shutil.copyfile(_made() / name, to)


@cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="netra-schema-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_tables(f"{_SQLITE}{folder / 'netra.db'}", folder)
    return folder


async def _first_start(url: str, data_dir: Path) -> None:
    # Slow to import, and of no use to whoever only copies.
    from netra.engine.durable import Durable
    from netra.storage.migrate import migrate

    async def nothing(run_id: str) -> None:
        """There is no run to carry out."""

    migrate(url)
    engine = Durable(url, data_dir, "nobody", nothing)
    await engine.start()
    await engine.stop()


if __name__ == "__main__":
    asyncio.run(_first_start(sys.argv[1], Path(sys.argv[2])))
