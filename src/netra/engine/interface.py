"""What the rest of the server asks of the engine. `netra.chat` stores what is wanted, then calls one of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from netra.events import RunStatus


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, however it did.

    Args:
        seconds: since it began, all attempts together; 0 for one that never did.
        attempt: its last attempt; 0 for one that never began.
    """

    run_id: str
    user_id: str
    thread_id: str
    agent: str
    status: RunStatus
    seconds: float
    attempt: int


OnEnded = Callable[[EndedRun], None]
"""Told of each end once it is stored, on the event loop. Must not wait."""


class RunEngine(Protocol):
    """Works on queued runs until each has ended, exactly once.

    The row in `runs` is the truth: a call that is lost is repeated by the engine's own sweep.
    """

    async def start(self) -> None:
        """Take up what an earlier process left, then whatever is queued."""
        ...

    def begin_no_more(self) -> None:
        """Begin no further run from now on; `drain` or `stop` follows."""
        ...

    async def drain(self, seconds: float) -> None:
        """Begin no further run, and wait at most `seconds` for those that run."""
        ...

    async def stop(self) -> None:
        """Drain, and leave what still runs to the next start. Safe to call twice."""
        ...

    def wake(self) -> None:
        """A run was queued."""
        ...

    async def cancel(self, run_id: str) -> None:
        """End a run as cancelled. One that has ended, or does not exist, stays as it is."""
        ...

    def signal(self, approval_id: str) -> None:
        """An approval was decided."""
        ...

    def on_ended(self, callback: OnEnded) -> None:
        """Call `callback` for each run that ends from now on, those ended from outside included."""
        ...
