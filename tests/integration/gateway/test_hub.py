"""The hub within its server, with a bus that loses and repeats, and a database that goes away."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from netra.app import Netra
from netra.config import Settings
from netra.errors import Unavailable
from netra.gateway.server import Server
from netra.log import Page, Published
from support.accounts import Account, register
from support.runs import until_ended
from support.sockets import Reader, open_socket
from support.waiting import until


@dataclass(frozen=True, slots=True)
class Served:
    """A server in this process, and where it answers."""

    netra: Netra
    base_url: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose parts can be watched and disturbed."""
    settings = Settings(
        data_dir=tmp_path / "data",
        port=0,
        allow_registration=True,
        agents=["support.chatty:talk"],
        sockets_per_user=200,
        read_connections=4,
    )
    netra = Netra(settings)
    ports: asyncio.Queue[int] = asyncio.Queue()
    server = Server(netra.asgi, settings, on_ready=ports.put_nowait, on_drain=netra.drain)
    serving = asyncio.create_task(server._serve())  # without uvicorn's signal handlers, which are pytest's here
    port = await asyncio.wait_for(ports.get(), 60)
    yield Served(netra, f"http://127.0.0.1:{port}")
    server.should_exit = True
    await serving


@pytest.fixture
def netra(served: Served) -> Netra:
    return served.netra


@pytest.fixture
async def ann(served: Served) -> Account:
    return await asyncio.to_thread(register, served.base_url)


async def send(account: Account, content: str, thread_id: str | None = None) -> dict[str, str]:
    async with account.async_client() as client:
        path = f"/api/threads/{thread_id}/messages" if thread_id else "/api/messages"
        answer = await client.post(path, json={"id": secrets.token_hex(6), "content": content})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())


@pytest.mark.parametrize("seed", range(3))
async def test_what_the_bus_loses_or_repeats_is_put_right_from_the_log(
    netra: Netra, ann: Account, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    publish = netra.bus.publish
    last: list[Published] = []

    def lossy(published: Published) -> None:
        last[:] = [published]
        for _ in range(dice.choice([0, 1, 1, 2])):
            publish(published)

    first = await send(ann, "1 1")
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=first["thread_id"])
        await socket.of_type("live")
        monkeypatch.setattr(netra.bus, "publish", lossy)
        for number in range(5):
            sent = await send(ann, f"{20 + number} 3 10", first["thread_id"])
            await until_ended(ann, sent["run_id"])
        publish(last[0])  # whatever was lost, the next thing that is heard shows it
        await socket.of_type("agent_completed", run_id=sent["run_id"])
        reader = Reader()
        events = socket.events(first["thread_id"])
        assert all(reader.take(event) for event in events)
        assert len(reader.applied) == len(events), "something came twice"
        page = await netra.log.read(first["thread_id"])
        assert reader.last == page.last_seq
        assert {seq for seq, _, _ in page.events} <= {event["seq"] for event in events}


async def test_a_replay_waits_for_a_database_that_is_away(
    netra: Netra, ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netra.gateway.socket.hub.RETRY_SECONDS", 0.01)
    sent = await send(ann, "3 1")
    read = netra.log.read
    failures = iter(range(3))

    async def away(*args: object, **options: object) -> Page:
        if next(failures, None) is not None:
            raise Unavailable("The database cannot be reached.")
        return await read(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(netra.log, "read", away)
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=sent["thread_id"])
        await socket.of_type("live")
        assert socket.events(sent["thread_id"])[0]["type"] == "user_message"


async def test_many_open_sockets_hold_no_database_connection_and_leave_nothing_behind(
    netra: Netra, ann: Account
) -> None:
    sent = await send(ann, "1 1")
    async with AsyncExitStack() as stack:
        for _ in range(20 * 4):
            socket = await stack.enter_async_context(open_socket(ann))
            await socket.send("subscribe", thread_id=sent["thread_id"])
            await socket.of_type("live")
        assert len(netra.hub.connections()) == 80
        # The server's own work (alert rules, its history) takes one for a moment now and then.
        await until(lambda: not netra.database.checked_out, "connections to come back")
    await until(lambda: not netra.hub.connections() and not netra.database.checked_out, "everybody to leave")
    assert netra.bus._threads == {}
    assert netra.bus._users == {}


async def test_one_connection_follows_a_limited_number_of_threads(
    netra: Netra, ann: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netra.gateway.socket.hub.SUBSCRIPTIONS", 2)
    threads = [(await send(ann, "1 1"))["thread_id"] for _ in range(3)]
    async with open_socket(ann) as socket:
        for thread_id in threads[:2]:
            await socket.send("subscribe", thread_id=thread_id)
            await socket.of_type("live", thread_id=thread_id)
        start = len(socket.frames)
        await socket.send("subscribe", thread_id=threads[2])
        assert (await socket.of_type("error", start=start))["code"] == "limit_reached"
        await socket.send("subscribe", thread_id=threads[0])  # again is not one more
        await socket.of_type("live", start=start, thread_id=threads[0])


async def test_a_deleted_thread_ends_its_subscriptions(netra: Netra, ann: Account) -> None:
    sent = await send(ann, "1 1")
    async with open_socket(ann) as socket:
        await socket.send("subscribe", thread_id=sent["thread_id"])
        await socket.of_type("live")
        async with ann.async_client() as client:
            await client.delete(f"/api/threads/{sent['thread_id']}")
        await socket.of_type("thread_changed", deleted=True)
        await until(lambda: not netra.bus._threads, "the subscription to end")
        assert (await socket.ask("ping"))["type"] == "pong"
        assert "error" not in {frame["type"] for frame in socket.frames}
