"""What the event suite measures on a real server: runs seen event by event, delays, reconnections, and a crowd.

Used by `tests/mission_critical/test_websocket_agent_events_suite.py`, as a test and as a script. Nothing here judges:
each function returns what happened, and says how it was measured.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math
import random
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import websockets

from netra import RunContext, agent

from .accounts import Account, register
from .history import Asked, Entry, Got, Log, Rested, Sent, check
from .relay import Relay
from .server import ServerProcess
from .sockets import EVENTS, Frame, Socket, open_socket
from .waiting import until

FIVE = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
COMMON_FIELDS = frozenset(
    {"type", "seq", "prev", "event_id", "thread_id", "run_id", "user_id", "agent_name", "timestamp"}
)
FIELDS = {
    "agent_started": {"status", "message", "attempt"},
    "agent_thinking": {"step_number", "reasoning"},
    "tool_executing": {"tool_call_id", "tool_name", "parameters", "tool_purpose"},
    "tool_completed": {"tool_call_id", "tool_name", "success", "results", "duration_ms"},
    "agent_completed": {"status", "final_response", "duration_ms", "usage"},
}
AGENT = "support.event_suite:repeating"
SETTINGS = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_SOCKETS_PER_ADDRESS": "1024"}
"""Everybody of the crowd comes from one address; everything else is as it is delivered."""
_CANARY = re.compile(r"canary-[0-9a-f]{16}")
GONE = (OSError, httpx.TransportError, websockets.WebSocketException, TimeoutError, AssertionError)


@agent(title="Repeating", description="Thinks once, uses one tool, answers; each time with the words of the message.")
async def repeating(ctx: RunContext) -> str:
    """The message is in the thought, the tool's parameters, purpose and result, the streamed text and the answer."""
    words = ctx.message.content

    async def look_up(words: str) -> dict[str, str]:
        return {"found": words}

    await ctx.think(f"Looking up {words}.")
    found = await ctx.tool(look_up, words=words, name="look_up", purpose=f"Look up {words}")
    await ctx.stream("Found: ")
    await ctx.stream(found["found"])
    return f"Found: {found['found']}"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and when it came.

    Args:
        received: seconds since 1970.
    """

    event: Frame
    received: float

    @property
    def delay_ms(self) -> float:
        """From the making of the event, before it is stored, to its receipt. The timestamp is cut to milliseconds."""
        return (self.received - datetime.fromisoformat(self.event["timestamp"]).timestamp()) * 1000


async def ask(socket: Socket, content: str, thread_id: str | None = None, **members: str) -> Frame:
    """Send a message; returns its `ack`."""
    key = secrets.token_hex(8)
    start = len(socket.frames)
    await socket.send("user_message", id=key, content=content, thread_id=thread_id, **members)
    return await socket.wait(lambda f: f["type"] in ("ack", "error") and f.get("id") == key, start=start, timeout=60)


async def watch_runs(person: Account, count: int, **members: str) -> list[list[Seen]]:
    """Let a user ask `count` times, one after the other, in a thread that is followed live: the events of each run.

    `members` are further ones of each `user_message`, such as `agent`.
    """
    runs = []
    async with open_socket(person) as socket, person.async_client() as client:
        thread = (await client.post("/api/threads", json={})).json()["id"]
        await socket.send("subscribe", thread_id=thread)
        await socket.of_type("live")
        for number in range(count):
            start = len(socket.frames)
            ack = await ask(socket, f"question {number}", thread, **members)
            await socket.of_type("agent_completed", start=start, run_id=ack["run_id"])
            runs.append(
                [
                    Seen(frame, received)
                    for frame, received in zip(socket.frames[start:], socket.received[start:], strict=False)
                    if frame["type"] in EVENTS and frame["run_id"] == ack["run_id"]
                ]
            )
    return runs


def percentile(values: Sequence[float], percent: int) -> float:
    """The least of the values that at least `percent` of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Reconnections:
    """A reader whose connection was cut again and again.

    Args:
        seconds: from the moment the network was there again until everything missed had come, for each cut.
        missed: events that were stored while the reader was cut off.
        faults: what the judge of histories found: nothing lost, repeated or out of order when it is empty.
    """

    seconds: list[float]
    missed: int
    faults: list[str]


async def reconnect(server: ServerProcess, person: Account, cuts: int) -> Reconnections:
    """Cut a reader off while a run is on its way, let another go by, mend, and wait until the reader has everything."""
    seconds: list[float] = []
    history: list[Entry] = []
    missed = last = 0
    with Relay(server.port) as relay:
        distant = dataclasses.replace(person, base_url=relay.base_url)
        async with person.async_client() as client:
            thread = (await client.post("/api/threads", json={})).json()["id"]
            for number in range(cuts + 1):
                begun = time.monotonic()
                async with _reconnected(distant) as socket:
                    history.append(Asked("reader", person.id, thread, last))
                    await socket.send("subscribe", thread_id=thread, after=last)
                    await socket.of_type("live")
                    if number:
                        seconds.append(time.monotonic() - begun)
                    if number < cuts:
                        await _send(client, person, thread, history)
                        await asyncio.sleep(random.uniform(0, 0.02))
                        relay.cut()
                        await socket.close_code_within()
                events = socket.events(thread)
                history += [Got("reader", event) for event in events]
                last = max([last, *(event["seq"] for event in events)])
                if number < cuts:
                    sent = await _send(client, person, thread, history)
                    missed += await _ended(client, thread, sent["run_id"]) - last
                    relay.mend()
            history += [Rested("reader"), await _log(client, person, thread)]
    return Reconnections(seconds, missed, check(history))


@asynccontextmanager
async def _reconnected(person: Account) -> AsyncIterator[Socket]:
    """A socket, tried every 50 ms until there is one."""
    async with AsyncExitStack() as stack:
        while True:
            try:
                socket = await stack.enter_async_context(open_socket(person))
                break
            except GONE:
                await asyncio.sleep(0.05)
        yield socket


async def _send(client: httpx.AsyncClient, person: Account, thread: str, history: list[Entry]) -> dict[str, Any]:
    key = secrets.token_hex(8)
    answer = await client.post(f"/api/threads/{thread}/messages", json={"id": key, "content": key})
    assert answer.status_code == 202, answer.text
    sent = dict(answer.json())
    history.append(Sent(person.id, key, key, thread, sent["seq"], sent["run_id"]))
    return sent


async def _ended(client: httpx.AsyncClient, thread: str, run_id: str) -> int:
    """The last seq of a thread, once a run has ended."""

    async def last_seq() -> int | None:
        page = (await client.get(f"/api/threads/{thread}/events", params={"limit": 1000})).json()
        over = any(e["type"] == "agent_completed" and e["run_id"] == run_id for e in page["events"])
        return int(page["last_seq"]) if over else None

    return await until(last_seq, "the end of the run", seconds=30)


async def _log(client: httpx.AsyncClient, person: Account, thread: str) -> Log:
    page = (await client.get(f"/api/threads/{thread}/events", params={"limit": 1000})).json()
    return Log(person.id, thread, tuple(page["events"]))


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many users at once, each with a canary that only they know.

    Args:
        runs: the types of the five kinds of events of every run, in the order in which its owner got them.
        events: how many events came, to everybody together.
        strays: what came to somebody and speaks of somebody else.
        refused: attempts to follow a neighbour's thread that were answered as for one that does not exist.
        faults: what the judge of histories found.
    """

    users: int
    runs: list[list[str]]
    events: int
    strays: list[str]
    refused: int
    faults: list[str]


async def crowd(server: ServerProcess, users: int, runs: int = 2) -> Crowd:
    """Register `users` people, connect them all, and let them all ask at the same moment, `runs` times each.

    Everybody follows their own thread and tries to follow a neighbour's.
    """
    people = await _registered(server.base_url, users)
    history: list[Entry] = []
    async with AsyncExitStack() as stack:
        sockets = await asyncio.gather(*(stack.enter_async_context(open_socket(person)) for person in people))
        members = [
            _Member(person, socket, f"canary-{secrets.token_hex(8)}")
            for person, socket in zip(people, sockets, strict=True)
        ]
        await asyncio.gather(*(member.begin(history) for member in members))
        await asyncio.gather(
            *(member.go_on(runs - 1, members[number - 1].thread, history) for number, member in enumerate(members))
        )
        await asyncio.gather(*(member.settle(history) for member in members))
    strays = [text for member in members for text in member.strays()]
    return Crowd(
        users=users,
        runs=[kinds for member in members for kinds in member.runs()],
        events=sum(len(member.got()) for member in members),
        strays=strays,
        refused=sum(member.refused for member in members),
        faults=check(history),
    )


@dataclass
class _Member:
    person: Account
    socket: Socket
    canary: str
    thread: str = ""
    refused: int = 0
    run_ids: list[str] = field(default_factory=list)

    async def begin(self, history: list[Entry]) -> None:
        """Ask for the first time, which makes the thread, and follow it."""
        await self._ask(history)
        history.append(Asked(self.canary, self.person.id, self.thread, 0))
        await self.socket.send("subscribe", thread_id=self.thread)

    async def go_on(self, runs: int, neighbour: str, history: list[Entry]) -> None:
        """Try the neighbour's thread, ask again, and wait until all runs have ended."""
        await self.socket.send("subscribe", thread_id=neighbour)
        answer = await self.socket.of_type("error", thread_id=neighbour, timeout=60)
        self.refused += answer["code"] == "not_found"
        for _ in range(runs):
            await self._ask(history)
        for run_id in self.run_ids:
            await self.socket.of_type("agent_completed", run_id=run_id, timeout=60)

    async def _ask(self, history: list[Entry]) -> None:
        content = f"{self.canary} {len(self.run_ids)}"
        ack = await ask(self.socket, content, self.thread or None)
        assert ack["type"] == "ack", ack
        self.thread = ack["thread_id"]
        self.run_ids.append(ack["run_id"])
        history.append(Sent(self.person.id, content, content, self.thread, ack["seq"], ack["run_id"]))

    async def settle(self, history: list[Entry]) -> None:
        """Record what came and what the log holds; everything that was on its way has come when the pong is there."""
        assert (await self.socket.ask("ping"))["type"] == "pong"
        history += [Got(self.canary, event) for event in self.got()]
        async with self.person.async_client() as client:
            history += [Rested(self.canary), await _log(client, self.person, self.thread)]

    def got(self) -> list[Frame]:
        """Every event that came, of whatever thread."""
        return [frame for frame in self.socket.frames if frame["type"] in EVENTS]

    def runs(self) -> list[list[str]]:
        """The five kinds of events of each run, as they came."""
        return [
            [event["type"] for event in self.got() if event["run_id"] == run_id and event["type"] in FIVE]
            for run_id in self.run_ids
        ]

    def strays(self) -> list[str]:
        """Canaries and owners in what came that are not this member's."""
        others = {word for word in _CANARY.findall(json.dumps(self.socket.frames)) if word != self.canary}
        owners = {event["user_id"] for event in self.got()} - {self.person.id}
        return [f"{self.person.id} got {stray}" for stray in sorted(others | owners)]


async def _registered(base_url: str, count: int) -> list[Account]:
    """Real people with real passwords; as many at once as keep the server's hashing threads busy."""
    turns = asyncio.Semaphore(4)

    async def one() -> Account:
        async with turns:
            return await asyncio.to_thread(register, base_url)

    return list(await asyncio.gather(*(one() for _ in range(count))))
