"""CORS and health on the real application: every answer a page of an allowed origin may get, it may also read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from netra.app import create_app
from netra.config import Settings
from support.accounts import Account, set_up_admin
from support.server import ServerProcess

ALLOWED = "https://app.example"
FOREIGN = "https://evil.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"NETRA_ALLOWED_ORIGINS": f'["{ALLOWED}"]', "NETRA_BODY_BYTES": "2048"}
    with ServerProcess(tmp_path_factory.mktemp("cors"), environment=environment) as process:
        yield process
        assert process.tracebacks == []


@pytest.fixture(scope="module")
def admin(server: ServerProcess) -> Account:
    return set_up_admin(server)


REQUESTS: list[tuple[int, str, str, dict[str, Any]]] = [
    (200, "GET", "/health", {}),
    (200, "GET", "/metrics", {}),
    (200, "GET", "/api/me", {"known": True}),
    (401, "GET", "/api/threads", {}),
    (404, "GET", "/api/threads/thr_nothing", {"known": True}),
    (404, "GET", "/api/no/such/address", {}),
    (405, "DELETE", "/api/me", {"known": True}),
    (413, "POST", "/api/messages", {"known": True, "content": b"x" * 3000}),
    (422, "POST", "/api/messages", {"known": True, "json": {"content": 7}}),
]


@pytest.mark.spec("cors.errors-too", "cors.metrics")
@pytest.mark.parametrize(("status", "method", "path", "options"), REQUESTS, ids=[f"{r[0]} {r[2]}" for r in REQUESTS])
def test_an_allowed_origin_may_read_every_answer_and_a_foreign_one_none(
    server: ServerProcess, admin: Account, status: int, method: str, path: str, options: dict[str, Any]
) -> None:
    options = dict(options)
    headers = dict(admin.headers) if options.pop("known", False) else {}
    headers |= options.pop("headers", {})
    with httpx.Client(base_url=server.base_url, trust_env=False, verify=False, timeout=30) as client:
        own = client.request(method, path, headers={**headers, "Origin": ALLOWED}, **options)
        other = client.request(method, path, headers={**headers, "Origin": FOREIGN}, **options)
    assert own.status_code == status
    assert own.headers["access-control-allow-origin"] == ALLOWED
    assert "Origin" in own.headers["vary"]
    assert own.headers["x-content-type-options"] == "nosniff"
    assert other.status_code == status
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.spec("cors.errors-too")
async def test_an_allowed_origin_may_read_that_the_server_failed(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, allowed_origins=[ALLOWED])).asgi

    async def fail() -> None:
        raise RuntimeError("a fault in a route")

    app.add_api_route("/api/fault", fail)
    app.router.routes.insert(0, app.router.routes.pop())  # before the page, which takes any address
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
        answer = await client.get("/api/fault", headers={"Origin": ALLOWED})
        away = await client.get("/health", headers={"Origin": ALLOWED})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.json()["code"] == "internal"
    assert away.status_code == 503
    assert away.headers["access-control-allow-origin"] == ALLOWED


@pytest.mark.spec("cors.errors-too")
@pytest.mark.parametrize(("origin", "status"), [(ALLOWED, 200), (FOREIGN, 400)])
def test_a_preflight_is_answered_before_anything_else_is_asked(server: ServerProcess, origin: str, status: int) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = httpx.options(f"{server.base_url}/api/messages", headers=headers, trust_env=False, verify=False)
    assert answer.status_code == status
    assert answer.headers.get("access-control-allow-origin") == (ALLOWED if origin == ALLOWED else None)


@pytest.mark.spec("cors.not-websockets")
async def test_a_websocket_is_left_alone(server: ServerProcess, admin: Account) -> None:
    async with websockets.connect(
        server.ws_url,
        origin=websockets.Origin(ALLOWED),
        subprotocols=[websockets.Subprotocol("netra.v1")],
        additional_headers=admin.headers,
        proxy=None,
    ) as socket:
        assert socket.response is not None
        assert not [name for name in socket.response.headers if name.lower().startswith("access-control")]
        async with asyncio.timeout(10):
            assert await socket.recv()
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(
            server.ws_url,
            origin=websockets.Origin(ALLOWED),
            subprotocols=[websockets.Subprotocol("netra.v1")],
            proxy=None,
        )
    assert refused.value.response.status_code == 401
    assert "access-control-allow-origin" not in refused.value.response.headers


@pytest.mark.spec("health.serving", "health.own-paths")
def test_each_health_path_answers_when_serving(server: ServerProcess) -> None:
    for path in ("/health", "/health/live", "/health/ready", "/health/startup"):
        answer = httpx.get(server.base_url + path, trust_env=False, verify=False)
        assert answer.status_code == 200, path
        assert answer.json()["status"] == "ok"
        assert answer.json()["version"]


@pytest.mark.spec("health.own-paths")
async def test_start_up_says_503_until_every_part_has_started_and_after_the_stop(tmp_path: Path) -> None:
    netra = create_app(Settings(data_dir=tmp_path, port=0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=netra.asgi), base_url="http://here") as client:

        async def statuses() -> list[int]:
            paths = ("/health/live", "/health/startup", "/health/ready")
            return [(await client.get(path)).status_code for path in paths]

        assert await statuses() == [200, 503, 503]
        await netra.start()
        assert await statuses() == [200, 200, 200]
        await netra.stop()
        assert await statuses() == [200, 503, 503]
