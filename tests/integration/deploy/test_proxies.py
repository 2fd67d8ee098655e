"""Netra behind nginx and behind Caddy, with the configuration that is shipped."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from netra.config import MIB, Settings
from netra.gateway.http.sse import COMMENT_SECONDS
from support.accounts import Account, register
from support.ports import free_port
from support.server import ServerProcess
from support.sockets import Reader, open_socket, read_stream
from support.web_proxies import DEPLOY, SHIPPED_SECONDS, WebProxy, nginx, program, replaced

HEARTBEAT = 0.5
SILENCE = 2
"""Seconds after which the proxy takes who is silent for dead: more than a heartbeat, and less than a test is idle."""
LIMIT = 1
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and the proxy before it."""

    server: ServerProcess
    proxy: WebProxy

    def join(self) -> Account:
        """A new user, who knows the proxy only."""
        return replace(register(self.server.base_url), base_url=self.proxy.base_url)


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp(request.param)
    port = free_port()
    environment = {
        "NETRA_ALLOW_REGISTRATION": "true",
        "NETRA_DRAIN_SECONDS": "2",
        "NETRA_HEARTBEAT_SECONDS": str(HEARTBEAT),
        "NETRA_LOGIN_ATTEMPTS": str(LIMIT),
        "NETRA_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "NETRA_TRUSTED_PROXIES": '["127.0.0.1"]',
    }
    server = ServerProcess(directory / "data", agents=["support.agents:steps"], environment=environment)
    with server, WebProxy(request.param, directory, server.port, port=port, seconds=SILENCE) as proxy:
        yield Site(server, proxy)


async def begin(person: Account, folder: Path) -> str:
    """A run of two steps that waits before the second until `folder/2` is there; returns its thread."""
    async with person.async_client() as client:
        answer = await client.post("/api/messages", json={"id": "one", "content": f"2 {folder}"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["thread_id"])


async def test_events_come_through_a_socket_as_they_happen_and_however_long_it_is_idle(
    site: Site, tmp_path: Path
) -> None:
    person = site.join()
    async with open_socket(person, origin=site.proxy.base_url) as socket:
        thread = await begin(person, tmp_path)
        await socket.send("subscribe", thread_id=thread, after=0)
        await socket.of_type("agent_thinking", reasoning="Step 2")  # while the run goes on: its second step is held
        assert not [event for event in socket.events(thread) if event["type"] == "agent_completed"]
        await asyncio.sleep(2 * SILENCE + 0.5)  # longer than the proxy bears silence, and nothing is lost
        (tmp_path / "2").touch()
        end = await socket.of_type("agent_completed")
        assert end["final_response"] == "sum 3"
        reader = Reader()
        assert all(reader.take(event) for event in socket.events(thread))


async def test_events_come_through_a_stream_as_they_happen_and_however_long_it_is_idle(
    site: Site, tmp_path: Path
) -> None:
    person = site.join()
    thread = await begin(person, tmp_path)
    quiet, reader = 0, Reader()
    headers = {**person.headers, "Accept": "text/event-stream", "Accept-Encoding": "gzip, zstd, br"}
    async with (
        person.async_client(headers=headers) as client,
        asyncio.timeout(30),
        client.stream("GET", f"/api/threads/{thread}/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers

        async def watched() -> Any:
            nonlocal quiet
            async for line in answer.aiter_lines():
                quiet += line == ": still here"
                if quiet * HEARTBEAT > 2 * SILENCE:
                    (tmp_path / "2").touch()
                yield line

        async for item in read_stream(watched()):
            if item is not None:
                assert reader.take(item[1])
                if item[1]["type"] == "agent_completed":
                    break
    held = [event["type"] for event in reader.applied].index("tool_completed")
    assert held < len(reader.applied) - 1, "what came before the pause came before the pause"
    assert quiet * HEARTBEAT > 2 * SILENCE
    assert reader.applied[-1]["final_response"] == "sum 3"


def test_other_pages_may_open_no_socket_and_change_nothing(site: Site) -> None:
    """`Host` and `Origin` reach the server as the browser sent them."""
    person = site.join()
    with person.client(headers={}) as client:
        body = {"email": person.email, "password": person.password}
        own = client.post("/api/auth/login", json=body, headers={"Origin": site.proxy.base_url})
        other = client.post("/api/auth/login", json=body, headers={"Origin": "https://evil.example"})
    assert own.status_code == 200, own.text
    assert other.status_code == 403


def test_the_client_is_who_the_proxy_says_and_not_who_it_says_it_is(site: Site) -> None:
    """Failed sign-ins are counted by address: each one's own, whatever X-Forwarded-For it makes up."""

    def guesses(base_url: str, source: str, claims: list[str | None]) -> list[int]:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source), base_url=base_url) as client:
            return [
                client.post(
                    "/api/auth/login",
                    json={"email": f"{os.urandom(6).hex()}@example.com", "password": "wrong password"},
                    headers={"X-Forwarded-For": claim} if claim else {},
                ).status_code
                for claim in claims
            ]

    forged = [f"203.0.113.{number}" for number in range(6)]
    assert guesses(site.proxy.base_url, "127.0.0.2", [*forged]) == [401] * 5 + [429]
    assert guesses(site.proxy.base_url, "127.0.0.3", [None]) == [401], "another client of the proxy is another one"
    direct = site.server.base_url
    assert guesses(direct, "127.0.0.4", [*forged]) == [401] * 5 + [429], "who is no proxy is not believed"
    assert guesses(direct, "127.0.0.5", ["127.0.0.2"]) == [401]


def test_a_large_file_goes_through_both_ways(site: Site) -> None:
    person = site.join()
    content = os.urandom(40 * MIB)
    with person.client(timeout=60) as client:
        stored = client.post("/api/files", files={"file": ("usage.csv", content, "text/csv")})
        assert stored.status_code == 201, stored.text
        fetched = client.get(f"/api/files/{stored.json()['id']}")
    assert hashlib.sha256(fetched.content).digest() == hashlib.sha256(content).digest()


def test_the_page_is_served_and_metrics_are_not(site: Site) -> None:
    page = httpx.get(site.proxy.base_url + "/", **PLAIN)
    assert page.status_code == 200
    assert "content-security-policy" in page.headers
    assert httpx.get(site.proxy.base_url + "/health/ready", **PLAIN).status_code == 200
    assert httpx.get(site.proxy.base_url + "/metrics", **PLAIN).status_code == 404


async def test_who_is_told_that_the_server_goes_away_finds_the_next_one(site: Site) -> None:
    person = site.join()
    async with open_socket(person) as socket:
        await asyncio.to_thread(site.server.stop)
        assert await socket.close_code_within() == 1012
        assert socket.frames[-1]["type"] == "draining"
    async with person.async_client() as client:
        assert (await client.get("/api/me")).status_code == 502
        await asyncio.to_thread(site.server.start)
        assert (await client.get("/api/me")).status_code == 200


def test_limits_fit_those_of_the_server() -> None:
    """An idle minute is nothing: the server speaks several times before the shipped proxies lose their patience."""
    settings = Settings.model_fields
    heartbeat = max(COMMENT_SECONDS, settings["heartbeat_seconds"].default)
    assert SHIPPED_SECONDS > 60
    assert 3 * heartbeat < SHIPPED_SECONDS
    largest = settings["file_bytes"].default
    site_file = re.search(r"client_max_body_size\s+(\d+)m;", (DEPLOY / "nginx.conf").read_text())
    assert site_file is not None
    assert largest < int(site_file.group(1)) * MIB
    caddy = re.search(r"max_size (\d+)MB", (DEPLOY / "Caddyfile").read_text())
    assert caddy is not None
    assert largest < int(caddy.group(1)) * 1_000_000


def test_nginx_takes_the_shipped_file_with_its_certificate(tmp_path: Path) -> None:
    subject = ["-subj", "/CN=netra.example", "-days", "2", "-nodes", "-newkey", "ec", "-pkeyopt"]
    made = ["openssl", "req", "-x509", *subject, "ec_paramgen_curve:prime256v1"]
    subprocess.run([*made, "-keyout", tmp_path / "key", "-out", tmp_path / "cert"], check=True, capture_output=True)
    text = (DEPLOY / "nginx.conf").read_text()
    text = replaced(text, r"/etc/ssl/netra/fullchain\.pem", str(tmp_path / "cert"))
    text = replaced(text, r"/etc/ssl/netra/privkey\.pem", str(tmp_path / "key"))
    text = replaced(text, r"\b443\b", str(free_port()))
    text = replaced(text, r"\b80;", f"{free_port()};")
    (tmp_path / "shipped").write_text(text)
    done = subprocess.run([*nginx(program("nginx"), tmp_path), "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr


def test_caddy_takes_the_shipped_file(tmp_path: Path) -> None:
    command = [program("caddy"), "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile"), "--validate"]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    formatted = subprocess.run(
        [program("caddy"), "fmt", DEPLOY / "Caddyfile"], capture_output=True, text=True, check=False
    )
    assert formatted.stdout == (DEPLOY / "Caddyfile").read_text()
