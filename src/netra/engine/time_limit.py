"""How long an attempt may work. The clock stands still while a person is asked: that time is not the run's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from netra.config import Settings

from .runs import Attempt


class TimeLimit:
    """See the module.

    Args:
        seconds: what the attempt may take.
        is_up: called once they are taken.
    """

    def __init__(self, seconds: float, is_up: Callable[[], None]) -> None:
        self._seconds = seconds
        self._is_up = is_up
        self._deadline: asyncio.TimerHandle | None = None
        self._waits = 0
        self._stopped = False

    @property
    def left(self) -> float:
        """Seconds that are left."""
        if self._deadline is None:
            return self._seconds
        return max(0.0, self._deadline.when() - asyncio.get_running_loop().time())

    def start(self) -> None:
        """The work begins."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_at(loop.time() + self._seconds, self._is_up)

    def stop(self) -> None:
        """The work is over for good. Safe to call twice."""
        self._stopped = True
        self._stand_still()

    def pause(self, waits: bool) -> None:
        """A person is asked (True), or has answered (False); several may be asked at once."""
        self._waits += 1 if waits else -1
        if waits and self._waits == 1:
            self._stand_still()
        elif not waits and self._waits == 0 and not self._stopped:
            self.start()

    def _stand_still(self) -> None:
        if self._deadline is not None:
            self._seconds = self.left
            self._deadline.cancel()
            self._deadline = None


def seconds_left(settings: Settings, attempt: Attempt) -> float:
    """How long an attempt may work: what earlier ones have left of the run's time."""
    return max(0.0, settings.run_seconds - attempt.worked_seconds)
