"""A clock for tests: time passes when they say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MONDAY_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class ManualClock:
    """A `netra.clock.Clock` that stands still until it is told otherwise."""

    def __init__(self, now: datetime = MONDAY_NOON) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float = 0.0, **span: float) -> None:
        """Let time pass: seconds, or whatever `timedelta` takes."""
        passed = timedelta(seconds=seconds, **span)
        self._now += passed
        self._monotonic += passed.total_seconds()

    def advance_to(self, moment: datetime) -> None:
        """Let time pass until then."""
        self.advance((moment - self._now).total_seconds())
