"""One engine for each database: a second one is refused, a killed one is followed at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.errors import ConfigurationError
from support.engine import workbench
from support.processes import process, said
from support.waiting import until


async def answer(ctx: RunContext) -> str:
    return "answered"


@pytest.mark.stress
async def test_a_second_server_on_a_database_is_refused_and_takes_nothing(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [], start=False) as bench, process(database_url, tmp_path) as worker:
        thread, run_id = await bench.send(agent="counting")
        await said(worker, "waiting")
        with pytest.raises(ConfigurationError, match="Another Netra server works on this database") as refused:
            await bench.engine.start()
        assert refused.value.hint
        row = await bench.row(run_id)
        assert (row.state, row.attempt) == ("running", 1)
        (tmp_path / "go").touch()
        assert (await bench.ended_elsewhere(thread))["status"] == "succeeded"


@pytest.mark.stress
async def test_a_killed_server_is_followed_at_once(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [AgentSpec("answer", answer)], start=False) as bench:
        async with process(database_url, tmp_path) as worker:
            worker.kill()
            await worker.wait()
        await bench.engine.start()
        assert (await bench.ask("answer"))[0]["status"] == "succeeded"


async def test_a_stopped_engine_gives_the_database_back(database_url: str, tmp_path: Path) -> None:
    for _ in range(2):
        async with workbench(database_url, tmp_path, [AgentSpec("answer", answer)]) as bench:
            assert (await bench.ask("answer"))[0]["status"] == "succeeded"


async def test_two_data_directories_on_one_sqlite_file_are_two_servers_on_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with (
        workbench(url, tmp_path / "one", []),
        workbench(url, tmp_path / "two", [], start=False) as other,
    ):
        with pytest.raises(ConfigurationError):
            await other.engine.start()


@pytest.mark.postgres
async def test_an_engine_whose_session_was_ended_takes_the_database_again(postgres_url: str, tmp_path: Path) -> None:
    async with workbench(postgres_url, tmp_path, [AgentSpec("answer", answer)]) as bench:
        await end_session(postgres_url)
        assert (await bench.ask("answer"))[0]["status"] == "succeeded"

        async def held() -> bool:
            return await holders(postgres_url) == 1

        await until(held, "the engine to take the database")
        assert (await bench.ask("answer"))[0]["status"] == "succeeded"


@pytest.mark.postgres
async def test_an_engine_that_lost_the_database_to_another_begins_nothing(postgres_url: str, tmp_path: Path) -> None:
    async with workbench(postgres_url, tmp_path, [AgentSpec("answer", answer)]) as bench:
        with capture_logs() as logs:
            async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as other:
                key = await end_session(postgres_url)
                await other.execute("SELECT pg_advisory_lock(%s)", (key,))
                await until(lambda: any(each["event"] == "ownership_lost" for each in logs), "the loss to be noticed")
                thread, run_id = await bench.send(agent="answer")
                await asyncio.sleep(1.5)  # a sweep's time: nothing happens, so there is nothing to wait for
                assert (await bench.row(run_id)).state == "queued"
            assert (await bench.ended(thread, run_id))["status"] == "succeeded"
        assert [each["log_level"] for each in logs if each["event"] == "ownership_lost"] == ["error"]


LOCKS = (
    "FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND datname = current_database() AND application_name = 'netra engine'"
)


async def end_session(url: str) -> int:
    """End the session that holds the engine's lock. Returns the lock's key."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(
            f"SELECT pg_terminate_backend(pid, 5000), (classid::bigint << 32) + objid::bigint {LOCKS}"
        )
        ((ended, key),) = await cursor.fetchall()
        assert ended
        return int(key)


async def holders(url: str) -> int:
    """How many sessions of an engine hold its lock."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(f"SELECT count(*) {LOCKS}")
        ((count,),) = await cursor.fetchall()
        return int(count)
