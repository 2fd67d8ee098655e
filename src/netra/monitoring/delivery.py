"""Tells people about incidents: takes the notices owed from the store, sends each through every channel, and tries
again what failed.

A notice is owed from the transaction that opened or resolved its incident until it is delivered, so none is lost when a
process dies. Of several processes, the one that claims it sends it. A process that dies between sending and noting so
leaves a notice that is sent twice; that is the only way to get two. A channel that fails is tried again after a pause
that grows with the notice's age, and given up after `GIVE_UP_SECONDS`; it does not hold up the others.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from netra.clock import Clock, rfc3339

from .channels import Channels, Kind
from .incidents import AlertStore, Notice, Severity
from .metrics import metrics

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 120.0
WORKED_SECONDS = 60.0
"""How long one works on what was claimed together; what is left then is given back. The rest of the claim is for the
message that is being sent, whose channel may take its time.
"""
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
GIVE_UP_SECONDS = 3600.0
BATCH = 50
PER_MINUTE = 20
"""Messages to one channel in a minute; more wait for the next."""

_KINDS: Mapping[Severity, Kind] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "failure",
}


class Delivery:
    """See the module.

    Args:
        store: knows what is owed.
        channels: none means that nothing has to be sent, and each notice is settled at once.
        clock: gives ages and pauses.
        origin: how people reach the server, for the text.
    """

    def __init__(self, store: AlertStore, channels: Channels, clock: Clock, *, origin: str) -> None:
        self._store = store
        self._channels = channels
        self._clock = clock
        self._origin = origin
        self._delivered: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._sent_at: defaultdict[str, deque[float]] = defaultdict(deque)

    async def deliver(self) -> None:
        """Send what is owed and free to claim, once.

        Raises:
            Unavailable: the database is away; what was sent but not noted is sent again.
        """
        while True:
            now = self._clock.now()
            notices = await self._store.claim(now, now + timedelta(seconds=CLAIM_SECONDS), BATCH)
            for notice in notices:
                if (self._clock.now() - now).total_seconds() < WORKED_SECONDS:
                    await self._tell(notice)
                else:
                    await self._store.postpone(notice, self._clock.now())
            # An incident that is over already has a second notice, owed only now that the first is settled.
            if not notices:
                return

    async def _tell(self, notice: Notice) -> None:
        key = (notice.incident.id, notice.kind)
        missing = [name for name in self._channels.names if name not in self._delivered[key]]
        allowed = [name for name in missing if self._may_send(name)]
        title, body = worded(notice, self._origin)
        kind: Kind = "success" if notice.kind == "resolved" else _KINDS[notice.incident.severity]
        outcome = await self._channels.send(title, body, kind, only=allowed)
        for name, failure in outcome.items():
            if failure is None:
                self._delivered[key].add(name)
                metrics.alert_notices.labels("sent").inc()
            else:
                metrics.alert_notices.labels("failed").inc()
                log.warning("alert not delivered", alert=notice.incident.id, channel=name, error=failure.message)
        now = self._clock.now()
        age = (now - _began(notice)).total_seconds()
        waiting = [name for name in missing if name not in self._delivered[key]]
        if waiting and (age < GIVE_UP_SECONDS or len(allowed) < len(missing)):
            pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, age / 2))
            await self._store.postpone(notice, now + timedelta(seconds=pause))
            return
        if waiting:
            metrics.alert_notices.labels("given_up").inc(len(waiting))
            log.error("alert given up", alert=notice.incident.id, rule=notice.incident.rule, channels=waiting)
        await self._store.settle(notice, now)
        self._delivered.pop(key, None)

    def _may_send(self, name: str) -> bool:
        now, sent = self._clock.monotonic(), self._sent_at[name]
        while sent and now - sent[0] >= 60:
            sent.popleft()
        if len(sent) >= PER_MINUTE:
            return False
        sent.append(now)
        return True


def _began(notice: Notice) -> datetime:
    incident = notice.incident
    return incident.resolved_at if notice.kind == "resolved" and incident.resolved_at else incident.opened_at


def worded(notice: Notice, origin: str) -> tuple[str, str]:
    """The title and the text of a notice."""
    incident = notice.incident
    about = f"{incident.rule} {incident.key}".strip()
    lines = [incident.summary, "", f"Rule: {incident.rule}"]
    if incident.key:
        lines.append(f"About: {incident.key}")
    lines.append(f"Severity: {incident.severity}")
    lines.append(f"Began: {rfc3339(incident.opened_at)}")
    if notice.kind == "resolved" and incident.resolved_at is not None:
        title = f"[resolved] {about}"
        lasted = timedelta(seconds=round((incident.resolved_at - incident.opened_at).total_seconds()))
        lines.append(f"Over since: {rfc3339(incident.resolved_at)}, after {lasted}")
    else:
        title = f"[{incident.severity}] {about}"
    lines += [f"{name}: {_plain(value)}" for name, value in incident.details.items()]
    lines += ["", f"Server: {origin}", f"Alert: {incident.id}"]
    return title, "\n".join(lines)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
