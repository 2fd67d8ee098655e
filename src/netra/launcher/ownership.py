"""What a launcher owns, on disk, so that the next one can clean up after one that was killed, and after nobody else.

A process counts as owned when its id and the time it began are recorded, or when it carries the mark of the launcher
that made the record (`processes.MARK`), which only what that launcher has started can have.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from .processes import RunningProcess, descendants, kill_all, marked, same_process


@dataclass(frozen=True, slots=True)
class OwnedProcess:
    """A child by name, process id, and when it began (seconds since 1970)."""

    name: str
    pid: int
    created: float


class OwnedProcesses:
    """The record of one launcher. Only whoever holds the checkout's lock may make one.

    Args:
        path: the file.
        launcher_id: what this launcher marks its children with.
    """

    def __init__(self, path: Path, launcher_id: str) -> None:
        self._path = path
        self._launcher_id = launcher_id
        self._owned: dict[str, OwnedProcess] = {}

    def begin(self) -> None:
        """Record that whatever carries the mark from now on is this launcher's."""
        self._write()

    def add(self, process: RunningProcess) -> None:
        """Record a child; it takes the place of one of the same name."""
        name = process.command.name
        self._owned[name] = OwnedProcess(name, process.pid, process.created)
        self._write()

    def remove(self, name: str) -> None:
        """A child has ended."""
        if self._owned.pop(name, None) is not None:
            self._write()

    def end(self) -> None:
        """Everything has ended."""
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        record = {"launcher": self._launcher_id, "processes": [asdict(owned) for owned in self._owned.values()]}
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        part.write_text(json.dumps(record), encoding="utf-8")
        part.replace(self._path)


def clean_up(path: Path) -> list[str]:
    """End what the last launcher left behind, if it left anything; returns `name (process id)` for each.

    Args:
        path: its record. It is removed.
    """
    try:
        record = json.loads(path.read_bytes())
        mark = f"{record['launcher']}:"
        owned = [OwnedProcess(**entry) for entry in record["processes"]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError):  # not a record: nothing says that anything is ours
        path.unlink(missing_ok=True)
        return []
    found: dict[int, tuple[str, psutil.Process]] = {}
    for entry in owned:
        process = same_process(entry.pid, entry.created)
        if process is not None:
            found[process.pid] = (entry.name, process)
            for child in descendants(process.pid):
                found.setdefault(child.pid, (f"below {entry.name}", child))
    for process in marked(mark):
        found.setdefault(process.pid, ("one of its processes", process))
    kill_all(process for _, process in found.values())
    path.unlink(missing_ok=True)
    return [f"{name} ({pid})" for pid, (name, _) in found.items()]
