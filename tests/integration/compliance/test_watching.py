"""`netra check --continuous`: what it prints at a change, what it notices, and how it ends."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.checking import TWINS
from support.code_base import write

WRONG = "return metrics.operations_count"
RIGHT = "return metrics.error_count"


class Watcher:
    """A watcher in a process of its own, and the lines it prints."""

    def __init__(self, directory: Path, *arguments: str, program: tuple[str, ...] = ("-m", "netra", "check")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, "--continuous", *arguments],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def until(self, start: str, seconds: float = 60) -> list[str]:
        """The lines up to the first that begins so."""
        found: list[str] = []
        deadline = time.monotonic() + seconds
        while True:
            try:
                found.append(self._lines.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no line begins with {start!r}: {found}") from None
            if found[-1].startswith(start):
                return found

    def end(self, number: int) -> int:
        """Send a signal, and the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(10)
        return code


@contextmanager
def watching(
    directory: Path, *arguments: str, program: tuple[str, ...] = ("-m", "netra", "check")
) -> Iterator[Watcher]:
    watcher = Watcher(directory, *arguments, program=program)
    try:
        watcher.until('{"kind": "score"' if "jsonl" in arguments else "score ")
        time.sleep(0.5)  # the operating system is asked for changes after the first check
        yield watcher
    finally:
        if watcher.process.poll() is None:
            watcher.process.kill()
            watcher.process.wait(30)
        assert watcher.process.stdout is not None
        watcher._reader.join(10)
        watcher.process.stdout.close()


def change(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.spec("compliance.continuous")
def test_each_change_prints_what_came_and_went_and_the_score(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    report = tmp_path / "shop/report.py"
    with watching(tmp_path) as watcher:
        change(report, WRONG, RIGHT)
        lines = watcher.until("score ")
        assert any(line.startswith("- shop/report.py:8: error SSOT303") for line in lines)
        assert "+0 -1" in lines[-1]
        # As editors save: another file is written and renamed over it.
        part = tmp_path / "shop/report.py.part"
        part.write_text(report.read_text().replace(RIGHT, WRONG))
        part.replace(report)
        assert any(line.startswith("+ shop/report.py:8: error SSOT303") for line in watcher.until("score "))
        (tmp_path / "shop/new.py").write_text("from shop.report import nothing\n")
        assert any(line.startswith("+ shop/new.py:1: error SSOT202") for line in watcher.until("score "))
        (tmp_path / "shop/new.py").unlink()
        assert any(line.startswith("- shop/new.py:1: error SSOT202") for line in watcher.until("score "))
        (tmp_path / "pyproject.toml").write_text("[tool.ssot]\nignore = ['SSOT3']\n")
        assert any(line.startswith("- shop/report.py:8: error SSOT303") for line in watcher.until("score "))
        (tmp_path / "pyproject.toml").write_text("[tool.ssot]\nignored = 1\n")
        assert "has no 'ignored'" in watcher.until("netra check: ")[-1]
        (tmp_path / "pyproject.toml").write_text("")
        assert any(line.startswith("+ shop/report.py:8: error SSOT303") for line in watcher.until("score "))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("--fail-on", "never"), 0)])
def test_it_ends_cleanly_with_the_code_of_the_last_check(
    tmp_path: Path, number: int, arguments: tuple[str, ...], code: int
) -> None:
    write(tmp_path, TWINS)
    with watching(tmp_path, *arguments) as watcher:
        assert watcher.end(number) == code
        assert watcher.until("Stopped.") == ["Stopped."]


def test_programs_can_follow_it_line_by_line(tmp_path: Path) -> None:
    import json

    write(tmp_path, TWINS)
    with watching(tmp_path, "--format", "jsonl") as watcher:
        change(tmp_path / "shop/report.py", WRONG, RIGHT)
        rows = [json.loads(line) for line in watcher.until('{"kind": "score"')]
        assert [(row["kind"], row.get("rule")) for row in rows] == [("-", "SSOT303"), ("score", None)]


@pytest.mark.spec("commands.compliance")
def test_the_old_script_watches_too_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    script = Path(__file__).parents[3] / "scripts" / "check_architecture_compliance.py"
    with watching(tmp_path, program=(str(script),)) as watcher:
        change(tmp_path / "shop/report.py", WRONG, RIGHT)
        assert any(line.startswith("- shop/report.py:8: error SSOT303") for line in watcher.until("score "))
        assert watcher.end(signal.SIGINT) == 0
