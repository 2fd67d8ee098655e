"""`netra dev` as a developer meets it: a real launcher, a real server, real signals, in a checkout of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from netra.launcher.ports import is_free
from netra.launcher.processes import MARK
from support.accounts import set_up_admin
from support.dev_process import DevProcess, make_checkout

pytestmark = pytest.mark.real_services
LEFT_BEHIND = {".gitignore", "cache.json"}
BROKEN = "from netra import agent\n\n@agent\nasync def counter(ctx) -> str\n    return 'one'\n"
MENDED = "from netra import agent\n\n@agent\nasync def counter(ctx) -> str:\n    return 'one'\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=10, trust_env=False)


def nothing_is_left(checkout: Path, processes: list[psutil.Process], *, but: set[str] | None = None) -> None:
    """No process, no lock, no record of a launcher; in its directory only what helps the next one."""
    assert [process for process in processes if process.is_running()] == []
    assert {path.name for path in (checkout / ".netra-dev").iterdir()} == LEFT_BEHIND | (but or set())
    assert list((checkout.parent / "cache" / "netra-dev").iterdir()) == []


@pytest.mark.spec("launcher.locks", "launcher.processes")
def test_it_takes_the_next_free_port_turns_a_second_one_away_and_leaves_nothing_behind(
    checkout: Path, port: int
) -> None:
    environment = {"NETRA_PORT": str(port)}
    with socket.create_server(("127.0.0.1", port)), DevProcess(checkout, environment=environment) as dev:
        url = dev.wait_until_ready()
        taken = int(url.rpartition(":")[2])
        assert taken > port
        assert get(f"{url}/health/ready").status_code == 200
        assert f"{url}/setup#token=" in dev.output

        with DevProcess(checkout) as second:
            assert second.process.wait(100) == 1
            second.wait_for(rf"Already running: netra dev, process {dev.process.pid} since [\d:]+, {url} in ")
            assert str(checkout) in second.output
        with DevProcess(
            checkout.parent, "--port", str(port), environment={"PYTHONPATH": str(checkout / "src")}
        ) as other:
            assert other.process.wait(100) == 1
            other.wait_for(rf"Port {port} is taken by .*process {os.getpid()}")

        below = dev.below()
        assert below != []
        assert dev.interrupt() < 5
        assert dev.process.returncode == 0
        assert is_free("127.0.0.1", taken)
        nothing_is_left(checkout, below)


@pytest.mark.spec("launcher.processes", "launcher.logs")
def test_a_server_that_is_killed_comes_back_and_a_launcher_that_is_killed_is_cleaned_up_after(checkout: Path) -> None:
    stranger_environment = {name: value for name, value in os.environ.items() if name != MARK}
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(program, cwd=checkout, env=stranger_environment) as stranger:
        with DevProcess(checkout, "--level", "warning") as dev:
            dev.wait_until_ready()
            seen = dev.mark()
            dev.server().send_signal(signal.SIGKILL)
            dev.wait_for("server was ended by SIGKILL", after=seen)
            dev.wait_for(r"its last \d+ lines:\n(?:netra dev │ .*\n)*netra dev │ .*serving url=", after=seen)
            dev.wait_for("server is started again in 0.5 s", after=seen)
            dev.wait_for("server ready in", after=seen)
            left = dev.below()
            server = dev.server()
            dev.kill9()
            assert server.is_running()

            with DevProcess(checkout) as again:
                url = again.wait_until_ready()
                again.wait_for(rf"ended what a launcher that was killed left behind: server \({server.pid}\)")
                assert [process for process in left if process.is_running()] == []
                assert stranger.poll() is None
                assert get(f"{url}/health/ready").status_code == 200
                again.interrupt()
                nothing_is_left(checkout, left)
        stranger.kill()


@pytest.mark.spec("launcher.cache")
def test_the_cache_changes_nothing_but_time(checkout: Path) -> None:
    no_bytecode = {"PYTHONDONTWRITEBYTECODE": "1"}
    compiled = set(checkout.rglob("*.pyc"))
    with DevProcess(checkout, "--no-cache", environment=no_bytecode) as slow:
        slow.wait_until_ready()
        below = slow.below()
        slow.interrupt()
    nothing_is_left(checkout, below)
    with DevProcess(checkout, environment=no_bytecode) as quick:
        quick.wait_until_ready()
        below += quick.below()
        quick.interrupt()
    done = {"Check dependencies", "Migrate the database"}
    assert done < what_it_did(slow)
    assert what_it_did(quick) == what_it_did(slow) - done
    nothing_is_left(checkout, below, but={"bytecode"})
    kept = checkout / ".netra-dev" / "bytecode"
    new = set(checkout.rglob("*.pyc")) - compiled
    assert any(path.match("netra/app.*.pyc") for path in new), "the next server compiles itself again"
    assert all(path.is_relative_to(kept) for path in new), "bytecode beside sources, where none is wanted"


def what_it_did(dev: DevProcess) -> set[str]:
    """What the launcher said it did, less what differs between any two starts."""
    said = set()
    for line in dev.output.splitlines():
        if line.startswith("netra dev │") and "left behind" not in line:
            said.add(re.sub(r"[\d.]+ s\b|:\d+|: $", "", line.partition("│ ")[2]).rstrip(": "))
    return said


@pytest.mark.spec("launcher.logs")
def test_a_broken_agent_is_told_and_mends_when_it_is_saved_and_threads_outlive_restarts(checkout: Path) -> None:
    module = checkout / "my_agents.py"
    module.write_text(BROKEN)
    with DevProcess(checkout, "my_agents:counter", "--level", "warning", "--only", "server") as dev:
        dev.wait_for(r"server ended with exit code 1: .*my_agents")
        dev.wait_for("server is started again when a source file is saved")
        assert re.search(r"my_agents\.py.*line 4|expected ':'", dev.output)
        assert "everything is ready" not in dev.output

        module.write_text(MENDED)
        dev.wait_for("my_agents.py changed: server is started again")
        dev.wait_until_ready()
        shown = [line for line in dev.output.splitlines() if line.startswith("   server │")]
        assert not any("serving" in line for line in shown), "a line of level info"
        admin = set_up_admin(dev)
        with admin.client() as client:
            thread = client.post("/api/threads", json={"title": "Kept"}).json()["id"]

        for changed in (module, checkout / "src" / "netra" / "clock.py"):
            seen = dev.mark()
            changed.write_text(changed.read_text() + "\n# changed\n")
            dev.wait_for(f"{changed.name} changed: server is started again", after=seen)
            dev.wait_for("server ready in", after=seen)
            with admin.client() as client:
                assert client.get(f"/api/threads/{thread}").json()["title"] == "Kept"
        below = dev.below()
        assert dev.interrupt() < 5
        nothing_is_left(checkout, below)


@pytest.mark.postgres
def test_postgresql_and_nats_come_from_their_wheels_and_go_with_the_launcher(checkout: Path) -> None:
    with DevProcess(checkout, "--postgres", "--nats", "--no-reload") as dev:
        dev.wait_until_ready()
        nats = int(dev.wait_for(r"nats ready in [\d.]+ s: nats://127\.0\.0\.1:(\d+)")[1])
        postgres = int(dev.wait_for(r"postgres ready in [\d.]+ s: 127\.0\.0\.1:(\d+)")[1])
        environment = dev.server().environ()
        assert environment["NATS_URL"] == f"nats://127.0.0.1:{nats}"
        assert re.fullmatch(
            rf"postgresql://postgres:[\w-]{{32}}@127\.0\.0\.1:{postgres}/postgres", environment["NETRA_DATABASE_URL"]
        )
        assert "database=postgresql" in dev.output
        assert environment["NETRA_DATABASE_URL"].split(":")[2].split("@")[0] not in dev.output
        below = dev.below()
        (data,) = {line[2] for line in (process.cmdline() for process in below) if line[1:2] == ["-D"]}
        assert dev.interrupt() < 5
        shutil.rmtree(Path(data).parent)  # for root, it lies outside of the checkout
        assert [process for process in below if process.is_running()] == []
        assert is_free("127.0.0.1", nats) and is_free("127.0.0.1", postgres)
