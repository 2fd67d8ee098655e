"""A DuckDB in memory that can read the named files and nothing else. Opened by `workspace`, one for each analysis.

What guards it: `allowed_paths` with `enable_external_access = false` (no other file, no network, no COPY, ATTACH or
INSTALL), extensions neither installed nor loaded, limits of memory and threads, no spilling to disk, and
`lock_configuration`, after which no statement can change any of that. Long statements are interrupted when the run is
cancelled or their time is up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from netra.agents.optimizer.records import CancelFlag, Cancelled, Limits
from netra.errors import AgentError

if TYPE_CHECKING:
    import duckdb

__all__ = ["QueryTimeout", "guarded", "literal", "open_database"]


class QueryTimeout(AgentError):
    """A statement took longer than its limit."""


def literal(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def open_database(paths: Sequence[Path], limits: Limits) -> duckdb.DuckDBPyConnection:
    """A connection that is locked down before it has read anything.

    Args:
        paths: the only files it may read.
        limits: memory and threads.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    allowed = ", ".join(literal(str(path)) for path in paths)
    for statement in (
        f"SET memory_limit = {literal(limits.memory)}",
        f"SET threads = {limits.threads}",
        "SET temp_directory = ''",
        "SET TimeZone = 'UTC'",
        "SET enable_progress_bar = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET allow_community_extensions = false",
        f"SET allowed_paths = [{allowed}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


@contextmanager
def guarded(
    connection: duckdb.DuckDBPyConnection, cancelled: CancelFlag, seconds: float, what: str
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Interrupts what runs on `connection` inside the block when cancelled or after `seconds`.

    Raises:
        Cancelled: the run was cancelled.
        QueryTimeout: the time was up; `what` names the work.
    """
    import duckdb

    done = threading.Event()
    deadline = time.monotonic() + seconds

    def watch() -> None:
        while not done.wait(0.05):
            if cancelled.is_set() or time.monotonic() > deadline:
                connection.interrupt()

    watcher = threading.Thread(target=watch, name="duckdb-guard", daemon=True)
    watcher.start()
    try:
        yield connection
    except duckdb.InterruptException:
        if cancelled.is_set():
            raise Cancelled from None
        raise QueryTimeout(f"{what} took longer than {seconds:g} seconds and was stopped.") from None
    finally:
        done.set()
        watcher.join()
    if cancelled.is_set():
        raise Cancelled
