"""Real processes: started, inspected, restarted, and ended with everything they have started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from netra.launcher import ProcessManager
from netra.launcher.ownership import OwnedProcesses, clean_up
from netra.launcher.processes import MARK, Command, RunningProcess, kill_all, marked, same_process

IGNORES = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
WAITS = "import sys, time; print('started', flush=True); time.sleep(600)"
FAMILY = """
import subprocess, sys, time
near = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
far = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(near.pid, far.pid, flush=True)
time.sleep(600)
"""


def command(program: str, directory: Path, name: str = "child") -> Command:
    return Command(name=name, arguments=(sys.executable, "-c", program), directory=directory)


def first_line(process: RunningProcess) -> str:
    assert process.popen.stdout is not None
    return process.popen.stdout.readline().decode().strip()


def gone(*pids: int) -> bool:
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    return not any(same_process(pid, psutil.Process(pid).create_time()) for pid in pids if psutil.pid_exists(pid))


class Remembering(ProcessManager):
    """A manager that can end whatever it has started."""

    def __init__(self) -> None:
        super().__init__(f"test-{os.urandom(8).hex()}")
        self.started: list[RunningProcess] = []

    def start(self, command: Command) -> RunningProcess:
        self.started.append(super().start(command))
        return self.started[-1]

    def end(self) -> None:
        kill_all(marked(f"{self.launcher_id}:"))
        for process in self.started:
            process.popen.wait(30)
            assert process.popen.stdout is not None
            process.popen.stdout.close()


@pytest.fixture
def manager() -> Iterator[ProcessManager]:
    manager = Remembering()
    yield manager
    manager.end()


@pytest.mark.spec("launcher.processes")
def test_a_process_that_can_stop_is_asked_and_its_exit_is_told(manager: ProcessManager, tmp_path: Path) -> None:
    program = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); " + WAITS
    process = manager.start(command(program, tmp_path))
    assert first_line(process) == "started"
    state = manager.inspect(process)
    assert (state.pid, state.running, state.exit_code, state.children) == (process.pid, True, None, ())
    assert state.memory_bytes > 1_000_000
    assert manager.stop(process, 30) == 7
    state = manager.inspect(process)
    assert (state.running, state.exit_code, state.memory_bytes) == (False, 7, 0)


@pytest.mark.spec("launcher.processes")
def test_a_process_that_ignores_being_asked_is_ended(manager: ProcessManager, tmp_path: Path) -> None:
    process = manager.start(command(IGNORES + WAITS, tmp_path))
    assert first_line(process) == "started"
    assert manager.stop(process, 0.2) == -signal.SIGKILL


@pytest.mark.spec("launcher.processes")
def test_the_whole_tree_ends_also_what_has_left_it(manager: ProcessManager, tmp_path: Path) -> None:
    process = manager.start(command(FAMILY, tmp_path))
    near, far = map(int, first_line(process).split())
    assert set(manager.inspect(process).children) == {near, far}
    assert os.getsid(far) != os.getsid(near)
    manager.stop(process, 30)
    assert gone(process.pid, near, far)


@pytest.mark.spec("launcher.processes")
def test_what_a_crash_leaves_behind_is_buried_and_nobody_else(manager: ProcessManager, tmp_path: Path) -> None:
    other = manager.start(command(WAITS, tmp_path, "other"))
    process = manager.start(command(FAMILY, tmp_path))
    near, far = map(int, first_line(process).split())
    process.popen.kill()
    process.popen.wait(30)
    assert sorted(manager.bury(process)) == sorted([near, far])
    assert gone(near, far)
    assert manager.inspect(other).running


@pytest.mark.spec("launcher.processes")
def test_a_restart_is_another_process_of_the_same_command(manager: ProcessManager, tmp_path: Path) -> None:
    first = manager.start(command(WAITS, tmp_path))
    second = manager.restart(first, 5)
    assert second.pid != first.pid
    assert second.command == first.command
    assert not manager.inspect(first).running and manager.inspect(second).running


def test_ctrl_c_in_the_terminal_does_not_reach_a_child(manager: ProcessManager, tmp_path: Path) -> None:
    process = manager.start(command(WAITS, tmp_path))
    assert os.getpgid(process.pid) == process.pid == os.getsid(process.pid)


def test_what_a_killed_launcher_owned_is_ended_and_nothing_else(manager: ProcessManager, tmp_path: Path) -> None:
    """The record is as a killed launcher leaves it; a stranger has the id of a child that has ended since."""
    record = tmp_path / "owned.json"
    ownership = OwnedProcesses(record, manager.launcher_id)
    ownership.begin()
    family = manager.start(command(FAMILY, tmp_path, "server"))
    near, far = map(int, first_line(family).split())
    ownership.add(family)
    unrecorded = manager.start(command(WAITS, tmp_path, "page"))  # killed between starting it and writing it down
    environment = {name: value for name, value in os.environ.items() if name != MARK}
    with subprocess.Popen([sys.executable, "-c", WAITS], env=environment) as stranger:
        content = json.loads(record.read_text())
        content["processes"].append({"name": "nats", "pid": stranger.pid, "created": 1.0})
        record.write_text(json.dumps(content))

        ended = clean_up(record)

        assert len(ended) == 4
        assert f"server ({family.pid})" in ended
        assert gone(family.pid, near, far, unrecorded.pid)
        assert stranger.poll() is None
        assert not record.exists()
        assert clean_up(record) == []
        stranger.kill()


@pytest.mark.parametrize("content", ["", "{}", '{"launcher": "x", "processes": [{"pid": 1}]}'])
def test_a_record_that_cannot_be_read_ends_nothing(content: str, tmp_path: Path) -> None:
    record = tmp_path / "owned.json"
    record.write_text(content)
    assert clean_up(record) == []
    assert not record.exists()
