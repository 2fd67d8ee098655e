"""A server that is told to stop: what it says, what it finishes, what it hands over, and when it is gone."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from netra.app import ABANDON_SECONDS, STOP_SECONDS
from support.scenes import Scene
from support.server import ServerProcess
from support.sockets import open_socket

DRAIN_SECONDS = 3.0
MACHINE_SECONDS = 2.0
"""For a process that ends on a busy machine."""


async def test_a_stopping_server_says_so_finishes_what_it_can_and_hands_over_the_rest(
    start_server: Callable[..., ServerProcess], database_url: str, tmp_path: Path
) -> None:
    """Three runs: one that ends in time, one that does not, and one that waits for its turn."""
    server = start_server(
        agents=["support.deaths:steps"],
        database_url=None if database_url.startswith("sqlite") else database_url,
        environment={"NETRA_DRAIN_SECONDS": str(DRAIN_SECONDS), "NETRA_RUNS_RUNNING": "2"},
    )
    scene = await asyncio.to_thread(Scene, server)
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    threads = []
    for folder in folders[:2]:
        threads.append(await asyncio.to_thread(scene.send, "steps", f"2 {folder}"))
        await asyncio.to_thread(scene.until, threads[-1], "tool_completed")
    threads.append(await asyncio.to_thread(scene.send, "steps", f"1 {folders[2]}"))
    in_time, late, waiting = threads
    async with open_socket(scene.account) as socket:
        await socket.send("subscribe", thread_id=in_time, after=0)
        await socket.of_type("tool_completed")
        began = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        await socket.of_type("draining", timeout=MACHINE_SECONDS)
        (folders[0] / "2").touch()
        assert await socket.close_code_within() == 1012
        assert await stopping in (0, -signal.SIGTERM)
    took = time.monotonic() - began
    assert DRAIN_SECONDS <= took < DRAIN_SECONDS + STOP_SECONDS + 2 * ABANDON_SECONDS + MACHINE_SECONDS
    ended = [line for line in server.output.splitlines() if '"run_ended"' in line]
    runs = {sent.thread: sent.run for sent in scene.sent}
    assert len(ended) == 1
    assert str(runs[in_time]) in ended[0], "the one that could end did, and the one that waited was not begun"
    assert "stop_forced" not in server.output
    (folders[1] / "2").touch()
    await asyncio.to_thread(server.start)
    ends = {thread: await asyncio.to_thread(scene.end, thread, 30) for thread in threads}
    assert {thread: (end["status"], end["final_response"]) for thread, end in ends.items()} == {
        in_time: ("succeeded", "sum 3"),
        late: ("succeeded", "sum 3"),
        waiting: ("succeeded", "sum 1"),
    }
    await asyncio.to_thread(scene.judge)
