"""One server's identity over a real database, and clients that speak HTTP to its routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from support.clock import ManualClock

ORIGIN = "http://localhost:8000"
PASSWORD = "correct horse battery staple"
NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass
class Installation:
    """A server and everything a test may want of it."""

    settings: Settings
    database: RequestScopedSessionFactory
    clock: ManualClock
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

        async def start(clock: ManualClock | None = None, **settings: Any) -> Installation:
            chosen = Settings(**{"database_url": database_url, "public_url": ORIGIN, **settings})
            database = RequestScopedSessionFactory(Database(chosen.database), strict=True)
            await database.start()
            stack.push_async_callback(database.stop)
            clock = clock or ManualClock(NEW_YEAR)
            identity = Identity(database, clock, chosen, AuditLog(database, clock))
            await identity.start()
            stack.push_async_callback(identity.stop)
            app = FastAPI()
            install_problems(app)
            app.include_router(auth_routes(identity, chosen))
            app.add_middleware(Guard, settings=chosen, sessions=database)
            made = Installation(chosen, database, clock, identity, app, stack)
            identity.on_revoked(lambda **what: made.revoked.append(what))
            return made

        yield start


@pytest.fixture
async def installation(install: Install) -> Installation:
    """A server with default settings."""
    return await install()
