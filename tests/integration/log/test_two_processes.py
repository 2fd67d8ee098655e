"""Two processes on one database: what a client does at both counts once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from netra.chat import Messages
from netra.config import Settings
from netra.engine.engine import Engine
from netra.identity import Scope
from support.logs import Bench, bench


def messages_of(it: Bench, url: str, tmp_path: Path) -> Messages:
    """The use case of one process, whose engine stays stopped."""
    settings = Settings(data_dir=tmp_path, database_url=url, runs_queued=1000)
    engine = Engine(settings, {}, it.database, it.log, it.clock)
    return Messages(it.log, engine, settings, it.clock, ["echo"])


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_message_sent_to_both_is_stored_once_and_both_answer_the_same(
    database_url: str, tmp_path: Path, in_thread: bool
) -> None:
    async with bench(database_url) as one, bench(database_url) as two:
        thread = await one.thread()
        target = thread if in_thread else None
        scope = Scope(one.user_id, frozenset({"user"}))
        processes = [messages_of(it, database_url, tmp_path) for it in (one, two)]
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
