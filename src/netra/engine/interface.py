"""What the rest of the server asks of the engine. `netra.chat` stores what is wanted, then calls one of these."""

from __future__ import annotations

from typing import Protocol


class RunEngine(Protocol):
    """Works on queued runs until each has ended, exactly once.

    The row in `runs` is the truth: a call that is lost is repeated by the engine's own sweep.
    """

    async def start(self) -> None:
        """Take up what an earlier process left, then whatever is queued."""
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
