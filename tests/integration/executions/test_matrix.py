"""Every way a run can die, on real server processes: each ends in exactly one terminal event within its bound."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.deaths import named_by_naps
from support.processes import runs
from support.scenes import Scene, WatchProcess
from support.server import ServerProcess
from support.waiting import block_until

AGENTS = [
    f"support.deaths:{name}"
    for name in (
        "raises",
        "returns_early",
        "waits_for_ever",
        "busy",
        "blocks",
        "blocks_in_a_task",
        "steps",
        "quiet",
        "hungry",
        "crashing",
        "napping",
    )
]
QUICK = {
    "NETRA_LOOP_STALL_SECONDS": "1",
    "NETRA_DRAIN_SECONDS": "0",
    "NETRA_RUNS_RUNNING": "8",
}


HOLDING = [
    ("busy", "hello"),
    ("busy", "stubborn"),
    ("blocks", "sleep"),
    ("blocks", "socket"),
    ("blocks_in_a_task", "sleep"),
]
"""Agents that hold the event loop, and how."""


def _until_noted(server: ServerProcess) -> None:
    """Return when the server has written down how long its run has worked; it does every few seconds."""
    with closing(sqlite3.connect(server.data_dir / "netra.db")) as database:
        block_until(lambda: database.execute("SELECT worked_ms > 1 FROM runs").fetchone()[0], "the note")


Start = Callable[..., ServerProcess]
Watching = Callable[..., WatchProcess]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watching]:
    """Start `netra watch` beside a server."""
    watches: list[WatchProcess] = []

    def start(server: ServerProcess, database: str | None, *arguments: str, seconds: float = 3) -> WatchProcess:
        watches.append(WatchProcess(server, database, *arguments, seconds=seconds))
        return watches[-1]

    yield start
    for each in watches:
        each.close()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    """None is SQLite in the server's data directory. Asked for first, so that it outlives the server."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


both_databases = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


@pytest.mark.spec("death.one-terminal-state", "death.signals")
def test_errors_returns_hangs_and_held_loops_end_within_their_bounds(start_server: Start) -> None:
    """One server for all of them: whoever holds the loop is interrupted where it stands, and the others go on."""
    scene = Scene(start_server(agents=AGENTS, environment={**QUICK, "NETRA_RUN_STALLED_SECONDS": "2"}))
    expected = {
        "raises": ("failed", "internal"),
        "returns_early": ("succeeded", None),
        "waits_for_ever": ("stalled", "stalled"),
    }
    threads = {agent: scene.send(agent) for agent in expected}
    for agent, thread in threads.items():
        end = scene.end(thread, 8)
        assert (end["status"], (end["error"] or {}).get("code")) == expected[agent]
    quiet = scene.end(scene.send("quiet", "4"), 10)
    assert quiet["status"] == "succeeded", "work that says it gets on is not stalled"

    for agent, content in HOLDING:
        began = time.monotonic()
        end = scene.end(scene.send(agent, content), 12)
        assert (end["status"], end["error"]["code"]) == ("stalled", "loop_held"), (agent, content)
        assert "deaths.py:" in end["error"]["message"], (agent, content)
        assert "ctx.tool" in end["error"]["message"], (agent, content)
        assert time.monotonic() - began < 8, (agent, content)
        assert scene.end(scene.send("returns_early"), 5)["status"] == "succeeded", "the loop is everybody's again"
    scene.judge()


@pytest.mark.spec("death.one-terminal-state")
def test_a_tool_that_dies_takes_nothing_else_with_it(start_server: Start, tmp_path: Path) -> None:
    server = start_server(agents=AGENTS, environment=QUICK)
    scene = Scene(server)
    hungry, careful, crashing = scene.send("hungry"), scene.send("hungry", "careful"), scene.send("crashing")
    ends = {thread: scene.end(thread, 20) for thread in (hungry, careful, crashing)}
    assert (ends[hungry]["status"], ends[hungry]["error"]["code"]) == ("failed", "out_of_memory")
    assert (ends[careful]["status"], ends[careful]["final_response"]) == ("succeeded", "coped with ToolOutOfMemory")
    assert (ends[crashing]["status"], ends[crashing]["error"]["code"]) == ("failed", "tool_died")
    napping = scene.send("napping", str(tmp_path))
    pids = block_until(lambda: named_by_naps(tmp_path), "the tool's processes")
    server.kill9()
    block_until(lambda: not any(runs(pid) for pid in pids), "the tool's processes to end with their server", seconds=5)
    server.start()
    scene.until(napping, "agent_started")
    with scene.account.client() as client:
        client.post(f"/api/runs/{scene.sent[-1].run}/cancel")
    assert scene.end(napping, 10)["status"] == "cancelled"
    scene.judge()


@pytest.mark.spec("death.one-terminal-state")
@pytest.mark.postgres
def test_a_database_that_was_away_ends_nothing(start_server: Start, watch: Watching, tmp_path: Path) -> None:
    from support.postgres import PostgresServer

    postgres = PostgresServer()
    postgres.start()
    try:
        database = postgres.create_database()
        server = start_server(agents=AGENTS, environment=QUICK, database_url=database)
        watching = watch(server, database, seconds=2)
        scene = Scene(server)
        thread = scene.send("steps", f"3 {tmp_path}")
        scene.until(thread, "tool_completed")
        watching.wait_for("Watching")
        time.sleep(1)  # the watch has seen the run
        postgres.crash()
        watching.wait_for("cannot be reached", 30)
        (tmp_path / "2").touch()
        time.sleep(2.5)  # longer than the bound after which a run is an orphan
        postgres.resume()
        watching.wait_for("answers again", 30)
        (tmp_path / "3").touch()
        end = scene.end(thread, 30)
        assert (end["status"], end["final_response"]) == ("succeeded", "sum 6")
        assert "Ended" not in watching.output
        scene.judge()
        watching.stop()
        server.close()
    finally:
        postgres.stop()


@pytest.mark.spec("death.one-terminal-state")
@both_databases
def test_a_server_killed_while_it_stores_ends_stores_each_once(database: str | None, start_server: Start) -> None:
    """Killed again and again at a random moment after the first of several ends."""
    seed = int(os.environ.get("NETRA_SEED", "1"))
    dice = random.Random(seed)
    environment = {**QUICK, "NETRA_RUN_ATTEMPTS": "20"}
    server = start_server(agents=AGENTS, environment=environment, database_url=database)
    scene = Scene(server)
    threads: list[str] = []
    for _ in range(3):
        sent = [scene.send("steps", "1") for _ in range(6)]
        threads += sent
        scene.until(sent[0], "tool_completed")
        time.sleep(dice.uniform(0, 0.03))
        server.kill9()
        server.start()
    ends = [scene.end(thread, 20) for thread in threads]
    assert {end["status"] for end in ends} == {"succeeded"}, f"NETRA_SEED={seed}"
    assert {end["final_response"] for end in ends} == {"sum 1"}, f"NETRA_SEED={seed}"
    scene.judge()


@pytest.mark.spec("death.other-process", "death.one-terminal-state")
@both_databases
def test_a_frozen_server_is_noticed_and_refused_when_it_thaws(
    database: str | None, start_server: Start, watch: Watching, tmp_path: Path
) -> None:
    server = start_server(agents=AGENTS, environment=QUICK, database_url=database)
    scene = Scene(server)
    thread = scene.send("steps", f"3 {tmp_path}")
    idle = scene.send("waits_for_ever")
    watching = watch(server, database)
    scene.until(thread, "tool_completed")
    watching.wait_for("Watching")
    server.freeze()
    began = time.monotonic()
    for run in scene.sent:
        watching.wait_for(f"Ended {run.run} as died")
    assert time.monotonic() - began < 3 + 8, "the bound, and what a busy machine takes"
    (tmp_path / "2").touch()
    (tmp_path / "3").touch()
    server.thaw()
    for each in (thread, idle):
        end = scene.end(each, 10)
        assert (end["status"], end["error"]["code"]) == ("died", "died")
    server.wait_for("run_ended_elsewhere.*\n(.*\n)*.*run_ended_elsewhere", 10)
    assert scene.end(scene.send("returns_early"), 10)["status"] == "succeeded", "the thawed server works on"
    scene.judge()
    assert watching.stop() == 0


@pytest.mark.spec("death.other-process", "death.one-terminal-state")
def test_a_killed_server_goes_on_when_it_comes_back_in_time(
    start_server: Start, watch: Watching, tmp_path: Path
) -> None:
    server = start_server(agents=AGENTS, environment=QUICK)
    scene = Scene(server)
    watch(server, None, seconds=60)
    thread = scene.send("steps", f"3 {tmp_path}")
    scene.until(thread, "tool_completed")
    server.kill9()
    server.start()
    (tmp_path / "2").touch()
    (tmp_path / "3").touch()
    end = scene.end(thread, 20)
    assert (end["status"], end["final_response"]) == ("succeeded", "sum 6")
    scene.judge()


@pytest.mark.spec("death.other-process", "death.one-terminal-state")
@both_databases
def test_a_killed_server_that_does_not_come_back_is_noticed(
    database: str | None, start_server: Start, watch: Watching, tmp_path: Path
) -> None:
    server = start_server(agents=AGENTS, environment=QUICK, database_url=database)
    scene = Scene(server)
    thread = scene.send("steps", f"3 {tmp_path}")
    scene.until(thread, "tool_completed")
    once = watch(server, database, "--once")
    assert once.wait() == 0
    assert "Ended 0 runs" in once.output, "a server that lives is left alone"
    server.kill9()
    once = watch(server, database, "--once", seconds=0.5)  # gone by when the process has started and looks
    assert once.wait() == 0
    assert "Ended 1 run." in once.output
    (tmp_path / "2").touch()
    (tmp_path / "3").touch()
    server.start()
    end = scene.end(thread, 10)
    assert (end["status"], end["error"]["code"]) == ("died", "died")
    assert scene.end(scene.send("returns_early"), 10)["status"] == "succeeded"
    scene.judge()


@pytest.mark.spec("death.other-process", "death.one-terminal-state")
def test_a_run_whose_time_is_up_is_ended_by_another_process_when_its_server_lets_it_go_on(
    start_server: Start, watch: Watching
) -> None:
    """The watch goes by a shorter limit than the server, as if the server did not see to its own."""
    server = start_server(agents=AGENTS, environment=QUICK)
    scene = Scene(server)
    thread = scene.send("waits_for_ever")
    scene.until(thread, "agent_thinking")
    _until_noted(server)
    once = watch(server, None, "--once", "--run-seconds", "0.001", seconds=60)
    assert once.wait() == 0
    assert f"Ended {scene.sent[0].run} as timed_out: A run may take 0.001 seconds." in once.output
    end = scene.end(thread, 10)
    assert (end["status"], end["error"]["code"]) == ("timed_out", "timed_out")
    server.wait_for("run_ended_elsewhere", 10)
    scene.judge()
