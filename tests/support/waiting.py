"""Waiting for what comes true in its own time, where a test has no event to await."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

T = TypeVar("T")

EVERY_SECONDS = 0.02


async def until(condition: Callable[[], T | Awaitable[T]], about: str, *, seconds: float = 20) -> T:
    """Ask again and again; return the first true answer.

    Args:
        condition: a function, or one to await.
        about: what is waited for, for whoever reads that it did not come.

    Raises:
        AssertionError: it did not come true in time.
    """
    found: T | None = None
    try:
        async with asyncio.timeout(seconds) as limit:
            while True:
                answer = condition()
                found = await answer if inspect.isawaitable(answer) else cast("T", answer)
                if found:
                    return found
                await asyncio.sleep(EVERY_SECONDS)
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(_late(about, seconds, repr(found))) from None


def block_until(
    condition: Callable[[], T], about: str, *, seconds: float = 20, seen: Callable[[], str] | None = None
) -> T:
    """`until` for tests without an event loop.

    Args:
        seen: what tells more than the last answer does, such as a process's output.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, _late(about, seconds, seen() if seen else repr(found))
        time.sleep(EVERY_SECONDS)
    return found


def _late(about: str, seconds: float, last: str) -> str:
    return f"waited {seconds:g} s for {about}; last: {last}"
