"""A PostgreSQL that does not answer any more: whoever asks hears of it in time, and all is well when it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from netra.errors import Unavailable
from netra.storage import Database, postgres, writer
from support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server this test may freeze."""
    server = PostgresServer()
    server.start()
    yield server
    server.thaw()
    server.stop()


def count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM notes")).scalar_one())


async def test_reads_and_writes_are_refused_while_it_hangs_and_work_again_after(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(postgres, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 1.0)
    database = Database(own_postgres.create_database(), read_connections=2)
    await database.start()

    def insert(connection: Connection) -> None:
        connection.execute(text("INSERT INTO notes VALUES (1)"))

    async def read() -> int:
        async with database.read() as connection:
            return int((await connection.execute(text("SELECT count(*) FROM notes"))).scalar_one())

    await database.write(lambda connection: connection.execute(text("CREATE TABLE notes (id INTEGER)")) and None)
    assert await database.query(count) == await read() == 0  # so that connections are open
    own_postgres.freeze()
    async with asyncio.timeout(30):
        answers = await asyncio.gather(database.write(insert), database.query(count), read(), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    own_postgres.thaw()
    async with asyncio.timeout(30):
        await database.write(insert)
        assert await database.query(count) == await read() == 1
        await database.stop()


async def test_a_statement_that_takes_too_long_is_ended_and_the_writer_goes_on(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 1)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.0)
    database = Database(postgres_url)
    await database.start()
    async with asyncio.timeout(30):
        with pytest.raises(Unavailable):
            await database.write(lambda connection: connection.execute(text("SELECT pg_sleep(60)")).scalar())
        assert await database.write(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
        await database.stop()


async def test_nobody_waits_longer_than_a_stopping_server_allows(own_postgres: PostgresServer) -> None:
    database = Database(own_postgres.create_database())
    await database.start()

    def create(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE notes (id INTEGER)"))

    await database.write(create)
    own_postgres.freeze()
    writes = [asyncio.create_task(database.write(count))]
    await asyncio.sleep(0.1)  # the writer has begun with it, and the next one waits
    writes.append(asyncio.create_task(database.write(count)))
    database.finish_within(60)
    database.finish_within(0.2)
    database.finish_within(60)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 2
        with pytest.raises(Unavailable):
            await database.write(count)
        await database.stop()
    own_postgres.thaw()
    await database.start()
    assert await database.write(count) == 0, "another start has all the time again"
    await database.stop()
