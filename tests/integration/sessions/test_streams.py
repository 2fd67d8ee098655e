"""Streams hold no connection to the database, and one that would is noticed (rule 5 of the architecture)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import LogCapture

from netra.config import Settings
from netra.gateway.http.guard import Guard
from netra.gateway.http.problems import install_problems
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory, StreamHoldsConnection, get_session_from_factory
from netra.sessions.door import get_session, serve_sessions
from support.accounts import register, set_up_admin
from support.clock import ManualClock
from support.server import ServerProcess
from support.sockets import open_socket
from support.waiting import until

from .conftest import Open

POOLS = 4 + 4
"""Connections of the pools for reading, of a server with `read_connections=4`."""
STREAMS = 20 * POOLS


def violations() -> float:
    return metrics.registry.get_sample_value("netra_stream_sessions_open_total") or 0.0


def application(factory: RequestScopedSessionFactory) -> FastAPI:
    """Routes behind the guard: one that streams as it should, and some that do not."""
    app = FastAPI()
    install_problems(app)

    async def session() -> AsyncIterator[AsyncSession]:
        async with get_session_from_factory(factory) as opened:
            yield opened

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    @app.get("/good")
    async def good() -> StreamingResponse:
        async with factory.read() as connection:
            await connection.execute(text("SELECT 1"))
        return StreamingResponse(parts())

    @app.get("/planted")
    async def planted(held: AsyncSession = Depends(session)) -> StreamingResponse:
        await held.execute(text("SELECT 1"))  # and the dependency is open until the stream has ended
        return StreamingResponse(parts())

    @app.get("/reading")
    async def reading() -> StreamingResponse:
        async def held() -> AsyncIterator[bytes]:
            async with factory.read():
                yield b"one "

        return StreamingResponse(held())

    @app.get("/plain")
    async def plain(held: AsyncSession = Depends(session)) -> dict[str, Any]:
        return {"answer": (await held.execute(text("SELECT 1"))).scalar()}

    app.add_middleware(Guard, settings=Settings(), sessions=factory)
    return app


def asking(factory: RequestScopedSessionFactory) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(application(factory))
    return httpx.AsyncClient(transport=transport, base_url="http://netra.test")


@pytest.mark.spec("factory.streams-hold-nothing")
@pytest.mark.parametrize("path", ["/planted", "/reading"])
async def test_a_stream_that_holds_a_connection_raises_in_tests(
    open_factory: Open, clock: ManualClock, path: str
) -> None:
    factory = await open_factory(strict=True)
    before = violations()
    async with asking(factory) as client:
        with pytest.raises(StreamHoldsConnection, match="1 database connection"):
            await client.get(path)
    assert violations() - before == 1
    clock.advance(61)  # nobody closes a generator that is left in the middle; its connection is taken back
    assert await factory.leaks.check() == (path == "/reading")
    assert factory.checked_out == 0


@pytest.mark.spec("factory.streams-hold-nothing")
@pytest.mark.parametrize("path", ["/planted", "/reading"])
async def test_in_production_it_is_counted_and_logged_and_the_stream_goes_on(
    open_factory: Open, path: str, logged: LogCapture
) -> None:
    factory = await open_factory(strict=False)
    before = violations()
    async with asking(factory) as client:
        answer = await client.get(path)
    assert answer.text.startswith("one ")
    assert violations() - before == 1
    (entry,) = [entry for entry in logged.entries if entry["event"] == "stream holds a database connection"]
    assert entry["request_id"] == answer.headers["x-request-id"]
    assert factory.checked_out == 0


async def test_streams_that_hold_nothing_and_answers_that_do_not_stream_are_let_through(open_factory: Open) -> None:
    factory = await open_factory(strict=True)
    before = violations()
    async with asking(factory) as client:
        assert (await client.get("/good")).text == "one two"
        assert (await client.get("/plain")).json() == {"answer": 1}
    assert violations() == before
    assert factory.get_session_metrics() == {}


@pytest.mark.spec("door.commit-rollback")
async def test_the_door_is_a_dependency_of_routes(factory: RequestScopedSessionFactory) -> None:
    """Committed when the route succeeds, rolled back when it raises; and it belongs to the request."""
    app = FastAPI()
    seen: list[str] = []

    @app.get("/put")
    async def put(session: Annotated[AsyncSession, Depends(get_session)], key: str, fail: bool = False) -> str:
        seen.append(session.info["request_id"])
        await session.execute(
            text("INSERT INTO installation (key, value) VALUES (:key, :value)"), {"key": key, "value": b""}
        )
        if fail:
            raise LookupError(key)
        return key

    app.add_middleware(Guard, settings=Settings(), sessions=factory)
    serve_sessions(factory)
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://netra.test") as client:
            answer = await client.get("/put", params={"key": "kept"})
            assert answer.json() == "kept"
            assert seen == [answer.headers["x-request-id"]]
            assert (await client.get("/put", params={"key": "lost", "fail": True})).status_code == 500
    finally:
        serve_sessions(None)
    async with factory.read() as connection:
        assert list((await connection.execute(text("SELECT key FROM installation"))).scalars()) == ["kept"]
    assert factory.checked_out == 0
    assert app.openapi()["paths"]["/put"]["get"]["parameters"][0]["name"] == "key", "the door adds no parameter"


@pytest.mark.spec("factory.streams-hold-nothing", "factory.server-uses-it")
async def test_twenty_times_as_many_streams_as_connections_hold_none(
    start_server: Callable[..., ServerProcess],
) -> None:
    """Half of them server-sent events, half sockets, all following one thread in which something happens."""
    limits = {
        "NETRA_READ_CONNECTIONS": "4",
        "NETRA_SOCKETS_PER_USER": str(STREAMS),
        "NETRA_SOCKETS_PER_ADDRESS": "1000",
    }
    server = start_server(agents=["support.chatty:talk"], environment=limits)
    set_up_admin(server)
    user = register(server.base_url)
    pool = httpx.Limits(max_connections=None)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(user.async_client(limits=pool))
        sent = (await client.post("/api/messages", json={"id": "m1", "content": "hello"})).raise_for_status().json()
        thread = sent["thread_id"]
        lines = []
        for _ in range(STREAMS // 2):
            path = f"/api/threads/{thread}/events"
            answer = await stack.enter_async_context(
                client.stream("GET", path, headers={"Accept": "text/event-stream"}, timeout=60)
            )
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.status_code
            lines.append(answer.aiter_lines())
        sockets = [await stack.enter_async_context(open_socket(user)) for _ in range(STREAMS // 2)]
        for socket in sockets:
            await socket.send("subscribe", thread_id=thread, after=0)
            await socket.of_type("live")
        again = await client.post(f"/api/threads/{thread}/messages", json={"id": "m2", "content": "again"})
        run = again.raise_for_status().json()["run_id"]
        for socket in sockets:
            await socket.of_type("agent_completed", run_id=run)
        async with asyncio.timeout(60):
            for each in lines:
                async for line in each:
                    if "agent_completed" in line and run in line:
                        break

        async def nothing_is_held() -> bool:
            exposed = (await client.get("/metrics")).text
            open_now = re.findall(r'^netra_connections\{kind="(?:socket|stream)"\} (\S+)$', exposed, re.MULTILINE)
            assert sum(map(float, open_now)) == STREAMS
            pools = r'^netra_db_pool_connections\{pool="(\w+)",state="in_use"\} (\S+)$'
            in_use = dict(re.findall(pools, exposed, re.MULTILINE))
            in_use.pop("writer")  # its only one, which it keeps
            assert "netra_stream_sessions_open_total 0.0" in exposed
            return in_use == {"read": "0.0", "query": "0.0"}

        await until(nothing_is_held, "no connection in use")  # the gauges are set every second
    assert "stream holds a database connection" not in server.output
