"""Alerts: what is wrong now, told once when it begins and once when it ends.

Two ways lead to an incident. Parts that know that something is wrong call `alert_manager.fire(…)` and `.resolve(…)`,
from any thread, before or after the start. And every few seconds the manager reads its rules (`netra.monitoring.rules`)
and fires or resolves what they find. Incidents are kept in the database, where a unique index lets only one be open for
each (rule, key): however many processes notice the same thing, and however often they restart, there is one incident,
one notice that it began and one that it is over. Delivering the notices is `netra.monitoring.delivery`'s work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from .incidents import Firing, Incident, Notice, Severity

__all__ = ["AlertManager", "Incident", "Notice", "Severity", "alert_manager"]

log = structlog.get_logger(__name__)

KEPT = 1000
"""Firings and resolutions that wait to be stored. When there are more, further ones are logged and refused."""


@dataclass(frozen=True, slots=True)
class _Resolution:
    rule: str
    key: str


class AlertManager:
    """See the module. `configure` says with what it works, `start` begins; `fire` and `resolve` need neither."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: deque[Firing | _Resolution] = deque()

    def fire(
        self,
        rule: str,
        *,
        key: str = "",
        severity: Severity | str,
        summary: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Something is wrong. Nothing happens when its incident is open already.

        Args:
            rule: what is wrong, as a name.
            key: what it is about, such as an agent's name; incidents are told apart by (rule, key).
            severity: info, warning or critical.
            summary: one sentence for people.
            details: further facts, as JSON values. They are sent to the channels: no secrets and no texts of users.

        Raises:
            ValueError: there is no such severity.
        """
        self._ask(Firing(rule, key, Severity(severity), summary, dict(details or {})))

    def resolve(self, rule: str, key: str = "") -> None:
        """It is over. Nothing happens when no incident is open."""
        self._ask(_Resolution(rule, key))

    def _ask(self, what: Firing | _Resolution) -> None:
        with self._lock:
            if len(self._asked) < KEPT:
                self._asked.append(what)
                return
        log.error("alert refused", rule=what.rule, key=what.key, waiting=KEPT)


alert_manager = AlertManager()
"""The process's manager. `netra.app` configures and starts it; what is asked of it before is kept and stored then."""
