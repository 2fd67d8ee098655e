"""The group-commit writer on both databases: one commit for many, and each answers for itself."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from netra.errors import Unavailable
from netra.storage import Database
from support.waiting import until

if TYPE_CHECKING:
    from support.postgres import PostgresServer


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.start()
    await database.write(execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"))
    yield database
    await database.stop()


def execute(statement: str, **parameters: object) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute(text(statement), parameters)

    return work


def note(number: int, body: str = "x") -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        connection.execute(text("INSERT INTO notes VALUES (:id, :body)"), {"id": number, "body": body})
        return number

    return work


async def stored(database: Database) -> list[int]:
    async with database.read() as connection:
        return list((await connection.execute(text("SELECT id FROM notes ORDER BY id"))).scalars())


class Hold:
    """Keeps the writer busy, so that what follows gathers into one batch."""

    def __init__(self, database: Database) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        self.task = asyncio.create_task(database.write(self._work))

    def _work(self, connection: Connection) -> None:
        self.begun.set()
        self.release.wait(30)

    async def __aenter__(self) -> Hold:
        await asyncio.to_thread(self.begun.wait, 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release.set()
        await self.task


async def test_a_failing_unit_undoes_only_its_own_changes(database: Database) -> None:
    def fail(connection: Connection) -> None:
        note(100)(connection)
        raise ValueError("no")

    def duplicate(connection: Connection) -> None:
        note(101)(connection)
        note(1)(connection)

    async with Hold(database):
        tasks = [asyncio.create_task(database.write(work)) for work in (note(1), fail, note(2), duplicate, note(3))]
        await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[2], results[4]] == [1, 2, 3]
    assert isinstance(results[1], ValueError)
    assert isinstance(results[3], DBAPIError)
    assert await stored(database) == [1, 2, 3]


async def test_an_operational_error_of_one_unit_does_not_hold_up_the_others(database: Database) -> None:
    poison = "SELECT no_such_function()"
    if database.dialect == "postgresql":
        await database.write(execute("CREATE TABLE narrow (name TEXT)"))
        await database.write(execute("CREATE INDEX narrow_name ON narrow (name)"))
        # random, so that it cannot be compressed below the limit of an index entry
        poison = "INSERT INTO narrow SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 1000)"
    async with Hold(database):
        tasks = [asyncio.create_task(database.write(work)) for work in (note(1), execute(poison), note(2))]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[2]] == [1, 2]
    assert isinstance(results[1], DBAPIError)
    assert await stored(database) == [1, 2]


async def test_results_and_callbacks_come_in_the_order_of_the_commits(database: Database) -> None:
    called: list[int] = []
    answered: list[int] = []

    async def write(number: int) -> None:
        answered.append(await database.write(note(number), committed=called.append))

    await asyncio.gather(*(write(number) for number in range(300)))
    assert called == list(range(300))
    assert answered == list(range(300))


async def test_many_units_share_a_commit(database: Database) -> None:
    seen: set[int] = set()

    def transaction(connection: Connection) -> None:
        if database.dialect == "postgresql":
            seen.add(connection.execute(text("SELECT txid_current()")).scalar_one())
        else:
            seen.add(id(connection.get_transaction()))

    async with Hold(database):
        tasks = [asyncio.create_task(database.write(transaction)) for _ in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert len(seen) == 1


async def test_what_a_caller_gave_up_on_is_written_and_published_all_the_same(database: Database) -> None:
    called: list[int] = []
    async with Hold(database):
        task = asyncio.create_task(database.write(note(7), committed=called.append))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await database.write(note(8))
    assert await stored(database) == [7, 8]
    assert called == [7]


async def test_an_error_nobody_waits_for_stays_quiet(database: Database) -> None:
    async with Hold(database):
        task = asyncio.create_task(database.write(execute("SELECT 1 FROM nowhere")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await database.write(note(1))


async def test_a_callback_that_fails_does_not_leave_others_waiting(database: Database) -> None:
    def fail(number: int) -> None:
        raise RuntimeError("a fault of ours")

    async with Hold(database):
        tasks = [
            asyncio.create_task(database.write(note(1), committed=fail)),
            asyncio.create_task(database.write(note(2))),
        ]
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*tasks) == [1, 2]


async def test_a_full_queue_refuses_instead_of_waiting(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netra.storage.writer.QUEUE", 3)
    async with Hold(database):
        tasks = [asyncio.create_task(database.write(note(number))) for number in range(3)]
        await asyncio.sleep(0)
        assert database.pending_writes == 3
        with pytest.raises(Unavailable):
            await database.write(note(9))
    assert await asyncio.gather(*tasks) == [0, 1, 2]


async def test_stopping_finishes_what_was_accepted(database_url: str) -> None:
    database = Database(database_url)
    await database.start()
    await database.write(execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"))
    tasks = [asyncio.create_task(database.write(note(number))) for number in range(50)]
    await asyncio.sleep(0)
    await database.stop()
    assert await asyncio.gather(*tasks) == list(range(50))
    with pytest.raises(Unavailable):
        await database.write(note(99))
    await database.start()
    assert len(await stored(database)) == 50
    await database.stop()
    await database.stop()


async def test_what_is_accepted_in_time_before_the_end_is_stored(database: Database) -> None:
    database.finish_within(0.3)
    assert await asyncio.gather(*(database.write(note(number)) for number in range(20)))
    await asyncio.sleep(0.31)  # the time is over
    with pytest.raises(Unavailable):
        await database.write(note(99))
    assert await stored(database) == list(range(20))


async def test_a_connection_for_reading_cannot_write(database: Database) -> None:
    async def write() -> None:
        async with database.read() as connection:
            await connection.execute(text("INSERT INTO notes VALUES (1, 'x')"))
            await connection.commit()

    with pytest.raises((Unavailable, DBAPIError)):
        await write()
    assert await stored(database) == []


async def test_a_read_sees_one_state_of_the_data(database: Database) -> None:
    await database.write(note(1))
    async with database.read() as connection:
        count = text("SELECT count(*) FROM notes")
        assert (await connection.execute(count)).scalar() == 1
        await database.write(note(2))
        assert (await connection.execute(count)).scalar() == 1
    assert await stored(database) == [1, 2]


async def test_a_query_cannot_write_and_sees_one_state(database: Database) -> None:
    await database.write(note(1))
    begun, go_on = threading.Event(), threading.Event()

    def count_twice(connection: Connection) -> list[int]:
        counts = [connection.execute(text("SELECT count(*) FROM notes")).scalar_one()]
        begun.set()
        go_on.wait(30)
        return [*counts, connection.execute(text("SELECT count(*) FROM notes")).scalar_one()]

    task = asyncio.create_task(database.query(count_twice))
    await asyncio.to_thread(begun.wait, 30)
    assert database.checked_out == 1
    await database.write(note(2))
    go_on.set()
    assert await task == [1, 1]
    with pytest.raises((Unavailable, DBAPIError)):
        await database.query(execute("INSERT INTO notes VALUES (3, 'x')"))
    assert await stored(database) == [1, 2]
    assert database.checked_out == 0


async def test_cancelled_reads_give_their_connections_back(database: Database) -> None:
    async def read() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(read()) for _ in range(8)]
    await until(lambda: database.checked_out == 8, "eight readers")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert database.checked_out == 0
    assert await stored(database) == []


async def test_fifty_concurrent_writers_lose_nothing(database: Database) -> None:
    async def write(writer: int) -> None:
        for number in range(20):
            await database.write(note(writer * 1000 + number))

    await asyncio.gather(*(write(writer) for writer in range(50)))
    assert len(await stored(database)) == 1000


_OTHER_PROCESS = """
import asyncio, sys
from sqlalchemy import text
from netra.storage import Database

async def main():
    database = Database(sys.argv[1])
    await database.start()
    print("ready", flush=True)
    async def write(number):
        await database.write(lambda c: c.execute(
            text("INSERT INTO notes VALUES (:id, 'other')"), {"id": 1_000_000 + number}).rowcount)
    for start in range(0, 500, 25):
        await asyncio.gather(*(write(number) for number in range(start, start + 25)))
    await database.stop()

asyncio.run(main())
"""


async def test_two_processes_write_to_one_database_and_neither_finds_it_locked(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OTHER_PROCESS, url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert other.stdout is not None
    await other.stdout.readline()

    async def write(writer: int) -> None:
        for number in range(20):
            await database.write(note(writer * 1000 + number))

    await asyncio.gather(*(write(writer) for writer in range(50)))
    _, errors = await other.communicate()
    assert other.returncode == 0, errors.decode()
    assert b"locked" not in errors
    assert len(await stored(database)) == 1500


async def test_a_lock_held_by_another_process_is_waited_for(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'netra.db'}")
    await database.start()
    await database.write(execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"))
    other = sqlite3.connect(tmp_path / "netra.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(database.write(note(1)))
    assert await stored(database) == []  # readers do not wait for writers
    await asyncio.wait({task}, timeout=0.3)
    assert not task.done()
    other.execute("COMMIT")
    other.close()
    assert await task == 1
    await database.stop()


@pytest.fixture(scope="module")
def durable_postgres() -> Iterator[PostgresServer]:
    """A server that keeps what it has acknowledged when it crashes."""
    postgres_module = pytest.importorskip("support.postgres")
    server = postgres_module.PostgresServer(synchronous_commit="on")
    server.start()
    yield server
    server.stop()


@pytest.mark.postgres
async def test_a_crash_of_postgres_loses_nothing_that_was_acknowledged(durable_postgres: PostgresServer) -> None:
    database = Database(durable_postgres.create_database())
    await database.start()
    await database.write(execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)"))
    acknowledged: set[int] = set()
    refused: set[int] = set()
    stop = asyncio.Event()

    async def write(writer: int) -> None:
        number = writer * 100_000
        while not stop.is_set():
            number += 1
            try:
                await database.write(note(number))
            except Unavailable:
                refused.add(number)
            else:
                acknowledged.add(number)

    async def more_writes() -> None:
        enough = len(acknowledged) + 200
        await until(lambda: len(acknowledged) >= enough, "200 acknowledged writes", seconds=60)

    writers = [asyncio.create_task(write(writer)) for writer in range(1, 11)]
    try:
        for _ in range(2):
            await more_writes()
            await asyncio.to_thread(durable_postgres.crash)
            await asyncio.to_thread(durable_postgres.resume)
            await more_writes()
    finally:
        stop.set()
    await asyncio.gather(*writers)
    kept = set(await stored(database))
    assert acknowledged <= kept
    assert kept <= acknowledged | refused
    await database.stop()


async def test_a_database_that_is_away_is_unavailable(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netra.storage.writer.RETRY_SECONDS", 0.2)
    database = Database(f"postgresql://postgres@127.0.0.1:{port}/none")
    with pytest.raises(Unavailable):
        async with asyncio.timeout(60):
            await database.start()
    with pytest.raises(Unavailable):
        async with database.read():
            pass
