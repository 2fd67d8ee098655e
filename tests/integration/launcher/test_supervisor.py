"""Children that crash, hang, break and mend, as real processes under a supervisor."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from netra.errors import IllegalTransition
from netra.launcher import LogFilter, LogStreamer, ProcessManager
from netra.launcher.ownership import OwnedProcesses
from netra.launcher.processes import Command, kill_all, marked
from netra.launcher.supervisor import Child, Service, Supervisor

READY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); print('up', flush=True)\n"
RUNS = READY + "time.sleep(600)"


class Bench:
    """A supervisor, what it says, and children that are ready when they have made a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.screen = io.StringIO()
        self.manager = ProcessManager(f"test-{os.urandom(8).hex()}")
        self.logs = LogStreamer(Console(file=self.screen, width=300), LogFilter(level="error"))
        self.record = directory / "owned.json"
        self.supervisor = Supervisor(
            self.manager,
            OwnedProcesses(self.record, self.manager.launcher_id),
            self.logs,
            grace_seconds=0.3,
            ready_seconds=0.3,
        )
        self.ended: list[str] = []

    def service(self, program: str, name: str = "server", *, reloads: bool = False, stage: int = 0) -> Service:
        """A child that runs `program`; it is ready while the file named in its arguments is there."""
        sign = self.directory / f"{name}.ready"
        source = self.directory / f"{name}.py"
        source.write_text(program)

        def ready() -> bool:
            return sign.exists()

        arguments = (sys.executable, str(source), str(sign))
        command = Command(name=name, arguments=arguments, directory=self.directory)
        return Service(command=command, ready=ready, address=f"there:{name}", reloads=reloads, stage=stage)

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Let the supervisor work until something holds."""
        deadline = time.monotonic() + seconds
        assert self.supervisor.run(lambda: condition() or time.monotonic() > deadline)
        assert condition(), self.said

    def crash(self, child: Child) -> None:
        """Kill a child, and let the supervisor notice."""
        assert child.process is not None
        (self.directory / f"{child.service.name}.ready").unlink()
        before = child.crashes
        child.process.popen.kill()
        self.until(lambda: child.crashes == before + 1)

    @property
    def said(self) -> str:
        """Everything on the screen so far, once it is there."""
        self.logs.close()
        return self.screen.getvalue()

    def close(self) -> None:
        self.supervisor.stop(0.1)
        self.logs.close()
        kill_all(marked(f"{self.manager.launcher_id}:"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.mark.spec("launcher.processes", "launcher.logs")
def test_a_child_that_crashes_is_started_again_later_each_time_and_its_last_lines_are_shown(bench: Bench) -> None:
    child = bench.supervisor.add(bench.service(RUNS))
    bench.until(bench.supervisor.ready)
    for crashes in (1, 2):
        began = time.monotonic()
        bench.crash(child)
        assert child.state == "waiting" and child.process is None
        bench.until(bench.supervisor.ready)
        assert time.monotonic() - began >= (0.5, 1.0)[crashes - 1]
        assert child.crashes == crashes
    assert bench.said.count("server was ended by SIGKILL") == 2
    assert "server is started again in 0.5 s" in bench.said
    assert "server is started again in 1 s" in bench.said
    assert "its last line:\nnetra dev │   up" in bench.said


@pytest.mark.spec("launcher.logs")
def test_the_cause_of_a_crash_is_named(bench: Bench) -> None:
    program = READY + "time.sleep(0.2)\nimport nothing_of_this_name"
    child = bench.supervisor.add(bench.service(program))
    bench.until(lambda: child.crashes == 1)
    cause = "ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert f"server ended with exit code 1: {cause}" in bench.said


def test_a_child_that_never_works_waits_for_its_sources_and_mends(bench: Bench) -> None:
    child = bench.supervisor.add(bench.service("raise SystemExit('netra: The agent is broken.')", reloads=True))
    bench.until(lambda: child.state == "broken")
    mended = bench.service(RUNS, reloads=True)
    bench.supervisor.changed([bench.directory / "my_agents.py"])
    bench.until(bench.supervisor.ready)
    assert child.service.command == mended.command
    assert "server ended with exit code 1: netra: The agent is broken." in bench.said
    assert "server is started again when a source file is saved" in bench.said
    assert "my_agents.py changed: server is started again" in bench.said


def test_a_child_that_broke_for_want_of_another_tries_again_when_that_is_ready(bench: Bench) -> None:
    needs = "import pathlib\nif not pathlib.Path('postgres.ready').exists(): raise SystemExit('netra: no database')\n"
    child = bench.supervisor.add(bench.service(needs + RUNS, reloads=True))
    bench.until(lambda: child.state == "broken")
    bench.supervisor.add(bench.service(RUNS, "postgres"))
    bench.until(lambda: bench.supervisor.ready("server", "postgres"))


@pytest.mark.spec("launcher.processes")
def test_a_change_restarts_what_reloads_even_if_it_does_not_want_to_stop(bench: Bench) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS
    server = bench.supervisor.add(bench.service(ignoring, reloads=True))
    page = bench.supervisor.add(bench.service(RUNS, "page"))
    bench.until(bench.supervisor.ready)
    pids = [child.process.pid for child in (server, page) if child.process is not None]
    bench.supervisor.changed([Path("a.py"), Path("b.py"), Path("c.py"), Path("d.py"), Path("e.py")])
    bench.until(lambda: server.starts == 2 and bench.supervisor.ready())
    assert server.process is not None and page.process is not None
    assert server.process.pid != pids[0]
    assert page.process.pid == pids[1]
    assert "a.py, b.py, c.py and 2 more changed: server is started again" in bench.said
    assert "server does not stop: ended" in bench.said


@pytest.mark.spec("launcher.processes")
def test_everything_stops_in_time_users_of_a_service_before_it(bench: Bench) -> None:
    order = bench.directory / "order"
    tells = (
        "import signal, sys\ndef stop(*_):\n"
        "    with open('order', 'a') as file: print(sys.argv[1].rpartition('/')[2], file=file)\n"
        "    sys.exit()\nsignal.signal(signal.SIGTERM, stop)\n"
    )
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS
    bench.supervisor.add(bench.service(tells + RUNS, "postgres", stage=1))
    bench.supervisor.add(bench.service(tells + RUNS, "server", stage=2))
    bench.supervisor.add(bench.service(ignoring, "page", stage=2))
    bench.until(bench.supervisor.ready)
    began = time.monotonic()
    bench.supervisor.stop(2)
    assert time.monotonic() - began < 5
    assert order.read_text().split() == ["server.ready", "postgres.ready"]
    assert {child.state for child in bench.supervisor.children.values()} == {"stopped"}
    assert marked(f"{bench.manager.launcher_id}:") == []
    assert '"processes": []' in bench.record.read_text()
    assert "page does not stop: ended" in bench.said


def test_asked_twice_to_stop_nobody_is_waited_for(bench: Bench) -> None:
    bench.supervisor.add(bench.service("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS))
    bench.until(bench.supervisor.ready)
    bench.supervisor.ask_to_stop()
    bench.supervisor.ask_to_stop()
    assert not bench.supervisor.run()
    began = time.monotonic()
    bench.supervisor.stop(60)
    assert time.monotonic() - began < 10


def test_a_child_that_is_late_is_said_to_be(bench: Bench) -> None:
    child = bench.supervisor.add(bench.service("import time; time.sleep(600)"))
    bench.until(lambda: "is not ready" in bench.screen.getvalue())
    assert child.state == "starting"
    assert "server is not ready after 0.3 s; still waiting" in bench.said


def test_a_program_that_is_not_there_is_said_and_ends_nothing_else(bench: Bench) -> None:
    missing = Command(name="nats", arguments=("/nowhere/nats-server",), directory=bench.directory)
    child = bench.supervisor.add(Service(command=missing, ready=lambda: True, address=""))
    assert child.state == "broken"
    assert "nats cannot be started: " in bench.said


def test_a_step_that_does_not_exist_is_refused(bench: Bench) -> None:
    child = Child(bench.service(RUNS))
    with pytest.raises(IllegalTransition, match="child server cannot go from 'idle' to 'ready'"):
        child.move("ready")
