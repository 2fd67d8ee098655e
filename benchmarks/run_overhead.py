"""What the server adds to a run: time to the first and the last event, and its CPU.

    python benchmarks/run_overhead.py [--quick] [--rounds N] [--only TEXT]

The agent is trivial, so that all that is measured is the server: one thought, two tools that take no time, 200 pieces
of text as fast as it can. One client asks, run after run, then 8 and 32 at the same time, each a user with a socket of
its own and a new thread for every run. Netra's runs are in the database when their last event arrives, with every
step, and a reader that was cut resumes exactly; the peers, each driven over its own wire, store nothing:

- pydantic-ai's AG-UI adapter in uvicorn (HTTP and SSE), with a `FunctionModel` that streams the same work;
- Chainlit (Socket.IO over WebSocket), with steps for the thought and the tools.

Netra gathers streamed text (the first piece at once, then at most 20 events a second); the peers send every piece.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Protocol

import httpx
import msgspec
from harness import (
    CLIENT_CORE,
    PROGRAMS,
    Column,
    Program,
    Sample,
    arguments,
    chosen,
    core,
    cpu_seconds,
    interleave,
    machine,
    netra_server,
    peer_python,
    quantile,
    report,
    versions,
    versions_in,
)
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

CONCURRENCY = (1, 8, 32)
SECONDS = 60
"""A run that takes longer is a failure of the benchmark."""


class Client(Protocol):
    """One user of one server."""

    async def run(self) -> tuple[float, float]:
        """Send a message; seconds until the first event and until the last."""
        ...


class NetraServer:
    """`netra serve` and 32 users."""

    def __init__(self, agent: str = "bench_agents:trivial", database_url: str | None = None) -> None:
        self._agent = agent
        self._database_url = database_url

    def start(self, stack: ExitStack) -> None:
        from support.accounts import set_up_admin

        self._server = stack.enter_context(netra_server([self._agent], database_url=self._database_url))
        self.pid = self._server.pid
        admin = set_up_admin(self._server)
        self._tokens = [personal_token(admin)]
        for number in range(1, max(CONCURRENCY)):
            self._tokens.append(personal_token(_user(self._server, admin, number)))

    async def client(self, number: int, stack: AsyncExitStack) -> Client:
        return await connect_netra(self._server.ws_url, self._tokens[number], stack)


async def connect_netra(url: str, token: str, stack: AsyncExitStack) -> NetraClient:
    """A socket of a user, open until `stack` ends."""
    headers = {"Authorization": f"Bearer {token}"}
    protocols = [Subprotocol("netra.v1")]
    socket = await stack.enter_async_context(connect(url, subprotocols=protocols, additional_headers=headers, **_PLAIN))
    await socket.recv()  # connection_established
    return NetraClient(socket)


class NetraClient:
    """One user of Netra over its WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def run(self) -> tuple[float, float]:
        """A new thread: the acknowledgement names it, the subscription replays what happened meanwhile."""
        socket = self._socket
        message_id = uuid.uuid4().hex
        began = time.perf_counter()
        first = end = 0.0
        thread = ""
        live = False
        await socket.send(json.dumps({"type": "user_message", "id": message_id, "content": "go"}))
        while not (end and live):  # to leave before `live` would break off the server's reading
            frame = await socket.recv(decode=False)
            kind = msgspec.json.decode(frame, type=_Frame)
            if kind.type == "error":
                raise RuntimeError(frame.decode())
            if kind.type == "ack" and kind.id == message_id:
                thread = kind.thread_id
                await socket.send(json.dumps({"type": "subscribe", "thread_id": kind.thread_id, "after": 0}))
            elif not thread or kind.thread_id != thread:
                continue  # of the run before
            elif kind.type == "agent_started":
                first = time.perf_counter() - began
            elif kind.type == "agent_completed":
                end = time.perf_counter() - began
                if kind.status != "succeeded":
                    raise RuntimeError(f"the run did not succeed: {frame[:2000]!r}")
            elif kind.type == "live":
                live = True
        await socket.send(json.dumps({"type": "unsubscribe", "thread_id": thread}))
        return first, end


class _Frame(msgspec.Struct):
    type: str
    id: str | None = None
    thread_id: str = ""
    status: str = ""


def _user(server: Any, admin: Any, number: int) -> Any:
    from support.accounts import register

    return register(server.base_url, f"user{number}@example.com")


def personal_token(account: Any) -> str:
    """A token of the account that does not expire during a benchmark."""
    with account.client() as client:
        answer = client.post("/api/tokens", json={"name": "benchmark"})
        return str(answer.raise_for_status().json()["token"])


class AgUiServer:
    """pydantic-ai's AG-UI adapter."""

    def __init__(self) -> None:
        self._python = peer_python("ag-ui", "pydantic-ai-slim[ag-ui]>=2.60,<3", "uvicorn[standard]>=0.54,<1")
        self.versions = versions_in(self._python, "pydantic-ai-slim", "ag-ui-protocol", "uvicorn")

    def start(self, stack: ExitStack) -> None:
        program = stack.enter_context(Program([str(PROGRAMS / "agui_server.py"), "{port}"], python=self._python))
        self.pid, self._url = program.pid, f"http://127.0.0.1:{program.port}/"

    async def client(self, number: int, stack: AsyncExitStack) -> Client:
        return _AgUiClient(
            await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=SECONDS)), self._url
        )


class _AgUiClient:
    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client, self._url = client, url

    async def run(self) -> tuple[float, float]:
        body = {
            "threadId": uuid.uuid4().hex,
            "runId": uuid.uuid4().hex,
            "state": {},
            "messages": [{"id": uuid.uuid4().hex, "role": "user", "content": "go"}],
            "tools": [],
            "context": [],
            "forwardedProps": {},
        }
        began = time.perf_counter()
        first, tail = 0.0, b""
        async with self._client.stream("POST", self._url, json=body, headers={"Accept": "text/event-stream"}) as answer:
            answer.raise_for_status()
            async for data in answer.aiter_raw():
                first = first or time.perf_counter() - began
                tail = (tail + data)[-4000:]
                if b'"type":"RUN_FINISHED"' in tail:
                    return first, time.perf_counter() - began
        raise RuntimeError(f"the run did not finish: {tail!r}")


class ChainlitServer:
    """Chainlit as `chainlit run` serves it."""

    def __init__(self) -> None:
        self._python = peer_python("chainlit", "chainlit>=2.9,<3")
        self.versions = versions_in(self._python, "chainlit", "python-socketio")

    def start(self, stack: ExitStack) -> None:
        command = ["-m", "chainlit", "run", str(PROGRAMS / "chainlit_app.py"), "--headless", "--port", "{port}"]
        program = stack.enter_context(
            Program(command, python=self._python, environment={"CHAINLIT_ALLOW_ORIGINS": "*"})
        )
        self.pid, self._port = program.pid, program.port

    async def client(self, number: int, stack: AsyncExitStack) -> Client:
        url = f"ws://127.0.0.1:{self._port}/ws/socket.io/?EIO=4&transport=websocket"
        socket = await stack.enter_async_context(connect(url, **_PLAIN))
        client = _ChainlitClient(socket)
        await client.open()
        return client


class _ChainlitClient:
    """Socket.IO 5 over Engine.IO 4: `0` open, `2`/`3` ping and pong, `40` connect, `42` an event."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session = str(uuid.uuid4())

    async def open(self) -> None:
        await self._until(b"0")
        auth = {"sessionId": self._session, "clientType": "webapp", "userEnv": "{}", "chatProfile": "", "threadId": ""}
        await self._socket.send("40" + json.dumps(auth))
        await self._until(b"40")
        await self._emit("connection_successful")
        await self._until(b'42["clear_call_fn"')

    async def run(self) -> tuple[float, float]:
        message = {
            "id": str(uuid.uuid4()),
            "threadId": "",
            "name": "user",
            "type": "user_message",
            "output": "go",
            "createdAt": "2026-01-02T03:04:05.678Z",
        }
        began = time.perf_counter()
        await self._emit("client_message", {"message": message, "fileReferences": []})
        await self._until(b'42["task_start"')
        first = time.perf_counter() - began
        await self._until(b'42["task_end"')
        return first, time.perf_counter() - began

    async def _emit(self, name: str, *content: object) -> None:
        await self._socket.send("42" + json.dumps([name, *content]))

    async def _until(self, beginning: bytes) -> bytes:
        while True:
            frame = await self._socket.recv(decode=False)
            if frame == b"2":
                await self._socket.send("3")
            elif frame.startswith(beginning):
                return frame


_PLAIN: dict[str, Any] = {"compression": None, "proxy": None, "max_size": None, "ping_interval": None}


def measure(server: Any, concurrency: int, runs: int) -> Callable[[], Sample]:
    """One round: so many clients at once, `runs` runs altogether."""

    async def once() -> Sample:
        waits: list[tuple[float, float]] = []
        async with AsyncExitStack() as stack:
            clients = [await server.client(number, stack) for number in range(concurrency)]
            each = max(1, runs // concurrency)

            async def ask(client: Client) -> None:
                for _ in range(each):
                    async with asyncio.timeout(SECONDS):
                        waits.append(await client.run())

            await asyncio.sleep(0.3)  # what connecting left to do
            before, began = cpu_seconds(server.pid), time.perf_counter()
            await asyncio.gather(*(ask(client) for client in clients))
            seconds = time.perf_counter() - began
            await asyncio.sleep(0.3)  # what the last run left to do is part of its cost
            cpu = cpu_seconds(server.pid) - before
        firsts, ends = [first for first, _ in waits], [end for _, end in waits]
        return {
            "cpu_ms_per_run": cpu / len(waits) * 1000,
            "runs_per_second": len(waits) / seconds,
            "first_p50_ms": quantile(firsts, 0.5) * 1000,
            "first_p99_ms": quantile(firsts, 0.99) * 1000,
            "end_p50_ms": quantile(ends, 0.5) * 1000,
            "end_p99_ms": quantile(ends, 0.99) * 1000,
        }

    return lambda: asyncio.run(once())


def main() -> None:
    """Run it."""
    options = arguments(__doc__ or "", rounds=5)
    runs = {1: 4, 8: 16, 32: 32} if options.quick else {1: 40, 8: 120, 32: 320}
    before = machine()
    notes: list[str] = []
    used = versions("dbos", "uvicorn", "sqlalchemy")
    servers: dict[str, Any] = chosen({"Netra": NetraServer}, options)
    for name, kind in chosen({"pydantic-ai AG-UI": AgUiServer, "Chainlit": ChainlitServer}, options).items():
        try:
            servers[name] = kind()
            used |= servers[name].versions
        except subprocess.CalledProcessError as error:
            notes.append(f"{name} could not be installed: {(error.stderr or '').strip()[-300:]}")
    samples: dict[str, Any] = {}
    with core(CLIENT_CORE), ExitStack() as stack:
        variants = {}
        for name, kind in servers.items():
            server = kind() if isinstance(kind, type) else kind
            try:
                server.start(stack)
                asyncio.run(_try(server))
            except (RuntimeError, TimeoutError, OSError) as error:
                if name == "Netra":
                    raise
                notes.append(f"{name} could not be driven: {error}")
                continue
            for concurrency in CONCURRENCY:
                variants[f"{name}, {concurrency} at once"] = measure(server, concurrency, runs[concurrency])
        samples = interleave(variants, options.rounds, warm_up=not options.quick)
    ordered = {name: samples[name] for c in CONCURRENCY for name in samples if name.endswith(f", {c} at once")}
    report(
        "run_overhead",
        ordered,
        [
            Column("cpu_ms_per_run", "server CPU ms per run", 1, ratio=True),
            Column("first_p50_ms", "first event p50 ms", 1),
            Column("first_p99_ms", "p99", 1),
            Column("end_p50_ms", "last event p50 ms", 1, ratio=True),
            Column("end_p99_ms", "p99", 1),
            Column("runs_per_second", "runs per second", 0),
        ],
        baseline={name: f"Netra, {name.rsplit(', ', 1)[1]}" for name in ordered},
        options=options,
        versions=used,
        before=before,
        parameters={"runs": runs, "deltas": 200},
        notes=[
            *notes,
            "Netra stores every step before its end is sent; pydantic-ai's adapter and Chainlit store nothing.",
        ],
    )


async def _try(server: Any) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        client = await server.client(0, stack)
        await client.run()


if __name__ == "__main__":
    sys.exit(main())
