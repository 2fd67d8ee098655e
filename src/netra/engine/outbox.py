"""The events of one attempt on their way to the log: in order, gathered while the last ones are being stored.

`put` never waits. Whoever must know that something is stored, because a tool is about to act, awaits `flush`. While the
database is away the events wait here and are tried again; when the log refuses them, the attempt is over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from netra.errors import Unavailable
from netra.log import Entry, Fence, ThreadLog

from .watchdog import server_task

MOST = 512
"""Entries that may wait; `put` of one more is for `flush` first, which every caller of the port does."""

GATHER_SECONDS = 0.002
"""How long an event that nobody waits for may wait for company; one commit for several is the cheaper by as many."""

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Outbox:
    """See the module.

    Args:
        lost: called once, with the error, when the log refuses this attempt's events.
    """

    def __init__(self, log: ThreadLog, thread_id: str, fence: Fence, lost: Callable[[Exception], None]) -> None:
        self._log = log
        self._thread_id = thread_id
        self._fence = fence
        self._lost = lost
        self._waiting: list[Entry] = []
        self._accepted = 0
        self._stored = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._error: Exception | None = None

    def put(self, entry: Entry) -> None:
        """Accept an entry; it is stored soon, after those accepted before."""
        if self._closing.is_set() or self._error is not None:
            return
        self._waiting.append(entry)
        self._accepted += 1
        if self._task is None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._begin)

    @property
    def full(self) -> bool:
        """Whether so much waits that the agent should wait too."""
        return len(self._waiting) >= MOST

    @property
    def refused(self) -> bool:
        """Whether the log has refused this attempt's events."""
        return self._error is not None

    async def flush(self) -> None:
        """Wait until everything accepted so far is stored.

        Raises:
            Exception: the log refused it.
        """
        if self._error is not None:
            raise self._error
        if self._stored >= self._accepted:
            return
        stored = asyncio.get_running_loop().create_future()
        self._waiters.append((self._accepted, stored))
        self._begin()
        await stored

    async def close(self) -> tuple[Entry, ...]:
        """Accept nothing more. Returns what is not stored; it belongs in the transaction that ends the run."""
        self._closing.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            await asyncio.wait({self._task})
        for _, waiter in self._waiters:
            waiter.cancel()
        self._waiters.clear()
        left, self._waiting = tuple(self._waiting), []
        return left

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self._task = server_task(self._store(), name="outbox")

    async def _store(self) -> None:
        pause = _FIRST_PAUSE
        try:
            while self._waiting and not self._closing.is_set():
                batch, self._waiting = self._waiting, []
                try:
                    await self._log.append(self._thread_id, batch, fence=self._fence)
                except Unavailable:
                    self._waiting = batch + self._waiting
                    try:
                        await asyncio.wait_for(self._closing.wait(), pause)
                    except TimeoutError:
                        pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                except Exception as error:  # noqa: BLE001 - refused: whatever the reason, nothing of this attempt can be stored
                    self._refuse(error)
                    return
                pause = _FIRST_PAUSE
                self._stored += len(batch)
                while self._waiters and self._waiters[0][0] <= self._stored:
                    waiter = self._waiters.popleft()[1]
                    if not waiter.done():
                        waiter.set_result(None)
        finally:
            self._task = None

    def _refuse(self, error: Exception) -> None:
        self._error = error
        for _, waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiters.clear()
        self._lost(error)
