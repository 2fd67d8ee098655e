"""What coming back costs: the replay of a log, and a thousand readers that come back at once.

    python benchmarks/resume.py [--quick] [--rounds N] [--only TEXT]

The replay is timed from `subscribe` to `live`, for a reader that has nothing yet, beside the time the bare driver takes
to read the same rows. In the storm, 1,000 readers connect, authenticate and subscribe at the same moment, 100 events
behind; meanwhile four other users go on asking an agent that answers at once, and what counts is how much longer their
answers take than before.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from _sockets import EVENT_MARKER, Crowd
from harness import (
    CLIENT_CORE,
    PROGRAMS,
    Column,
    Sample,
    arguments,
    chosen,
    core,
    cpu_seconds,
    interleave,
    machine,
    netra_server,
    quantile,
    report,
    versions,
)
from run_overhead import NetraClient, connect_netra, personal_token

from netra.clock import SystemClock, rfc3339
from netra.events import AgentThinking
from netra.ids import new_id
from netra.log import Bus, Entry, ThreadLog
from netra.storage import Database

BEHIND = 100
OTHERS = 4
PAUSE = 0.1
"""Seconds between the questions of one of the others, which keeps them below the limit of commands per second."""
LIVE = b'"type":"live"'
REASONING = "Looking at the next part of the data, which is about as long as this sentence."


class Server:
    """`netra serve` with a thread of 1,000 and one of 100,000 events."""

    def __init__(self, stack: ExitStack, sizes: tuple[int, ...]) -> None:
        from support.accounts import register, set_up_admin

        self.process = stack.enter_context(netra_server(["bench_agents:echo"], heartbeat_seconds=3600))
        admin = set_up_admin(self.process)
        self.token = personal_token(admin)
        others = [register(self.process.base_url, f"other{number}@example.com") for number in range(OTHERS)]
        self.others = [personal_token(each) for each in others]
        self.threads: dict[int, str] = {}
        with admin.client() as client:
            for size in sizes:
                self.threads[size] = client.post("/api/threads", json={}).raise_for_status().json()["id"]
        self.database: Path = self.process.data_dir / "netra.db"
        for size, thread_id in self.threads.items():
            asyncio.run(_fill(self.database, thread_id, admin.id, size))
        self.headers = {"Authorization": f"Bearer {self.token}", "Sec-WebSocket-Protocol": "netra.v1"}

    def replay(self, size: int) -> Callable[[], Sample]:
        """One reader without history asks for all of it."""
        hello = json.dumps({"type": "subscribe", "thread_id": self.threads[size], "after": 0})

        def once() -> Sample:
            with Crowd(self.process.port, "/ws", self.headers, [hello]) as crowd:
                before, began = cpu_seconds(self.process.pid), time.perf_counter()
                crowd.grow(1)
                crowd.count(EVENT_MARKER, size)
                seconds = time.perf_counter() - began
                cpu = cpu_seconds(self.process.pid) - before
            return {"ms": seconds * 1000, "cpu_us_per_event": cpu / size * 1e6}

        return once

    def driver(self, size: int) -> Callable[[], Sample]:
        """The bare driver reads the same rows."""

        def once() -> Sample:
            connection = sqlite3.connect(self.database)
            try:
                began, cpu = time.perf_counter(), time.process_time()
                query = "SELECT seq, body FROM events WHERE thread_id = ? AND seq > 0 ORDER BY seq"
                read = len(connection.execute(query, (self.threads[size],)).fetchall())
                seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            finally:
                connection.close()
            assert read == size
            return {"ms": seconds * 1000, "cpu_us_per_event": cpu / size * 1e6}

        return once

    async def storm(self, readers: int, size: int) -> Sample:
        """Other users' runs in the calm before, and while readers come back."""
        waits: list[tuple[float, float]] = []
        ended = asyncio.Event()

        async def ask(client: NetraClient) -> None:
            while not ended.is_set():
                began = time.perf_counter()
                _, end = await client.run()
                waits.append((began, end * 1000))
                await asyncio.sleep(PAUSE)

        arguments = [str(self.process.port), self.token, self.threads[size], str(size - BEHIND), str(readers)]
        crowd = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAMS / "storm.py"), *arguments, stdin=-1, stdout=-1
        )
        assert crowd.stdin is not None
        async with AsyncExitStack() as stack:
            clients = [await connect_netra(self.process.ws_url, token, stack) for token in self.others]
            asking = [asyncio.create_task(ask(client)) for client in clients]
            await asyncio.sleep(2 if readers < 1000 else 5)
            began = time.perf_counter()
            output, _ = await crowd.communicate(b"\n")
            finished = time.perf_counter()
            ended.set()
            await asyncio.gather(*asking)
        calm = [wait for start, wait in waits if start + wait / 1000 < began]
        during = [wait for start, wait in waits if start + wait / 1000 >= began and start < finished]
        return {
            "all_live_ms": float(output) * 1000,
            "calm_p50_ms": quantile(calm, 0.5),
            "calm_p99_ms": quantile(calm, 0.99),
            "storm_p50_ms": quantile(during, 0.5),
            "storm_p99_ms": quantile(during, 0.99),
            "p99_ratio": quantile(during, 0.99) / quantile(calm, 0.99),
        }


async def _fill(database: Path, thread_id: str, user_id: str, size: int) -> None:
    """Append events as an earlier run left them."""
    store = Database(f"sqlite:///{database}")
    await store.start()
    log = ThreadLog(store, Bus(), SystemClock())
    run_id, now = new_id("run"), rfc3339(SystemClock().now())
    try:
        for first in range(0, size, 1000):
            entries = [
                Entry(
                    new_id("key"),
                    AgentThinking(
                        event_id=new_id("evt"),
                        thread_id=thread_id,
                        run_id=run_id,
                        user_id=user_id,
                        agent_name="writer",
                        timestamp=now,
                        step_number=number,
                        reasoning=REASONING,
                    ),
                )
                for number in range(first, min(first + 1000, size))
            ]
            await log.append(thread_id, entries)
    finally:
        await store.stop()


def main() -> None:
    """Run it."""
    options = arguments(__doc__ or "", rounds=5)
    sizes, readers = ((1000, 5000), 100) if options.quick else ((1000, 100_000), 1000)
    before = machine()
    with core(CLIENT_CORE), ExitStack() as stack:
        server = Server(stack, sizes)
        variants: dict[str, Any] = {}
        baseline: dict[str, str] = {}
        for size in sizes:
            ours, peer = f"replay of {size:,} events", f"bare driver reads {size:,} rows"
            variants |= {ours: server.replay(size), peer: server.driver(size)}
            baseline |= {ours: peer, peer: peer}
        variants[f"{readers:,} readers come back"] = lambda: asyncio.run(server.storm(readers, sizes[1]))
        samples = interleave(chosen(variants, options), options.rounds, warm_up=not options.quick)
    report(
        "resume",
        samples,
        [
            Column("ms", "ms", 1, ratio=True),
            Column("cpu_us_per_event", "CPU µs per event", 1),
            Column("all_live_ms", "all live after ms", 0),
            Column("calm_p50_ms", "others: p50 before ms", 1),
            Column("calm_p99_ms", "p99 before", 1),
            Column("storm_p50_ms", "p50 meanwhile", 1),
            Column("storm_p99_ms", "p99 meanwhile", 1),
            Column("p99_ratio", "p99 ratio", 2),
        ],
        baseline=baseline,
        options=options,
        versions=versions("uvicorn", "aiosqlite", "sqlalchemy"),
        before=before,
        parameters={"sizes": sizes, "readers": readers, "behind": BEHIND, "others": OTHERS},
    )


if __name__ == "__main__":
    main()
