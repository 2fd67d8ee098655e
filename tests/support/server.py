"""A real `netra serve` in a process of its own, on 127.0.0.1, which tests may stop, kill, freeze and start again."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx

from . import services
from .ports import free_port
from .schema import prepare

TESTS = Path(__file__).resolve().parents[1]
_SETUP_LINK = re.compile(r"https?://\S+/setup#token=([\w-]+)")


class ServerProcess:
    """One server and its data directory. Use it as a context manager, or call `start` and `close`.

    Args:
        data_dir: where it keeps its data; kept across `restart`.
        agents: import strings of the agents to serve; modules in `tests/` can be named (`support.agents:echo`).
        database_url: another database than SQLite in the data directory.
        environment: further environment variables, usually `NETRA_…` settings.
        arguments: further arguments of `netra serve`.
        fresh: the first start makes the tables itself, instead of finding them made.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        agents: Sequence[str] = (),
        database_url: str | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        fresh: bool = False,
    ) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._arguments = [*agents, "--host", "127.0.0.1", "--port", str(self.port), "--data-dir", str(data_dir)]
        if database_url is not None:
            self._arguments += ["--database-url", database_url]
        self._arguments += arguments
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("NETRA_")}
        self._environment |= {
            "NETRA_LOG_FORMAT": "json",
            "NETRA_STRICT_SESSIONS": "true",
            "PYTHONPATH": str(TESTS),
            "PYTHONUNBUFFERED": "1",
            "COLUMNS": "400",  # so that no printed link is wrapped
            **(environment or {}),
        }
        self.database_url = database_url or f"sqlite:///{data_dir / 'netra.db'}"
        self._fresh = fresh
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._enough: socket.socket | None = None
        self._lines: list[str] = []
        self._news = threading.Condition()

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            error.add_note(f"server output:\n{self.output[-6000:]}")
        self.close()

    @property
    def ws_url(self) -> str:
        """The address of the WebSocket."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not started"
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything it has printed and logged since the first start."""
        with self._news:
            return "".join(self._lines)

    @property
    def tracebacks(self) -> list[str]:
        """What it has logged of exceptions that nobody expected."""
        return [line[:3000] for line in self.output.splitlines() if "Traceback" in line]

    @property
    def setup_token(self) -> str:
        """The token of the one-time link that a first start prints."""
        return self.wait_for(_SETUP_LINK).group(1)

    def start(self, *, ready: bool = True, timeout: float = 60) -> None:
        """Start the process; with `ready`, return when it answers 200 on `/health/ready`."""
        assert self._process is None, "the server is started already"
        services.need(services.REAL_SERVICES, "a server")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "netra", "serve", *self._arguments],
            cwd=self._make_data_dir(),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._enough, enough = socket.socketpair()
        self._reader = threading.Thread(target=self._read, args=(self._process, enough), daemon=True)
        self._reader.start()
        if ready:
            try:
                self.wait_until_ready(timeout)
            except BaseException:
                self.close()
                raise

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Return when the server is ready; raise with its output when it ends or takes too long."""

        with httpx.Client(base_url=self.base_url, timeout=5, trust_env=False, verify=False) as client:

            def answers() -> bool:
                try:
                    return client.get("/health/ready").status_code == 200
                except httpx.TransportError:
                    return False

            self._wait(answers, timeout, "the server did not become ready")

    def wait_for(self, pattern: re.Pattern[str] | str, timeout: float = 30) -> re.Match[str]:
        """The first match of `pattern` in its output, once there is one."""
        found: list[re.Match[str]] = []

        def matches() -> bool:
            match = re.search(pattern, "".join(self._lines))
            if match is not None:
                found.append(match)
            return match is not None

        self._wait(matches, timeout, f"the server did not print {pattern!r}")
        return found[0]

    def stop(self, timeout: float = 30, *, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        return self._end(number, timeout)

    def kill9(self) -> None:
        """End it at once, with no chance to tidy up."""
        self._end(signal.SIGKILL, 30)

    def restart(self, *, kill: bool = False) -> None:
        """Stop (or kill) it and start it again with the same data and port."""
        if kill:
            self.kill9()
        else:
            self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP), as a machine does that swaps or migrates."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it if it still runs. Safe to call twice."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.thaw()
            try:
                self._end(signal.SIGTERM, 15)
                return
            except subprocess.TimeoutExpired:
                pass
        self._end(signal.SIGKILL, 15)

    def _make_data_dir(self) -> Path:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if not self._fresh:
            prepare(self.database_url, self.data_dir)
        return self.data_dir

    def _read(self, process: subprocess.Popen[bytes], enough: socket.socket) -> None:
        """Take in what it prints, until it has closed its output or nobody wants any more: a process that the server
        has started may outlive it and keep the output open.
        """
        assert process.stdout is not None
        rest = b""
        with process.stdout as output, enough:
            while output in select.select([output, enough], [], [])[0]:
                chunk = os.read(output.fileno(), 65536)
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                if lines:
                    with self._news:
                        self._lines.extend(line.decode(errors="replace") + "\n" for line in lines)
                        self._news.notify_all()
        with self._news:
            if rest:
                self._lines.append(rest.decode(errors="replace"))
            self._news.notify_all()

    def _wait(self, condition: Callable[[], bool], timeout: float, complaint: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            process = self._process
            if process is None or process.poll() is not None:
                code = None if process is None else process.returncode
                raise RuntimeError(f"{complaint}: it ended with {code}\n{self.output[-6000:]}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{complaint} within {timeout} s\n{self.output[-6000:]}")
            with self._news:
                self._news.wait(0.05)  # a new line may be the one; readiness shows over HTTP only

    def _end(self, number: signal.Signals, timeout: float) -> int:
        process, reader, enough = self._process, self._reader, self._enough
        assert process is not None, "the server is not started"
        if process.poll() is None:
            os.killpg(process.pid, number)
        code = process.wait(timeout)
        assert reader is not None and enough is not None
        enough.close()  # what it has printed is in the pipe by now, and is read before the reader heeds this
        reader.join(5)
        self._process = self._reader = self._enough = None
        return code
