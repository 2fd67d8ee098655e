"""Named locks: one owner at a time, told to whoever comes second, gone with their owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from netra.errors import Conflict
from netra.launcher import NamedLocks
from netra.launcher.locks import Owner, WindowsLocking, machine_locks
from netra.launcher.ports import Ports, is_free, listener


@pytest.mark.spec("launcher.locks")
def test_who_comes_second_is_told_who_has_it_and_where(tmp_path: Path) -> None:
    locks = NamedLocks(tmp_path / "locks")
    with locks.take("launcher", purpose="netra dev", place="in /srv/netra") as held:
        with pytest.raises(Conflict, match=rf"netra dev, process {os.getpid()} since \d\d:\d\d:\d\d, in /srv/netra"):
            NamedLocks(tmp_path / "locks").take("launcher", purpose="another", place="elsewhere")
        held.tell("netra dev", "http://localhost:8000")
        holder = locks.holder("launcher")
        assert holder == Owner(os.getpid(), psutil.Process().create_time(), "netra dev", "http://localhost:8000")
        locks.take("another name", purpose="x", place="y").release()
    assert locks.holder("launcher") is None
    assert list((tmp_path / "locks").iterdir()) == []
    locks.take("launcher", purpose="x", place="y").release()


@pytest.mark.spec("launcher.locks")
def test_who_waits_gets_it_when_it_is_released(tmp_path: Path) -> None:
    locks = NamedLocks(tmp_path)
    first = locks.take("migrate sqlite:///a b.db", purpose="first", place="")
    waiting, got = threading.Event(), []

    def second() -> None:
        waiting.set()
        with locks.take("migrate sqlite:///a b.db", purpose="second", place="", wait=30):
            got.append(locks.holder("migrate sqlite:///a b.db"))

    thread = threading.Thread(target=second)
    thread.start()
    assert waiting.wait(30)
    assert got == []
    first.release()
    thread.join(30)
    assert got[0] is not None and got[0].purpose == "second"


@pytest.mark.spec("launcher.locks")
def test_a_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from netra.launcher import NamedLocks\n"
        "NamedLocks(Path(sys.argv[1])).take('launcher', purpose='netra dev', place='x'); print('has it', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "has it\n"
        with pytest.raises(Conflict, match=f"process {owner.pid} since"):
            NamedLocks(tmp_path).take("launcher", purpose="x", place="y")
        owner.send_signal(signal.SIGKILL)
        owner.wait(30)
        (tmp_path / "unreadable.lock").touch()
        with NamedLocks(tmp_path).take("mine", purpose="x", place="y"):
            NamedLocks(tmp_path).sweep()
            assert {path.name for path in tmp_path.iterdir()} == {"mine.lock", "unreadable.lock"}
        NamedLocks(tmp_path).take("launcher", purpose="x", place="y").release()


@pytest.mark.spec("launcher.locks")
def test_of_many_that_come_at_once_each_has_it_alone(tmp_path: Path) -> None:
    inside, most, guard = 0, 0, threading.Lock()

    def visit() -> None:
        nonlocal inside, most
        for _ in range(20):
            with NamedLocks(tmp_path).take("x", purpose="", place="", wait=60):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1


def test_windows_locks_a_byte_behind_the_text_and_removes_the_file(tmp_path: Path) -> None:
    calls: list[tuple[int, int, int]] = []
    taken: set[int] = set()

    def locking(fd: int, mode: int, count: int) -> None:
        place = os.lseek(fd, 0, os.SEEK_CUR)
        calls.append((mode, place, count))
        if mode == 2 and place in taken:
            raise OSError(36, "Resource deadlock avoided")
        (taken.add if mode == 2 else taken.discard)(place)

    locks = NamedLocks(tmp_path, locking=WindowsLocking(SimpleNamespace(LK_NBLCK=2, LK_UNLCK=0, locking=locking)))
    held = locks.take("launcher", purpose="netra dev", place="here")
    assert "here" in str(locks.holder("launcher"))
    with pytest.raises(Conflict, match="netra dev"):
        locks.take("launcher", purpose="x", place="y")
    held.release()
    assert calls == [(2, 1 << 30, 1), (2, 1 << 30, 1), (0, 1 << 30, 1)]
    assert list(tmp_path.iterdir()) == []


def test_locks_of_the_machine_are_where_the_system_keeps_such_things() -> None:
    assert machine_locks({"XDG_RUNTIME_DIR": "/run/user/1"}.get).directory == Path("/run/user/1/netra-dev")
    assert machine_locks({"LOCALAPPDATA": "/local"}.get).directory == Path("/local/netra-dev")
    assert machine_locks({}.get).directory == Path.home() / ".cache" / "netra-dev"


@pytest.mark.spec("launcher.locks")
def test_a_taken_port_gives_the_next_free_one_and_launchers_choose_different_ones(tmp_path: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free("127.0.0.1", port)
        one, two = Ports(NamedLocks(tmp_path), place="one"), Ports(NamedLocks(tmp_path), place="two")
        first = one.choose("127.0.0.1", port)
        second = two.choose("127.0.0.1", port)
        assert port < first < second, "nobody listens on the first yet, and it is taken all the same"
        with pytest.raises(Conflict, match=rf"Port {port} is taken by \S+.*process {os.getpid()}"):
            two.choose("127.0.0.1", port, insist=True)
        assert listener(port) is not None
    one.release()
    assert two.choose("127.0.0.1", first, insist=True) == first
    two.release()
    assert list(tmp_path.iterdir()) == []


def test_port_0_is_any_free_port(tmp_path: Path) -> None:
    ports = Ports(NamedLocks(tmp_path), place="")
    assert is_free("127.0.0.1", ports.choose("127.0.0.1", 0))
    ports.release()
