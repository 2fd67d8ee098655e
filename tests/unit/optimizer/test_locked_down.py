"""SQL of the optimizer reaches the loaded rows and nothing else, in its time, and stops when the run is cancelled."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from netra.agents.optimizer.database import open_database
from netra.agents.optimizer.records import Cancelled, Limits, SourceFile
from netra.agents.optimizer.workspace import Plan, Workspace

from .analysis import AZURE, DAY, workspace


@pytest.fixture
def work() -> Any:
    made = workspace(AZURE / "code.csv", price_as="gpt-4o", limits=Limits(query_seconds=0.5))
    yield made
    made.close()


def test_a_select_is_answered(work: Workspace) -> None:
    answer = work.query_usage("SELECT count(*) AS n, sum(input) AS tokens FROM priced")
    assert answer == {"columns": ["n", "tokens"], "rows": [[8819, 18059974]], "truncated": False}


def test_rows_are_limited(work: Workspace) -> None:
    answer = work.query_usage("SELECT * FROM priced")
    assert len(answer["rows"]) == 200
    assert answer["truncated"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('https://example.com/x.parquet')",
        "COPY priced TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "DROP TABLE priced",
        "CREATE TABLE t AS SELECT 1",
        "UPDATE priced SET cost = 0",
        "SELECT 1; DROP TABLE priced",
        "PRAGMA database_list",
        "EXPLAIN ANALYZE DELETE FROM priced",
        "SELECT getenv('HOME')",
        "SELEC",
        "",
    ],
)
def test_anything_else_is_refused(work: Workspace, sql: str) -> None:
    answer = work.query_usage(sql)
    assert "problem" in answer, answer
    assert "root:" not in str(answer)
    assert work.query_usage("SELECT count(*) FROM priced")["rows"] == [[8819]]


def test_no_statement_can_open_the_lock() -> None:
    import duckdb

    connection = open_database([AZURE / "code.csv"], Limits())
    for statement in (
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET memory_limit = '100GB'",
        "RESET lock_configuration",
        "SELECT * FROM read_csv('/etc/passwd')",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    connection.close()


def test_a_slow_query_is_stopped(work: Workspace) -> None:
    work.price_usage()
    started = time.monotonic()
    answer = work.query_usage("SELECT sum(a.input * b.output + c.input) FROM priced a, priced b, priced c")
    assert "took longer than 0.5 seconds" in answer["problem"]["message"]
    assert time.monotonic() - started < 10


def test_a_cancelled_run_stops_the_query() -> None:
    cancelled = threading.Event()
    files = [SourceFile("f", "code.csv", AZURE / "code.csv")]
    work = Workspace(files, Plan(as_of=DAY, price_as="gpt-4o"), cancelled)
    work.price_usage()
    threading.Timer(0.2, cancelled.set).start()
    with pytest.raises(Cancelled):
        work.query_usage("SELECT sum(a.input * b.output + c.input) FROM priced a, priced b, priced c")
    work.close()


def test_temporary_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    work = workspace(AZURE / "code.csv")
    work.profile_usage()
    assert list(tmp_path.iterdir())
    work.close()
    assert not list(tmp_path.iterdir())
