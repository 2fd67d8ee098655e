"""Connection pools that count: checkouts, waits for a free connection, exhaustion, connections that were lost.

SQLAlchemy has events for a checkout, its end and the invalidation of a connection; for waiting and for giving up it has
none, so the pools here measure their own `connect`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool, PoolProxiedConnection, QueuePool

from netra.monitoring.metrics import metrics


@dataclass(frozen=True, slots=True)
class PoolMetrics:
    """What a pool has and had.

    Args:
        size: connections at most.
        checked_out: in use at this moment.
        checkouts: times a connection was given out.
        waits: times somebody had to wait for one; those who gave up too.
        exhausted: times somebody gave up waiting.
        invalidated: connections that were lost or taken back.
        wait_seconds: spent in getting a connection, all together.
    """

    size: int
    checked_out: int
    checkouts: int
    waits: int
    exhausted: int
    invalidated: int
    wait_seconds: float


class PoolCounts:
    """Counts what happens in one engine's pool, from any thread."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self._engine = engine
        self._lock = threading.Lock()
        self._checkouts = self._waits = self._exhausted = self._invalidated = 0
        self._wait_seconds = 0.0
        self._total = metrics.db_checkouts.labels(name)
        self._seconds = metrics.db_wait_seconds.labels(name)
        self._failures = metrics.db_pool_exhausted.labels(name)
        self.waiting = metrics.db_pool_waiting.labels(name)
        engine.pool.counts = self  # type: ignore[attr-defined]
        event.listen(engine, "checkout", self._checked_out)
        event.listen(engine, "invalidate", self._invalidate)

    def waited(self, seconds: float, *, queued: bool, exhausted: bool) -> None:
        """Somebody asked for a connection, and waited `queued` up; `exhausted`: in vain."""
        with self._lock:
            self._waits += queued
            self._exhausted += exhausted
            self._wait_seconds += seconds
        self._seconds.observe(seconds)
        if exhausted:
            self._failures.inc()

    def now(self) -> PoolMetrics:
        """The figures of this moment."""
        pool: Any = self._engine.pool
        with self._lock:
            return PoolMetrics(
                pool.size(),
                pool.checkedout(),
                self._checkouts,
                self._waits,
                self._exhausted,
                self._invalidated,
                self._wait_seconds,
            )

    def _checked_out(self, *_: object) -> None:
        with self._lock:
            self._checkouts += 1
        self._total.inc()

    def _invalidate(self, *_: object) -> None:
        with self._lock:
            self._invalidated += 1


def _counted(pool: Any, connect: Any) -> PoolProxiedConnection:
    counts: PoolCounts | None = pool.counts
    if counts is None:
        return connect()  # type: ignore[no-any-return]
    full = pool.checkedout() >= pool.size()
    started = time.perf_counter()
    exhausted = False
    if full:
        counts.waiting.inc()
    try:
        return connect()  # type: ignore[no-any-return]
    except PoolTimeout:
        exhausted = True
        raise
    finally:
        if full:
            counts.waiting.dec()
        counts.waited(time.perf_counter() - started, queued=full, exhausted=exhausted)


class CountedPool(QueuePool):
    """A pool for threads."""

    counts: PoolCounts | None = None

    def connect(self) -> PoolProxiedConnection:
        """See `sqlalchemy.pool.Pool.connect`."""
        return _counted(self, super().connect)


class CountedAsyncPool(AsyncAdaptedQueuePool):
    """A pool for asyncio."""

    counts: PoolCounts | None = None

    def connect(self) -> PoolProxiedConnection:
        """See `sqlalchemy.pool.Pool.connect`."""
        return _counted(self, super().connect)
