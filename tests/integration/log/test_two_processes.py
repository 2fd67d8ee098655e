"""Two processes on one database: what a client does at both counts once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from netra.chat import Approvals, Messages
from netra.config import Settings
from netra.engine.engine import Engine
from netra.errors import Conflict
from netra.identity import Scope
from netra.ids import new_id
from netra.storage.tables import approvals
from support.logs import Bench, bench


def parts(it: Bench, url: str, tmp_path: Path) -> tuple[Messages, Approvals]:
    """The use cases of one process, whose engine stays stopped."""
    settings = Settings(data_dir=tmp_path, database_url=url, runs_queued=1000)
    engine = Engine(settings, {}, it.database, it.log, it.clock)
    return Messages(it.log, engine, settings, it.clock, ["echo"]), Approvals(it.log, engine, it.clock)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_message_sent_to_both_is_stored_once_and_both_answer_the_same(
    database_url: str, tmp_path: Path, in_thread: bool
) -> None:
    async with bench(database_url) as one, bench(database_url) as two:
        thread = await one.thread()
        target = thread if in_thread else None
        scope = Scope(one.user_id, frozenset({"user"}))
        processes = [parts(it, database_url, tmp_path)[0] for it in (one, two)]
        base = 0
        for number in range(20):
            answers = await asyncio.gather(
                *(
                    process.send(
                        scope,
                        id=f"key {number}",
                        content="hello",
                        thread_id=target,
                        base_seq=base if in_thread else None,
                    )
                    for process in processes
                )
            )
            assert answers[0] == answers[1]
            base = answers[0].seq


async def test_an_approval_is_decided_once_and_the_log_says_what_the_row_says(
    database_url: str, tmp_path: Path
) -> None:
    async with bench(database_url) as one, bench(database_url) as two:
        thread = await one.thread()
        run_id = (await one.run(thread)).run_id
        scope = Scope(one.user_id, frozenset({"user"}))
        processes = [parts(it, database_url, tmp_path)[1] for it in (one, two)]
        for _ in range(20):
            approval = new_id("apr")

            def ask(connection: Connection, approval: str = approval) -> None:
                values = {"id": approval, "run_id": run_id, "thread_id": thread, "user_id": scope.user_id}
                connection.execute(
                    insert(approvals).values(**values, agent="a", digest=b"", default="denied", expires_at=2**60)
                )

            await one.database.write(ask)
            answers = await asyncio.gather(
                processes[0].resolve(scope, approval, "approved"),
                processes[1].resolve(scope, approval, "denied"),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers if answer != thread] == [Conflict]
            async with one.database.read() as connection:
                decision = (
                    await connection.execute(select(approvals.c.decision).where(approvals.c.id == approval))
                ).scalar_one()
            assert decision == ("approved" if answers[0] == thread else "denied")
            page = await one.log.read(thread)
            assert f'"decision":"{decision}"'.encode() in page.events[-1][2]
