"""Processes on Windows, through the same interface.

There are no signals and no sessions there. A child gets a process group of its own, so that Ctrl-Break can be sent to
it alone (servers take it for Ctrl-C), and belongs to a job object, which ends everything in it at once, also when the
launcher is killed: the last handle to the job goes with the launcher, and `KILL_ON_JOB_CLOSE` does the rest.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

from .processes import ProcessManager, RunningProcess, kill_all, marked

CREATE_NEW_PROCESS_GROUP = 0x0000_0200
CTRL_BREAK_EVENT = 1
_EXTENDED_LIMIT_INFORMATION = 9  # JobObjectExtendedLimitInformation
_LIMIT_KILL_ON_JOB_CLOSE = 0x0000_2000
_PROCESS_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001
_KILLED = 1
"""Exit code of what a job ends."""


class _BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION, with the widths Windows gives its members."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION: the limits, six counters of input and output, and four of memory."""

    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Job:
    """A job object: processes that end together.

    Args:
        kernel: the functions of kernel32; given by tests on other systems.

    Raises:
        OSError: Windows refuses.
    """

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel
        self._handle = kernel.CreateJobObjectW(None, None)
        if not self._handle:
            raise OSError("Windows made no job object")
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _LIMIT_KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limits)
        if not kernel.SetInformationJobObject(self._handle, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size):
            self.close()
            raise OSError("Windows set no limits of a job object")

    def add(self, pid: int) -> None:
        """Put a process into the job; what it starts from now on belongs to it as well."""
        process = self._kernel.OpenProcess(_PROCESS_SET_QUOTA_AND_TERMINATE, False, pid)
        if not process:
            return  # it has ended already
        try:
            if not self._kernel.AssignProcessToJobObject(self._handle, process):
                raise OSError(f"Windows put process {pid} into no job object")
        finally:
            self._kernel.CloseHandle(process)

    def kill(self) -> None:
        """End everything in the job at once."""
        if self._handle:
            self._kernel.TerminateJobObject(self._handle, _KILLED)

    def close(self) -> None:
        """Let the job go, and with it whatever is still in it."""
        handle, self._handle = self._handle, None
        if handle:
            self._kernel.CloseHandle(handle)


def kernel32() -> Any:
    """The functions of kernel32 that are used here, with handles wide enough for 64 bits."""
    kernel = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009  # exists on Windows only
    handle, flag, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
    for name, result, arguments in (
        ("CreateJobObjectW", handle, (handle, ctypes.c_wchar_p)),
        ("SetInformationJobObject", flag, (handle, ctypes.c_int, handle, number)),
        ("OpenProcess", handle, (number, flag, number)),
        ("AssignProcessToJobObject", flag, (handle, handle)),
        ("TerminateJobObject", flag, (handle, number)),
        ("CloseHandle", flag, (handle,)),
    ):
        function = getattr(kernel, name)
        function.restype, function.argtypes = result, arguments
    return kernel


class WindowsProcessManager(ProcessManager):
    """Starts, inspects, restarts and stops processes on Windows.

    Args:
        launcher_id: as for every manager.
        kernel: the functions of kernel32; given by tests on other systems.
    """

    def __init__(self, launcher_id: str, *, kernel: Any = None) -> None:
        super().__init__(launcher_id)
        self._kernel = kernel32() if kernel is None else kernel

    def ask(self, process: RunningProcess) -> None:
        """Send Ctrl-Break to its group. What has ended cannot be told anything."""
        with suppress(OSError):
            process.popen.send_signal(CTRL_BREAK_EVENT)

    def kill(self, process: RunningProcess) -> None:
        """End its job; what could not be put into one is found by its mark."""
        self._job(process).kill()
        with suppress(OSError):
            process.popen.kill()
        kill_all(member for member in marked(process.mark) if member.pid != process.pid)

    def bury(self, process: RunningProcess) -> list[int]:
        """Close its job, which ends what is left in it."""
        self._job(process).kill()
        left = super().bury(process)
        self._job(process).close()
        return left

    def _group_options(self) -> dict[str, Any]:
        return {"creationflags": CREATE_NEW_PROCESS_GROUP}

    def _started(self, process: RunningProcess) -> None:
        job = Job(self._kernel)
        process.group = job
        job.add(process.pid)

    def _job(self, process: RunningProcess) -> Job:
        assert isinstance(process.group, Job), "not a process of this manager"
        return process.group
