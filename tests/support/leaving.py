"""A run that goes on while its readers come and go without a word, and the trace it leaves."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from netra.ids import new_id

from .accounts import Account, set_up_admin
from .collector import Collector, Received
from .server import ServerProcess
from .sockets import open_socket


def ask(account: Account, agent: str, content: str, **members: Any) -> dict[str, Any]:
    """Send a message over HTTP, and say where it went."""
    with account.client() as client:
        answer = client.post("/api/messages", json={"id": new_id("m"), "content": content, "agent": agent, **members})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def has_ended(run_id: str, spans: list[Received]) -> bool:
    """Whether the span of a run's message is there, which is sent at its end."""
    return any(span.name == "message" and span.about["netra.run.id"] == run_id for span in spans)


async def read_and_left(tmp_path: Path, many: int) -> list[Received]:
    """One run that goes on while `many` readers follow it for a moment and go without a word."""
    gates = tmp_path / "gates"
    gates.mkdir()
    with Collector() as collector:
        environment = collector.environment | {"NETRA_SOCKETS_PER_USER": "1000"}
        server = ServerProcess(tmp_path / "data", agents=["support.agents:steps"], environment=environment)
        with server:
            account = await asyncio.to_thread(set_up_admin, server)
            sent = await asyncio.to_thread(ask, account, "steps", f"4 {gates}")
            chance = random.Random(5)
            left = iter(range(many))

            async def reader() -> None:
                for number in left:
                    async with open_socket(account) as reading:
                        await reading.send("subscribe", thread_id=sent["thread_id"], after=0)
                        if chance.random() < 0.5:
                            await reading.of_type("agent_started")
                        reading.connection.transport.abort()
                    if number % (many // 4) == 0:
                        (gates / str(2 + number // (many // 4))).touch()

            await asyncio.gather(*(reader() for _ in range(8)))
            for number in (2, 3, 4):
                (gates / str(number)).touch()
            await asyncio.to_thread(collector.wait, lambda spans: has_ended(sent["run_id"], spans))
            await asyncio.to_thread(server.stop)
        return list(collector.spans)
