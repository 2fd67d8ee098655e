"""A server that is told to stop while its database is gone is gone itself soon; nothing that was confirmed is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netra.app import ABANDON_SECONDS, STOP_SECONDS
from support.postgres import PostgresServer
from support.relay import Relay
from support.scenes import Scene
from support.server import ServerProcess

DRAIN_SECONDS = 0.0
BOUND = 1 + STOP_SECONDS + 2 * ABANDON_SECONDS + 1
"""uvicorn gives connections a second at least, and the last one is for this machine."""


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server this test may stop. Asked for first, so that it outlives Netra's."""
    server = PostgresServer(synchronous_commit="on")
    server.start()
    yield server
    server.stop()


@pytest.mark.postgres
@pytest.mark.spec("death.one-terminal-state")
def test_a_server_stops_whatever_its_database_does_and_goes_on_later(
    own_postgres: PostgresServer, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """A cut network, a PostgreSQL that was stopped, and one that hangs; stopped by either signal."""
    direct = own_postgres.create_database()
    with Relay(own_postgres.port) as relay:
        url = direct.replace(f":{own_postgres.port}/", f":{relay.base_url.rpartition(':')[2]}/")
        server = start_server(
            agents=["support.deaths:steps"],
            database_url=url,
            environment={"NETRA_DRAIN_SECONDS": f"{DRAIN_SECONDS}", "NETRA_RUN_ATTEMPTS": "9"},
        )
        scene = Scene(server)
        outages = [
            (relay.cut, relay.mend, signal.SIGTERM),
            (own_postgres.crash, own_postgres.resume, signal.SIGINT),
            (own_postgres.freeze, own_postgres.thaw, signal.SIGTERM),
        ]
        threads: list[str] = []
        for number, (go, come_back, how) in enumerate(outages):
            folder = tmp_path / str(number)
            folder.mkdir()
            threads.append(scene.send("steps", f"3 {folder}"))
            scene.until(threads[-1], "tool_completed")
            go()
            (folder / "2").touch()
            time.sleep(1)  # until a step, its record and its events wait for the database, which nothing shows
            began = time.monotonic()
            server.stop(number=how)
            seconds = time.monotonic() - began
            come_back()
            assert seconds < BOUND, f"{seconds:.1f} s\n{server.output[-4000:]}"
            (folder / "3").touch()
            server.start()
        for thread in threads:
            end = scene.end(thread, 30)
            assert (end["status"], end["final_response"]) == ("succeeded", "sum 6")
        scene.judge()
        server.close()


def test_a_server_whose_child_keeps_its_output_open_is_closed_at_once(
    start_server: Callable[..., ServerProcess],
) -> None:
    """Of the test tools: whoever reads what the server prints does not wait for a process that outlives it."""
    server = start_server(agents=["support.deaths:leaves_something"])
    scene = Scene(server)
    child = int(scene.end(scene.send("leaves_something"), 20)["final_response"])
    try:
        began = time.monotonic()
        server.kill9()
        assert time.monotonic() - began < 4
        assert "run_ended" in server.output
        os.kill(child, 0)  # it is there still
    finally:
        os.kill(child, signal.SIGKILL)
