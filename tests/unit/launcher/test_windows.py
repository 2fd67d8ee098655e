"""Processes on Windows: what the manager asks of the system, recorded by a stand-in for kernel32.

The structures have the sizes and offsets of Windows' headers (64 bits), which the stand-in checks by reading them.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netra.launcher import ProcessManager, WindowsProcessManager
from netra.launcher.processes import Command, RunningProcess, process_manager
from netra.launcher.windows import CREATE_NEW_PROCESS_GROUP, CTRL_BREAK_EVENT, ExtendedLimits, Job

LOOP = "import sys; print('started', flush=True); sys.stdin.read() or __import__('time').sleep(600)"


class Kernel:
    """Job objects that remember what they are told, and end real processes when they are to."""

    def __init__(self, *, refuse: str = "") -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._refuse = refuse
        self._members: dict[int, list[int]] = {}
        self._processes: dict[int, int] = {}

    def CreateJobObjectW(self, security: None, name: None) -> int | None:
        self.calls.append(("create", security, name))
        self._members[7] = []
        return None if self._refuse == "create" else 7

    def SetInformationJobObject(self, job: int, kind: int, information: Any, size: int) -> int:
        limits = ctypes.cast(information, ctypes.POINTER(ctypes.c_char * size)).contents.raw
        flags = int.from_bytes(limits[16:20], "little")  # LimitFlags, behind two 64 bit times
        self.calls.append(("limits", job, kind, hex(flags), size))
        return 0 if self._refuse == "limits" else 1

    def OpenProcess(self, access: int, inherit: bool, pid: int) -> int | None:
        self.calls.append(("open", hex(access), inherit))
        self._processes[pid + 100_000] = pid
        return pid + 100_000

    def AssignProcessToJobObject(self, job: int, process: int) -> int:
        self._members[job].append(self._processes[process])
        self.calls.append(("assign", job))
        return 0 if self._refuse == "assign" else 1

    def TerminateJobObject(self, job: int, code: int) -> int:
        self.calls.append(("terminate", job, code))
        return 1

    def CloseHandle(self, handle: int) -> int:
        self.calls.append(("close", "job" if handle == 7 else "process"))
        return 1


class OnLinux(WindowsProcessManager):
    """The manager for Windows, less the one option that Python refuses elsewhere."""

    asked: dict[str, Any]

    def _group_options(self) -> dict[str, Any]:
        self.asked = super()._group_options()
        return {"start_new_session": True}


def start(manager: ProcessManager, tmp_path: Path) -> RunningProcess:
    process = manager.start(Command(name="child", arguments=(sys.executable, "-c", LOOP), directory=tmp_path))
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == b"started\n"
    return process


@pytest.mark.spec("launcher.processes")
def test_a_child_gets_a_group_of_its_own_and_a_job_that_ends_with_the_launcher(tmp_path: Path) -> None:
    kernel = Kernel()
    manager = OnLinux("launcher", kernel=kernel)
    process = start(manager, tmp_path)
    try:
        assert manager.asked == {"creationflags": CREATE_NEW_PROCESS_GROUP} == {"creationflags": 0x200}
        assert kernel.calls == [
            ("create", None, None),
            ("limits", 7, 9, "0x2000", 144),  # KILL_ON_JOB_CLOSE in JOBOBJECT_EXTENDED_LIMIT_INFORMATION
            ("open", "0x101", False),  # PROCESS_SET_QUOTA and PROCESS_TERMINATE
            ("assign", 7),
            ("close", "process"),
        ]
    finally:
        manager.kill(process)
        process.popen.wait(30)
    assert ("terminate", 7, 1) in kernel.calls
    manager.bury(process)
    assert kernel.calls[-1] == ("close", "job")
    assert process.popen.stdout is not None
    process.popen.stdout.close()


@pytest.mark.spec("launcher.processes")
def test_a_child_is_told_to_stop_with_ctrl_break(tmp_path: Path) -> None:
    sent: list[int] = []

    class Asked(subprocess.Popen[bytes]):
        def send_signal(self, sig: int) -> None:
            sent.append(sig)
            raise OSError(87, "it has ended already")

    manager = OnLinux("launcher", kernel=Kernel())
    with Asked([sys.executable, "-c", ""]) as popen:
        command = Command(name="child", arguments=(), directory=tmp_path)
        manager.ask(RunningProcess(command, popen, 0.0, "launcher:child"))
    assert sent == [CTRL_BREAK_EVENT] == [1]


@pytest.mark.parametrize("refused", ["create", "limits", "assign"])
def test_what_windows_refuses_is_an_error(refused: str) -> None:
    kernel = Kernel(refuse=refused)
    with pytest.raises(OSError, match="Windows"):
        Job(kernel).add(1)
    if refused == "limits":
        assert kernel.calls[-1] == ("close", "job")


def test_a_job_is_closed_once() -> None:
    kernel = Kernel()
    job = Job(kernel)
    job.close()
    job.close()
    job.kill()
    assert [call for call in kernel.calls if call[0] in ("close", "terminate")] == [("close", "job")]


def test_the_limits_are_laid_out_as_in_the_headers_of_windows() -> None:
    assert ctypes.sizeof(ExtendedLimits) == 144
    offsets = {name: getattr(ExtendedLimits, name).offset for name, _ in ExtendedLimits._fields_}
    assert offsets["IoInfo"] == 64
    assert offsets["ProcessMemoryLimit"] == 112


def test_each_system_has_its_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(process_manager("x")) is ProcessManager
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: _Library(name), raising=False)
    assert type(process_manager("x")) is WindowsProcessManager


class _Library:
    """Functions of a library, which have to be told their types."""

    def __init__(self, name: str) -> None:
        assert name == "kernel32"

    def __getattr__(self, name: str) -> Any:
        function = type("Function", (), {})()
        setattr(self, name, function)
        return function
