"""Users, cut readers and a server that is killed again and again; the judge of histories has the last word.

What happens when is drawn from a seed. A run that fails names it: `NETRA_SEED=7 pytest …` plays it again (the machine's
own timing aside). `NETRA_SEEDS=20` plays as many, one after the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from support.accounts import Account, register
from support.history import Asked, Entry, Got, Log, Rested, Sent, check
from support.server import ServerProcess
from support.sockets import EVENTS, read_stream
from support.waiting import until

USERS = 3
THREADS = 2
MESSAGES = 3
READERS = 2
KILLS = 2
SEEDS = (
    [int(os.environ["NETRA_SEED"])]
    if "NETRA_SEED" in os.environ
    else range(1, 1 + int(os.environ.get("NETRA_SEEDS", "1")))
)
GONE = (httpx.TransportError, websockets.WebSocketException, OSError, EOFError, TimeoutError)


class Play:
    """One history in the making."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self.server = server
        self.seed = seed
        self.random = random.Random(seed)
        self.history: list[Entry] = []
        self.goals: dict[str, int] = {}
        """By thread, the last seq of its log when all has ended."""

    async def run(self) -> list[str]:
        people = [await asyncio.to_thread(register, self.server.base_url) for _ in range(USERS)]
        threads = {person.id: [await self._thread(person) for _ in range(THREADS)] for person in people}
        readers = [
            asyncio.create_task(self._read(person, thread, f"{person.id} {thread} {number}", random.Random(number)))
            for person in people
            for thread in threads[person.id]
            for number in range(READERS)
        ]
        writers = [
            asyncio.create_task(self._write(person, thread)) for person in people for thread in threads[person.id]
        ]
        for _ in range(KILLS):
            await asyncio.sleep(self.random.uniform(0.2, 1.5))
            await asyncio.to_thread(self.server.kill9)
            await asyncio.to_thread(self.server.start)
        await asyncio.gather(*writers)
        for person in people:
            await self._settle(person, threads[person.id])
        _, late = await asyncio.wait(readers, timeout=30)
        for reader in late:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        self.history += [Rested(task.get_name()) for task in late]
        return check(self.history)

    async def _thread(self, person: Account) -> str:
        async with person.async_client() as client:
            return str((await client.post("/api/threads", json={})).json()["id"])

    async def _write(self, person: Account, thread: str) -> None:
        for _ in range(MESSAGES):
            await asyncio.sleep(self.random.uniform(0, 0.8))
            key = secrets.token_hex(6)
            content = (
                f"{self.random.randrange(1, 120)} {self.random.randrange(1, 40)} {self.random.randrange(1, 8)} {key}"
            )
            body = {"id": key, "content": content, "agent": "talk"}
            while True:
                try:
                    async with person.async_client(timeout=10) as client:
                        answer = await client.post(f"/api/threads/{thread}/messages", json=body)
                except GONE:
                    self.history.append(Sent(person.id, key, content))
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == 503:
                    await asyncio.sleep(0.1)
                    continue
                assert answer.status_code == 202, answer.text
                sent = answer.json()
                self.history.append(Sent(person.id, key, content, sent["thread_id"], sent["seq"], sent["run_id"]))
                if self.random.random() < 0.8:  # else: again, though it was acknowledged
                    break

    async def _read(self, person: Account, thread: str, name: str, dice: random.Random) -> None:
        """Follow a thread over one wire or the other, cut at random, resumed from what was applied."""
        task = asyncio.current_task()
        assert task is not None
        task.set_name(name)
        last = 0
        while last != self.goals.get(thread):
            patience = dice.choice([1, 3, 10, 40, 1000])
            self.history.append(Asked(name, person.id, thread, last))
            events = self._socket(person, thread, last) if dice.random() < 0.6 else self._stream(person, thread, last)
            try:
                async for event in events:
                    self.history.append(Got(name, event))
                    last = max(last, event["seq"])
                    patience -= 1
                    if patience == 0 or last == self.goals.get(thread):
                        break
            except GONE:
                await asyncio.sleep(0.05)
            finally:
                await events.aclose()
        self.history.append(Rested(name))

    async def _socket(self, person: Account, thread: str, last: int) -> Any:
        options = {"additional_headers": person.headers, "proxy": None, "open_timeout": 5}
        connection = await connect(self.server.ws_url, **options)
        try:
            await connection.send(json.dumps({"type": "subscribe", "thread_id": thread, "after": last}))
            while thread not in self.goals or last < self.goals[thread]:
                try:
                    frame = json.loads(await asyncio.wait_for(connection.recv(), 1))
                except TimeoutError:
                    continue  # perhaps the goal is known by now
                if frame["type"] in EVENTS:
                    last = frame["seq"]
                    yield frame
                elif frame["type"] == "resync":
                    return
        finally:
            connection.transport.abort()

    async def _stream(self, person: Account, thread: str, last: int) -> Any:
        headers = {**person.headers, "Accept": "text/event-stream", "Last-Event-ID": str(last)}
        async with (
            person.async_client(headers=headers, timeout=httpx.Timeout(5, read=2)) as client,
            client.stream("GET", f"/api/threads/{thread}/events") as answer,
        ):
            if answer.status_code != 200:
                raise EOFError
            async for item in read_stream(answer.aiter_lines()):
                if item is not None:
                    assert item[0] == item[1]["seq"]
                    yield item[1]

    async def _settle(self, person: Account, threads: list[str]) -> None:
        """Wait until every run has ended, and record the logs."""
        async with person.async_client() as client:

            async def at_rest() -> bool:
                return not any(thread["running"] for thread in (await client.get("/api/threads")).json()["items"])

            await until(at_rest, "the end of every run", seconds=60)
            for thread in threads:
                page = (await client.get(f"/api/threads/{thread}/events", params={"limit": 1000})).json()
                self.history.append(Log(person.id, thread, tuple(page["events"])))
                self.goals[thread] = page["last_seq"]


@pytest.mark.stress
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_doubled_or_reordered_while_readers_are_cut_and_the_server_is_killed(
    tmp_path: Path, database_url: str, seed: int
) -> None:
    environment = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_RUN_ATTEMPTS": str(KILLS + 2)}
    server = ServerProcess(
        tmp_path / "server", agents=["support.chatty:talk"], database_url=database_url, environment=environment
    )
    with server:
        play = Play(server, seed)
        faults = await play.run()
        again = f"NETRA_SEED={seed} python -m pytest tests/integration/test_reliability.py"
        if faults:
            kept = tmp_path / "history.txt"
            kept.write_text("\n".join(map(repr, play.history)))
            pytest.fail(f"{len(faults)} broken promises, such as {faults[:5]}\n{kept}\nagain: {again}")
        ends = [e for log in play.history if isinstance(log, Log) for e in log.events if e["type"] == "agent_completed"]
        assert len(ends) == USERS * THREADS * MESSAGES, again
        assert {end["status"] for end in ends} == {"succeeded"}, again
        got = sum(isinstance(entry, Got) for entry in play.history)
        asked = sum(isinstance(entry, Asked) for entry in play.history)
        assert got > 100, again
        assert asked > 2 * USERS * THREADS * READERS, again
        assert server.tracebacks == []
