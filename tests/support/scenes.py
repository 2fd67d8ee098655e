"""One user of one server whose runs meet with accidents, and `netra watch` beside it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import Any

import httpx

from .accounts import Account, register
from .history import Log, Sent, check
from .server import ServerProcess
from .waiting import block_until


class Scene:
    """One user of one server, what was sent, and what the log says in the end."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.account: Account = register(server.base_url)
        self.sent: list[Sent] = []

    def send(self, agent: str, content: str = "hello") -> str:
        """A message in a thread of its own; returns the thread."""
        key = f"key-{len(self.sent)}"
        content = f"{content} #{len(self.sent)}"  # the judge knows messages by what they say
        with self.account.client(timeout=30) as client:
            answer = client.post("/api/messages", json={"id": key, "content": content, "agent": agent})
        assert answer.status_code == 202, answer.text
        body = answer.json()
        self.sent.append(Sent(self.account.id, key, content, body["thread_id"], body["seq"], body["run_id"]))
        return str(body["thread_id"])

    def events(self, thread: str) -> list[dict[str, Any]]:
        with self.account.client(timeout=30) as client:
            return list(client.get(f"/api/threads/{thread}/events", params={"limit": 1000}).json()["events"])

    def until(self, thread: str, kind: str, within: float = 30) -> dict[str, Any]:
        """The first event of a kind, once it is there."""

        def there() -> dict[str, Any] | None:
            with contextlib.suppress(httpx.TransportError, KeyError):  # the server is away for a moment
                return next((event for event in self.events(thread) if event["type"] == kind), None)
            return None

        return block_until(there, kind, seconds=within, seen=lambda: self.server.output[-4000:])

    def end(self, thread: str, within: float) -> dict[str, Any]:
        return self.until(thread, "agent_completed", within)

    def judge(self) -> None:
        """The histories keep every promise; among them: exactly one end for each run."""
        threads = dict.fromkeys(sent.thread for sent in self.sent if sent.thread)
        history = [*self.sent, *(Log(self.account.id, thread, tuple(self.events(thread))) for thread in threads)]
        assert check(history) == []


class WatchProcess:
    """`netra watch` beside a server, on the same database."""

    def __init__(self, server: ServerProcess, database: str | None, *arguments: str, seconds: float = 3) -> None:
        where = ["--data-dir", str(server.data_dir)]
        if database is not None:
            where += ["--database-url", database]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "netra", "watch", *where, "--run-orphan-seconds", str(seconds), *arguments],
            env={**os.environ, "NETRA_LOG_LEVEL": "error", "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str, within: float = 30) -> None:
        block_until(lambda: text in self.output, repr(text), seconds=within, seen=lambda: self.output)

    def wait(self) -> int:
        code = self._process.wait(60)
        self._reader.join(5)
        return code

    def stop(self) -> int:
        self._process.terminate()
        return self.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(iter(self._process.stdout.readline, ""))
