"""Rules: when a reading becomes an incident, and when the incident is over. Pure: no clock, no store, no reading.

A rule fires for a key when its value has been at or past `fires_at` for `for_seconds`, and resolves when it has been
back at `resolves_at` for as long. The gap between the two thresholds is the hysteresis: a value that wavers between
them changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from .incidents import Severity

Readings = Mapping[str, float | None]
"""Values by key. None: too little is known to judge, so nothing changes. A key that is missing is healthy."""
Reading = Callable[[], Readings | Awaitable[Readings]]


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What is watched.

    Args:
        name: the rule's name, stable.
        severity: of its incidents.
        meaning: what it watches, one sentence for people.
        summary: of an incident; `{key}` and `{value}` are filled in.
        reading: asked at every turn for the values now; may block for a moment only if it is a coroutine function.
        unit: of the values: `share` (0 to 1, shown in per cent), `s`, `bytes`, or empty for a number of things.
        fires_at: the value from which on it fires.
        resolves_at: the value at which it resolves.
        for_seconds: how long the value must be there, both to fire and to resolve.
        cooldown_seconds: how long after the end of an incident the next one may begin.
        falling: whether low values are bad ones, as of free disk space.
        shared: whether every process reads the same values, from the database. Otherwise keys name the process that
            reads them, and another one leaves them alone.
    """

    name: str
    severity: Severity
    meaning: str
    summary: str
    reading: Reading
    unit: Literal["", "share", "s", "bytes"]
    fires_at: float
    resolves_at: float
    for_seconds: float = 0.0
    cooldown_seconds: float = 300.0
    falling: bool = False
    shared: bool = False

    def __post_init__(self) -> None:
        wrong = self.resolves_at <= self.fires_at if self.falling else self.resolves_at >= self.fires_at
        if wrong:
            raise ValueError(f"rule {self.name}: it resolves at {self.resolves_at}, where it fires")

    def bad(self, value: float) -> bool:
        """Whether a value is one to fire at."""
        return value <= self.fires_at if self.falling else value >= self.fires_at

    def good(self, value: float) -> bool:
        """Whether a value is one to resolve at."""
        return value >= self.resolves_at if self.falling else value <= self.resolves_at

    def tell(self, key: str, value: float) -> str:
        """The summary of an incident."""
        return self.summary.format(key=key, value=shown(value, self.unit))


@dataclass(slots=True)
class Judgement:
    """What a rule makes of the values of one key, over time.

    Args:
        firing: whether an incident is open already, as after a restart.
    """

    rule: AlertRule
    firing: bool = False
    _since: float | None = field(default=None)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.firing and self._since is None

    def judge(self, value: float | None, now: float) -> Literal["fire", "resolve"] | None:
        """What a value read at `now` (seconds, monotonic) changes."""
        if value is None:
            return None
        turning = self.rule.good(value) if self.firing else self.rule.bad(value)
        if not turning:
            self._since = None
            return None
        if self._since is None:
            self._since = now
        if now - self._since < self.rule.for_seconds:
            return None
        self._since = None
        self.firing = not self.firing
        return "fire" if self.firing else "resolve"


def shown(value: float, unit: str) -> str:
    """A value for people."""
    if unit == "share":
        return f"{value:.0%}"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if value < 1 else str(timedelta(seconds=round(value)))
    if unit == "bytes":
        return f"{value / 1024**3:.1f} GiB"
    return f"{value:g}"
