"""One server's identity over a real database, and clients that speak HTTP to its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from netra.config import Settings
from netra.gateway.http.auth import auth_routes
from netra.gateway.http.guard import Guard
from netra.gateway.http.problems import install_problems
from netra.identity import Identity
from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from netra.storage.audit import AuditLog
from netra.storage.migrate import migrate

ORIGIN = "http://localhost:8000"
PASSWORD = "correct horse battery staple"


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self._now = datetime(2030, 1, 1, tzinfo=UTC)
        self._passed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._passed

    def forward(self, **span: float) -> None:
        self._now += timedelta(**span)
        self._passed += timedelta(**span).total_seconds()


@dataclass
class Installation:
    """A server and everything a test may want of it."""

    settings: Settings
    database: RequestScopedSessionFactory
    clock: Clock
    identity: Identity
    app: FastAPI
    _stack: AsyncExitStack
    revoked: list[dict[str, str | None]] = field(default_factory=list)

    def client(self, address: str = "198.51.100.1", **options: Any) -> httpx.AsyncClient:
        """A client at an address, with its own cookies."""
        transport = httpx.ASGITransport(self.app, client=(address, 40_000), raise_app_exceptions=False)
        client = httpx.AsyncClient(transport=transport, base_url=self.settings.origin, **options)
        self._stack.push_async_callback(client.aclose)
        return client

    def page(self, **options: Any) -> httpx.AsyncClient:
        """A browser on the server's own page: it says where its requests come from."""
        return self.client(headers={"Origin": self.settings.origin}, **options)

    async def user(self, email: str = "ada@example.com", password: str = PASSWORD, **options: Any) -> str:
        """A new user's id."""
        return (await self.identity.users.create(email, password, **options)).id

    async def signed_in(
        self, email: str = "ada@example.com", password: str = PASSWORD, page: bool = False
    ) -> httpx.AsyncClient:
        """A client of an existing user: with an access token, or as a page with the cookie."""
        client = self.page() if page else self.client()
        answer = await client.post("/api/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        if not page:
            client.cookies.clear()
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client


Install = Callable[..., Awaitable[Installation]]


@pytest.fixture
async def install(database_url: str) -> AsyncIterator[Install]:
    """Start a server on the test's database, with settings of choice; several share the database."""
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(migrate, database_url)

        async def start(clock: Clock | None = None, **settings: Any) -> Installation:
            chosen = Settings(**{"database_url": database_url, "public_url": ORIGIN, **settings})
            database = RequestScopedSessionFactory(Database(chosen.database), strict=True)
            await database.start()
            stack.push_async_callback(database.stop)
            clock = clock or Clock()
            identity = Identity(database, clock, chosen, AuditLog(database, clock))
            await identity.start()
            stack.push_async_callback(identity.stop)
            app = FastAPI()
            install_problems(app)
            app.include_router(auth_routes(identity, chosen))
            app.add_middleware(Guard, settings=chosen, sessions=database)
            made = Installation(chosen, database, identity._clock, identity, app, stack)  # type: ignore[arg-type]
            identity.on_revoked(lambda **what: made.revoked.append(what))
            return made

        yield start


@pytest.fixture
async def installation(install: Install) -> Installation:
    """A server with default settings."""
    return await install()
