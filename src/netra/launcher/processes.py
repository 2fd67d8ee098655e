"""Processes of the launcher: started in a group of their own, told to stop, ended with everything they started.

`process_manager()` gives the manager for this system. The one here is for Linux and macOS, and says what every manager
does; `windows.WindowsProcessManager` does the same there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

MARK = "NETRA_DEV"
"""Environment variable of everything a launcher starts, and of what that starts: which launcher, and which child."""
_SAME_TIME_SECONDS = 1.0
"""Two readings of when a process began may differ by so much, because the clock is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start.

    Args:
        name: of the child, for people.
        arguments: program and arguments.
        directory: where it runs.
        environment: variables in addition to the launcher's own.
        user: the user it runs as, where the launcher may choose.
        stop_signal: how it is told to stop (not on Windows).
    """

    name: str
    arguments: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: int = signal.SIGTERM


@dataclass(slots=True)
class RunningProcess:
    """A process that was started here. `created` is when it began, so that no later one with its id is taken for it."""

    command: Command
    popen: subprocess.Popen[bytes]
    created: float
    mark: str
    group: object = None
    """What a manager needs to end the whole tree, if it needs anything."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What can be seen of a process from outside.

    Args:
        running: whether it is there (and not merely unburied).
        exit_code: how it ended; negative for a signal; None while it runs.
        children: ids of the processes it has started, and of theirs.
        memory_bytes: resident memory of all of them together.
    """

    pid: int
    running: bool
    exit_code: int | None
    children: tuple[int, ...]
    memory_bytes: int


class ProcessManager:
    """Starts, inspects, restarts and stops processes with everything they start.

    Args:
        launcher_id: marks what is started as this launcher's, whatever becomes of it.
    """

    def __init__(self, launcher_id: str) -> None:
        self.launcher_id = launcher_id

    def start(self, command: Command) -> RunningProcess:
        """Start a process. Its output is in `popen.stdout`, errors included.

        Raises:
            OSError: the program cannot be started.
        """
        mark = f"{self.launcher_id}:{command.name}"
        options: dict[str, Any] = {} if command.user is None else {"user": command.user, "group": command.user}
        popen = subprocess.Popen(
            list(command.arguments),
            cwd=command.directory,
            env={**os.environ, **command.environment, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self._group_options(),
            **options,
        )
        try:
            created = psutil.Process(popen.pid).create_time()
        except psutil.NoSuchProcess:
            created = time.time()
        process = RunningProcess(command, popen, created, mark)
        try:
            self._started(process)
        except OSError:
            popen.kill()
            raise
        return process

    def inspect(self, process: RunningProcess) -> ProcessState:
        """What can be seen of it now."""
        code = process.popen.poll()
        if code is not None:
            return ProcessState(process.pid, False, code, (), 0)
        tree = descendants(process.pid)
        memory = _memory(process.pid) + sum(_memory(child.pid) for child in tree)
        return ProcessState(process.pid, True, None, tuple(child.pid for child in tree), memory)

    def ask(self, process: RunningProcess) -> None:
        """Tell it to stop, in the way it can react to. Its own children are its business."""
        with suppress(ProcessLookupError):
            process.popen.send_signal(process.command.stop_signal)

    def kill(self, process: RunningProcess) -> None:
        """End it at once, with everything it has started."""
        tree = descendants(process.pid) if process.popen.poll() is None else []
        with suppress(ProcessLookupError):
            process.popen.kill()
        # Not the process itself: whoever waits for it here takes its exit code from whoever started it.
        kill_all(member for member in [*tree, *marked(process.mark)] if member.pid != process.pid)

    def stop(self, process: RunningProcess, seconds: float) -> int:
        """Tell it to stop, end it after `seconds` if it does not, and end what it left behind.

        Returns:
            Its exit code; negative for a signal.
        """
        self.ask(process)
        try:
            process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill(process)
        code = process.popen.wait()
        self.bury(process)
        return code

    def restart(self, process: RunningProcess, seconds: float) -> RunningProcess:
        """Stop it, and start the same again."""
        self.stop(process, seconds)
        return self.start(process.command)

    def bury(self, process: RunningProcess) -> list[int]:
        """End what a process that has ended left behind; returns the ids of those processes."""
        left = marked(process.mark)
        kill_all(left)
        return [member.pid for member in left]

    def _group_options(self) -> dict[str, Any]:
        """A session of its own: Ctrl-C in the terminal reaches the launcher alone, which stops children in order."""
        return {"start_new_session": True}

    def _started(self, process: RunningProcess) -> None:
        """For managers that do more."""


def process_manager(launcher_id: str) -> ProcessManager:
    """The manager for this system."""
    if sys.platform == "win32":
        from .windows import WindowsProcessManager

        return WindowsProcessManager(launcher_id)
    return ProcessManager(launcher_id)


def descendants(pid: int) -> list[psutil.Process]:
    """Everything that a process has started and that is still below it."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def marked(mark: str) -> list[psutil.Process]:
    """The processes that carry a mark: a child's whole (`launcher:child`), or a launcher's (`launcher:`).

    This finds what has left its parent's tree and session, and nothing that somebody else has started.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            own = process.environ().get(MARK, "")
            if (own == mark or (mark.endswith(":") and own.startswith(mark))) and process.pid != os.getpid():
                found.append(process)
    return found


def same_process(pid: int, created: float) -> psutil.Process | None:
    """The process with this id, if it is the one that began then and has not ended."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - created) < _SAME_TIME_SECONDS else None
    except psutil.Error:
        return None


def kill_all(processes: Iterable[psutil.Process], seconds: float = 2.0) -> None:
    """End processes at once, and wait until they are gone."""
    ended = []
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
            ended.append(process)
    psutil.wait_procs(ended, timeout=seconds)


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
