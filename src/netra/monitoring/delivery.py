"""Tells people about incidents: takes the notices owed from the store, sends each through every channel, and tries
again what failed. Several notices that are due at once go out as one message, so that a bad minute is one mail.

A notice is owed from the transaction that opened or resolved its incident until it is delivered, so none is lost when a
process dies. Of several processes, the one that claims it sends it. A process that dies between sending and noting so
leaves a notice that is sent twice; that is the only way to get two. A channel that fails is tried again after a pause
that grows with the notice's age, and given up after `GIVE_UP_SECONDS`; it does not hold up the others.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
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
FEWEST_TOGETHER = 3
"""Notices that are due at once, from which on they are one message."""
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
            for together in self._grouped(notices):
                if (self._clock.now() - now).total_seconds() < WORKED_SECONDS:
                    await self._tell(together)
                else:
                    for notice in together:
                        await self._store.postpone(notice, self._clock.now())
            # An incident that is over already has a second notice, owed only now that the first is settled.
            if not notices:
                return

    def _grouped(self, notices: Sequence[Notice]) -> list[list[Notice]]:
        """Notices that can be one message: all begin or all are over, and the same channels still need them."""
        groups: defaultdict[tuple[str, tuple[str, ...]], list[Notice]] = defaultdict(list)
        for notice in notices:
            groups[notice.kind, tuple(self._missing(notice))].append(notice)
        return [
            part
            for found in groups.values()
            for part in ([found] if len(found) >= FEWEST_TOGETHER else [[notice] for notice in found])
        ]

    def _missing(self, notice: Notice) -> list[str]:
        return [name for name in self._channels.names if name not in self._delivered[notice.incident.id, notice.kind]]

    async def _tell(self, notices: Sequence[Notice]) -> None:
        """Send one message about notices that `_grouped` put together, and note what became of it."""
        missing = self._missing(notices[0])
        allowed = [name for name in missing if self._may_send(name)]
        title, body = worded(notices[0], self._origin) if len(notices) == 1 else worded_together(notices, self._origin)
        worst = max((notice.incident.severity for notice in notices), key=list(Severity).index)
        kind: Kind = "success" if notices[0].kind == "resolved" else _KINDS[worst]
        outcome = await self._channels.send(title, body, kind, only=allowed)
        ids = [notice.incident.id for notice in notices]
        for name, failure in outcome.items():
            if failure is None:
                for notice in notices:
                    self._delivered[notice.incident.id, notice.kind].add(name)
                metrics.alert_notices.labels("sent").inc(len(notices))
            else:
                metrics.alert_notices.labels("failed").inc(len(notices))
                log.warning("alert not delivered", alerts=ids, channel=name, error=failure.message)
        for notice in notices:
            await self._settle(notice, cut=len(allowed) < len(missing))

    async def _settle(self, notice: Notice, *, cut: bool) -> None:
        """Note that a notice is delivered or given up, or when to try again; `cut`: a channel has had its share."""
        now = self._clock.now()
        age = (now - _began(notice)).total_seconds()
        waiting = self._missing(notice)
        if waiting and (age < GIVE_UP_SECONDS or cut):
            pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, age / 2))
            await self._store.postpone(notice, now + timedelta(seconds=pause))
            return
        if waiting:
            metrics.alert_notices.labels("given_up").inc(len(waiting))
            log.error("alert given up", alert=notice.incident.id, rule=notice.incident.rule, channels=waiting)
        await self._store.settle(notice, now)
        self._delivered.pop((notice.incident.id, notice.kind), None)

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


def worded_together(notices: Sequence[Notice], origin: str) -> tuple[str, str]:
    """The title and the text of several notices of one kind."""
    words = [worded(notice, origin) for notice in notices]
    rules = Counter(notice.incident.rule for notice in notices)
    listed = ", ".join(rule if count == 1 else f"{rule} ({count})" for rule, count in rules.most_common())
    worst = max((notice.incident.severity for notice in notices), key=list(Severity).index)
    what = "resolved" if notices[0].kind == "resolved" else worst
    return f"[{what}] {len(notices)} alerts: {listed}", "\n\n".join(f"{title}\n{body}" for title, body in words)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
