"""A factory over a real database, with its own clock and log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
import structlog
from structlog.testing import LogCapture

from netra.sessions import RequestScopedSessionFactory
from netra.storage import Database
from support.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def logged() -> LogCapture:
    """What is logged while the test runs."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(processors=before)


Open = Callable[..., "RequestScopedSessionFactory"]


@pytest.fixture
async def open_factory(database_url: str, clock: ManualClock) -> AsyncIterator[Open]:
    """Open a factory with these limits over the database."""
    async with AsyncExitStack() as stack:

        async def opened(
            *, url: str = database_url, held_seconds: float = 60, strict: bool = True, **limits: float
        ) -> RequestScopedSessionFactory:
            database = Database(url, **limits)
            factory = RequestScopedSessionFactory(database, clock, held_seconds=held_seconds, strict=strict)
            await factory.start()
            stack.push_async_callback(factory.close)
            return factory

        yield opened


@pytest.fixture
async def factory(open_factory: Open) -> RequestScopedSessionFactory:
    """A factory with two connections for sessions, and half a second's patience."""
    return await open_factory(session_connections=2, session_wait_seconds=0.5)
