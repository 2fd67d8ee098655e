"""What it costs the server to deliver one event to one of 1,000 open sockets, and to keep a socket open.

    python benchmarks/delivery.py [--quick] [--rounds N] [--only TEXT]

Netra as users have it (`netra serve`: users, threads, a run of a streaming agent, every event in the database before it
is sent) and its hub alone, beside bare uvicorn with both of its modern WebSocket implementations, Starlette, and a
floor: ready frames written to uvloop transports. Every server sends the same event, JSON of about 400 bytes, one at a
time, so that each delivery is a write of its own; CPU is that of the server's process.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
from _sockets import EVENT_MARKER, Crowd, client_frame, open_socket
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
    report,
    rss_bytes,
    versions,
)

INTERVAL = 0.02
"""Seconds between events: no event is sent while another one waits."""

LIVE = b'"type":"live"'
BASELINE = "uvicorn websockets-sansio"


class Peer:
    """A program that sends events when told over HTTP.

    Args:
        command: the program; see `programs/`.
        greeting: what every socket receives once it is ready.
    """

    def __init__(self, command: tuple[str, ...], greeting: bytes = b"") -> None:
        self.greeting = greeting
        self._program = Program([str(PROGRAMS / command[0]), *command[1:], "{port}"])

    def start(self, stack: ExitStack) -> None:
        program = stack.enter_context(self._program)
        self.pid = program.pid
        self.crowd = stack.enter_context(Crowd(program.port))

    def publish(self, count: int) -> None:
        url = f"http://127.0.0.1:{self._program.port}/publish?count={count}&interval={INTERVAL}"
        httpx.post(url, trust_env=False).raise_for_status()


class NetraServe:
    """`netra serve` with one user whose thread all sockets follow; an agent's run makes the events."""

    greeting = LIVE

    def start(self, stack: ExitStack) -> None:
        from support.accounts import set_up_admin

        server = stack.enter_context(netra_server(["bench_agents:ticker"], heartbeat_seconds=3600, run_seconds=3600))
        account = set_up_admin(server)
        with account.client() as client:
            token = client.post("/api/tokens", json={"name": "benchmark"}).raise_for_status().json()["token"]
            self._thread = client.post("/api/threads", json={}).raise_for_status().json()["id"]
        headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": "netra.v1"}
        self._commander, _ = open_socket(server.port, "/ws", headers)
        stack.callback(self._commander.close)
        self.pid = server.pid
        self.crowd = stack.enter_context(
            Crowd(server.port, "/ws", headers, [json.dumps({"type": "subscribe", "thread_id": self._thread})])
        )
        self._sent = 0

    def publish(self, count: int) -> None:
        self._sent += 1
        message = {"type": "user_message", "id": f"m{self._sent}", "thread_id": self._thread}
        self._commander.sendall(client_frame(json.dumps({**message, "content": f"{count} {INTERVAL}"})))


def grow(server: Peer | NetraServe, size: int) -> None:
    """Open sockets until there are `size`, and see that they are ready."""
    before = len(server.crowd)
    server.crowd.grow(size)
    if server.greeting:
        server.crowd.count(server.greeting, size - before)


def measure(server: Peer | NetraServe, events: int) -> Callable[[], Sample]:
    """One round: so many events to every socket."""

    def once() -> Sample:
        size = len(server.crowd)
        reads = server.crowd.reads
        before = cpu_seconds(server.pid)
        server.publish(events)
        server.crowd.count(EVENT_MARKER, events * size)
        spent = cpu_seconds(server.pid) - before
        return {
            "cpu_us_per_delivery": spent / (events * size) * 1e6,
            "events_per_read": events * size / (server.crowd.reads - reads),
        }

    return once


def main() -> None:
    """Run it."""
    options = arguments(__doc__ or "", rounds=7)
    sockets, events, idle = (200, 20, 400) if options.quick else (1000, 100, 5000)
    before = machine()
    servers: dict[str, Any] = {
        "netra serve": NetraServe(),
        "netra hub alone": Peer(("netra_hub.py",), LIVE),
        "uvicorn websockets-sansio": Peer(("fanout.py", "websockets-sansio")),
        "uvicorn wsproto": Peer(("fanout.py", "wsproto")),
        "Starlette": Peer(("fanout.py", "starlette")),
        "uvloop floor": Peer(("uvloop_floor.py",)),
    }
    servers = chosen(servers, options)
    with core(CLIENT_CORE), ExitStack() as stack:
        for server in servers.values():
            server.start(stack)
            grow(server, sockets)
        samples = interleave({name: measure(server, events) for name, server in servers.items()}, options.rounds)
    with core(CLIENT_CORE):
        for name, server in servers.items():
            with ExitStack() as stack:  # one server after the other: sockets of all at once are too many files
                server.start(stack)
                grow(server, idle // 5)
                before_growth = rss_bytes(server.pid)  # what the first sockets allocate for all is left out
                grow(server, idle)
                per_socket = (rss_bytes(server.pid) - before_growth) / (idle - idle // 5) / 1024
                samples[name] = [{**sample, "idle_kib": per_socket} for sample in samples[name]]
    report(
        "delivery",
        samples,
        [
            Column("cpu_us_per_delivery", "CPU µs per event and socket", 2, ratio=True),
            Column("events_per_read", "events per read", 2),
            Column("idle_kib", "KiB per idle socket", 1, ratio=True),
        ],
        baseline=BASELINE,
        options=options,
        versions=versions("uvicorn", "uvloop", "websockets", "wsproto", "starlette"),
        before=before,
        parameters={"sockets": sockets, "events": events, "interval_seconds": INTERVAL, "idle_sockets": idle},
        notes=["netra serve: every event is stored before it is sent; the peers store nothing."],
    )


if __name__ == "__main__":
    main()
