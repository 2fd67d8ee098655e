"""A real `netra dev` in a process of its own, in a checkout made of the sources that are tested."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

import netra

from . import services
from .ports import free_port

SOURCES = Path(netra.__file__).parent
ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"everything is ready after ([\d.]+) s: (http://localhost:(\d+))")


def make_checkout(directory: Path) -> Path:
    """A directory with the sources of `netra`, the same as those that are tested, which a test may change."""
    ignored = shutil.ignore_patterns("_ui")
    shutil.copytree(SOURCES, directory / "src" / "netra", ignore=ignored)
    shutil.copytree(SOURCES / "_ui", directory / "src" / "netra" / "_ui", symlinks=True, dirs_exist_ok=True)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, directory)
    (directory / "netra.toml").write_text('log_level = "info"\n')
    return directory


class DevProcess:
    """One `netra dev`. Use it as a context manager: it is ended at the end, with everything it has started.

    Args:
        checkout: where it runs.
        arguments: of `netra dev`.
        environment: further variables.
    """

    def __init__(self, checkout: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        services.need(services.REAL_SERVICES, "a server")
        self.checkout = checkout
        self.preferred_port = free_port()
        own = {name: value for name, value in os.environ.items() if not name.startswith(("NETRA_", "XDG_"))}
        own |= {
            "PYTHONPATH": str(checkout / "src"),
            "XDG_CACHE_HOME": str(checkout.parent / "cache"),
            "NETRA_PORT": str(self.preferred_port),
            "NETRA_ALLOW_REGISTRATION": "true",
            "COLUMNS": "400",
            "PYTHONDONTWRITEBYTECODE": "",
            **(environment or {}),
        }
        self._lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "netra", "dev", *arguments],
            cwd=checkout,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> DevProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"netra dev said:\n{self.output[-8000:]}")
        below = self.below()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        for process in below:
            if process.is_running():
                process.kill()
        psutil.wait_procs(below, timeout=10)
        self._reader.join(10)

    @property
    def output(self) -> str:
        """Everything it has shown."""
        with self._news:
            return "".join(self._lines)

    def below(self) -> list[psutil.Process]:
        """Everything it has started that is still below it."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def server(self) -> psutil.Process:
        """The server below it."""
        return next(process for process in self.below() if "serve" in process.cmdline())

    def mark(self) -> int:
        """How much it has shown, for `wait_for(after=…)`."""
        return len(self.output)

    def wait_for(self, pattern: str | re.Pattern[str], *, after: int = 0, seconds: float = 100) -> re.Match[str]:
        """The first match in what it shows, once it is there."""
        deadline = time.monotonic() + seconds
        with self._news:
            while (found := re.compile(pattern).search("".join(self._lines), after)) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"netra dev did not say {pattern!r} within {seconds} s"
                assert self._reader.is_alive(), f"netra dev ended and did not say {pattern!r}"
                self._news.wait(min(left, 1))
        return found

    def wait_until_ready(self) -> str:
        """The address, when everything is ready."""
        return self.wait_for(READY)[2]

    @property
    def base_url(self) -> str:
        """Where it serves."""
        return self.wait_until_ready()

    @property
    def setup_token(self) -> str:
        """The token of the one-time link that a first start prints."""
        return self.wait_for(r"/setup#token=([\w-]+)")[1]

    def interrupt(self) -> float:
        """Ctrl-C; returns how many seconds it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self._reader.join(10)
        return time.monotonic() - began

    def kill9(self) -> None:
        """End it at once, and only it."""
        self.process.kill()
        self.process.wait(30)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._news:
                    self._lines.append(line.decode(errors="replace"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()
