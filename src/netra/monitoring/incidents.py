"""The words of alerting: an incident, what is told about it, and what keeps both.

`netra.monitoring.alerts` decides, an `AlertStore` remembers (`netra.storage.alerts` is the one with SQL in it), and
`netra.monitoring.delivery` tells people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol


class Severity(StrEnum):
    """How urgent an incident is: for the record, for working hours, for the night."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Firing:
    """That a rule fires for a key: an agent, a server, a thread; empty when there is only one thing it can be about."""

    rule: str
    key: str
    severity: Severity
    summary: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Incident:
    """From the moment a rule fires for a key to the moment it resolves. At most one of each (rule, key) is open."""

    id: str
    rule: str
    key: str
    severity: Severity
    summary: str
    details: Mapping[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told: that an incident has begun, or that it is over."""

    kind: Literal["firing", "resolved"]
    incident: Incident


Opening = Literal["opened", "open", "cooling"]
"""What came of opening: an incident began; one was open already; the last one was resolved too short a time ago."""


class AlertStore(Protocol):
    """Remembers incidents for every process of an installation. Each method is atomic.

    Raises (all of them):
        Unavailable: the database is away, nothing has changed.
    """

    async def open(self, firing: Firing, at: datetime, *, cooldown: float) -> tuple[Opening, Incident | None]:
        """Open an incident, unless one is open (it is then seen again) or the last one ended within `cooldown` seconds.

        Of several processes that ask at the same time, exactly one hears `opened`.
        """
        ...

    async def resolve(self, rule: str, key: str, at: datetime) -> Incident | None:
        """Resolve the open incident and return it; None when there is none. Of several askers one gets it."""
        ...

    async def touch(self, incidents: Sequence[str], at: datetime) -> None:
        """Note that these (by id) still go on."""
        ...

    async def open_incidents(self) -> list[Incident]:
        """Those not resolved, the oldest first."""
        ...

    async def recent(self, limit: int) -> list[Incident]:
        """The newest incidents, open or not, the newest first."""
        ...

    async def acknowledge(self, incident_id: str, by: str, note: str, at: datetime) -> Incident | None:
        """Note on an open incident that somebody looks at it, and return it; None when it is not open."""
        ...

    async def claim(self, at: datetime, until: datetime, limit: int) -> list[Notice]:
        """Notices not yet settled that nobody works on, the oldest first; they are the caller's until `until`.

        The notice that an incident is over comes only after the one that it began is settled. None is about what is
        silenced at `at`, and none ever about what began and ended within one silence.
        """
        ...

    async def postpone(self, notice: Notice, until: datetime) -> None:
        """A claimed notice could not be delivered; nobody tries again before `until`."""
        ...

    async def settle(self, notice: Notice, at: datetime) -> None:
        """A notice was delivered, or given up: nobody tries again."""
        ...

    async def forget(self, before: datetime) -> int:
        """Remove incidents that were resolved before; returns how many."""
        ...
