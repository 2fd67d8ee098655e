"""The public door to the database: SQLAlchemy sessions for programs and routes that bring their own queries.

    async with get_session() as session:                          # in a program, after `await init_database()`
        rows = (await session.execute(select(users))).all()

    @router.get("/mine")
    async def mine(session: Annotated[AsyncSession, Depends(get_session)]) -> ...:    # in a route

Each is committed when its block (or the route) succeeds, rolled back when it raises, and closed in any case. It belongs
to the request in whose scope it is opened. A route that streams must not depend on one: its session would be open for
as long as the stream. In the server, these are sessions of the server's own factory; elsewhere `init_database` opens
one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from netra.clock import SystemClock
from netra.config import Settings
from netra.errors import Unavailable
from netra.storage import Database
from netra.storage.migrate import migrate

from .factory import RequestScopedSessionFactory
from .scopes import current_session

_opening: asyncio.Lock | None = None
_served: RequestScopedSessionFactory | None = None
_own: RequestScopedSessionFactory | None = None


class SessionDoor:
    """One session to be opened: a context manager, and an async generator of one value, which FastAPI wants."""

    def __init__(self, factory: RequestScopedSessionFactory) -> None:
        self._factory = factory
        self._open: AbstractAsyncContextManager[AsyncSession] | None = None

    async def __aenter__(self) -> AsyncSession:
        session = current_session()
        user_id = session.user_id if session is not None else None
        self._open = self._factory.get_request_scoped_session(user_id or "")
        return await self._open.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._open is not None, "it was entered"
        return await self._open.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncIterator[AsyncSession]:
        return self

    async def __anext__(self) -> AsyncSession:
        if self._open is None:
            return await self.__aenter__()
        await self.__aexit__(None, None, None)
        raise StopAsyncIteration

    async def athrow(self, *thrown: Any) -> AsyncSession:
        """The route raised: given the error, or its type, itself and its traceback."""
        error: BaseException = thrown[-2] if len(thrown) == 3 else thrown[0]
        if not await self.__aexit__(type(error), error, error.__traceback__):
            raise error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Nothing is left to do: both ways out have closed it."""


async def _one_session() -> AsyncIterator[AsyncSession]:
    """What FastAPI sees in `get_session`: a dependency that yields once. Never run: a SessionDoor does the same."""
    async with get_session() as session:
        yield session


def get_session() -> SessionDoor:
    """A session; see the module.

    Raises:
        Unavailable: `init_database` was not called, and no server runs here.
    """
    factory = _served or _own
    if factory is None:
        raise Unavailable("The database is not open.", hint="Call `await init_database()` first.")
    return SessionDoor(factory)


get_session.__wrapped__ = _one_session  # type: ignore[attr-defined]
get_async_session = get_session


def get_session_from_factory(factory: RequestScopedSessionFactory) -> SessionDoor:
    """A session of this factory, which is started."""
    return SessionDoor(factory)


async def init_database(settings: Settings | None = None) -> RequestScopedSessionFactory:
    """Open the database, migrated to the newest schema, unless it is open or this is a server. Returns its factory.

    Args:
        settings: which database; default: what the environment and netra.toml say.

    Raises:
        ConfigurationError: the settings cannot work here.
        Unavailable: the database cannot be reached.
    """
    global _own, _opening
    if _opening is None:
        _opening = asyncio.Lock()
    async with _opening:
        if _served is not None:
            return _served
        if _own is None:
            chosen = settings or Settings()
            await asyncio.to_thread(migrate, chosen.database)
            factory = RequestScopedSessionFactory(
                Database(
                    chosen.database,
                    read_connections=chosen.read_connections,
                    session_connections=chosen.session_connections,
                    session_wait_seconds=chosen.session_wait_seconds,
                ),
                SystemClock(),
                held_seconds=chosen.session_held_seconds,
                strict=chosen.strict_sessions,
            )
            await factory.start()
            _own = factory
        return _own


async def close_database() -> None:
    """Close what `init_database` opened; a server's database is the server's to close. Safe to call twice."""
    global _own, _opening
    factory, _own = _own, None
    _opening = None  # the next one may be another event loop's
    if factory is not None:
        await factory.close()


def serve_sessions(factory: RequestScopedSessionFactory | None) -> None:
    """Give out sessions of a server's factory from now on; with None, no longer. Called by `netra.app`."""
    global _served
    _served = factory
