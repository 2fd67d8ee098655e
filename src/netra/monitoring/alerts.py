"""Alerts: what is wrong now, told once when it begins and once when it ends.

Two ways lead to an incident. Parts that know that something is wrong call `alert_manager.fire(…)` and `.resolve(…)`,
from any thread, before or after the start. And every few seconds the manager reads its rules (`netra.monitoring.rules`)
and fires or resolves what they find. Incidents are kept in the database, where a unique index lets only one be open for
each (rule, key): however many processes notice the same thing, and however often they restart, there is one incident,
one notice that it began and one that it is over. Delivering the notices is `netra.monitoring.delivery`'s work.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from netra.clock import Clock
from netra.errors import NetraError, NotFound

from .delivery import Delivery
from .incidents import AlertStore, Firing, Incident, Notice, Severity
from .metrics import metrics
from .rules import AlertRule, Judgement, Readings

__all__ = ["AlertManager", "AlertRule", "Incident", "Notice", "Severity", "alert_manager"]

log = structlog.get_logger(__name__)

KEPT = 1000
"""Firings and resolutions that wait to be stored. When there are more, further ones are logged and refused."""
TURN_SECONDS = 10.0
READING_SECONDS = 10.0
PUSHED_COOLDOWN = 60.0
"""How long after the end of a pushed incident the same one may begin again; asked for earlier, it begins then."""
TOUCH_SECONDS = 60.0
STALE_SECONDS = 900.0
"""An incident of another process's own rule that it has not seen for so long is over: the process is gone."""
KEEP_DAYS = 90

_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Resolution:
    rule: str
    key: str


class AlertManager:
    """See the module. `configure` says with what it works, `start` begins; `fire` and `resolve` need neither."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: deque[Firing | _Resolution] = deque()
        self._cooling: dict[_Name, Firing] = {}
        self._open: dict[_Name, Incident] = {}
        self._judged: dict[_Name, Judgement] = {}
        self._values: dict[_Name, float] = {}
        self._rules: dict[str, AlertRule] = {}
        self._store: AlertStore | None = None
        self._delivery: Delivery | None = None
        self._clock: Clock | None = None
        self._process = ""
        self._interval = TURN_SECONDS
        self._tidied: datetime | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._owed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

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
            if accepted := len(self._asked) < KEPT:
                self._asked.append(what)
            loop = self._loop
        if not accepted:
            log.error("alert refused", rule=what.rule, key=what.key, waiting=KEPT)
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just ended: what was asked waits for the next start
                loop.call_soon_threadsafe(self._news.set)

    @property
    def started(self) -> bool:
        """Whether incidents are being stored."""
        return bool(self._tasks)

    @property
    def rules(self) -> tuple[AlertRule, ...]:
        """The rules that are read."""
        return tuple(self._rules.values())

    def values(self, rule: str) -> dict[str, float]:
        """What a rule read last, by key; keys of which too little is known are missing."""
        return {key: value for (name, key), value in self._values.items() if name == rule}

    async def open_incidents(self) -> list[Incident]:
        """Those that are open, the oldest first.

        Raises:
            Unavailable: the database is away.
        """
        return await self._configured().open_incidents()

    async def acknowledge(self, incident_id: str, by: str, note: str) -> Incident:
        """Note that somebody looks at an open incident; it stays open until it is over.

        Args:
            by: who, for others to see.
            note: may be empty.

        Raises:
            NotFound: there is no such incident, or it is over.
            Unavailable: the database is away.
        """
        incident = await self._configured().acknowledge(incident_id, by, note, self._now())
        if incident is None:
            raise NotFound("There is no such open alert.")
        return incident

    async def incidents(self, recent: int = 100) -> tuple[list[Incident], list[Incident]]:
        """Those that are open, the oldest first, and the newest `recent` of all.

        Raises:
            Unavailable: the database is away.
        """
        store = self._configured()
        return await store.open_incidents(), await store.recent(recent)

    def configure(
        self,
        store: AlertStore,
        *,
        clock: Clock,
        rules: Sequence[AlertRule] = (),
        delivery: Delivery | None = None,
        process: str = "",
        interval: float = TURN_SECONDS,
    ) -> None:
        """Say with what to work.

        Args:
            store: where incidents are kept.
            clock: gives the time of everything.
            rules: what is read; their names are unique.
            delivery: tells people; without it, incidents are stored and logged.
            process: names this process in the keys of rules that are its own; the same after a restart.
            interval: seconds between two turns.
        """
        assert not self._tasks, "an AlertManager is configured before it is started"
        self._store, self._clock, self._delivery = store, clock, delivery
        self._rules = {rule.name: rule for rule in rules}
        assert len(self._rules) == len(rules), "two rules have one name"
        self._process, self._interval = process, interval
        self._open, self._judged, self._values, self._cooling = {}, {}, {}, {}
        self._tidied = None

    async def start(self) -> None:
        """Store what was asked before, and take turns from now on."""
        self._configured()
        assert not self._tasks, "an AlertManager is started once"
        self._news, self._owed = asyncio.Event(), asyncio.Event()
        self._news.set()
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._take_turns()), asyncio.create_task(self._deliver())]

    async def stop(self) -> None:
        """Store what was asked last, and end. Notices still owed are sent after the next start. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        with self._lock:
            self._loop = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._store_asked()
        except NetraError as error:
            log.warning("alerts not stored", error=error.code, waiting=len(self._asked))
        self._store = self._delivery = None

    async def turn(self) -> None:
        """Store what was asked, then read every rule once and fire or resolve what it found.

        Raises:
            Unavailable: the database is away; what was asked is kept.
        """
        await self._store_asked()
        await self._read_rules()
        await self._tidy()
        for severity in Severity:
            count = sum(incident.severity == severity for incident in self._open.values())
            metrics.alerts_open.labels(severity.value).set(count)

    async def deliver(self) -> None:
        """Send the notices that are owed, once.

        Raises:
            Unavailable: the database is away.
        """
        if self._delivery is not None:
            await self._delivery.deliver()

    async def _take_turns(self) -> None:
        last = 0.0
        loop = asyncio.get_running_loop()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, last + self._interval - loop.time())):
                    await self._news.wait()
            self._news.clear()
            try:
                if loop.time() >= last + self._interval:
                    last = loop.time()
                    await self.turn()
                else:
                    await self._store_asked()
            except NetraError as error:
                log.warning("alerts wait", error=error.code)
            except Exception:
                log.exception("alerts failed")  # the next turn may succeed; without any, nobody is told anything

    async def _deliver(self) -> None:
        while True:
            try:
                await self.deliver()
            except NetraError as error:
                log.warning("alert notices wait", error=error.code)
            except Exception:
                log.exception("alert notices failed")  # as above
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._owed.wait()
            self._owed.clear()

    async def _store_asked(self) -> None:
        """Open and resolve what parts asked for, in their order."""
        store = self._configured()
        self._open = {(incident.rule, incident.key): incident for incident in await store.open_incidents()}
        for firing in tuple(self._cooling.values()):
            await self._open_incident(firing, PUSHED_COOLDOWN)
        while True:
            with self._lock:
                if not self._asked:
                    return
                what = self._asked.popleft()
            try:
                if isinstance(what, Firing):
                    await self._open_incident(what, PUSHED_COOLDOWN)
                else:
                    self._cooling.pop((what.rule, what.key), None)
                    await self._resolve_incident(what.rule, what.key)
            except BaseException:
                with self._lock:
                    self._asked.appendleft(what)
                raise

    async def _open_incident(self, firing: Firing, cooldown: float) -> None:
        name, now = (firing.rule, firing.key), self._now()
        known = self._open.get(name)
        if known is not None and (now - known.last_seen_at).total_seconds() < TOUCH_SECONDS:
            return
        opening, incident = await self._configured().open(firing, now, cooldown=cooldown)
        if incident is not None:
            self._open[name] = incident
            self._cooling.pop(name, None)
        elif firing.rule not in self._rules and (name in self._cooling or len(self._cooling) < KEPT):
            self._cooling[name] = firing
        if opening == "opened" and incident is not None:
            level = log.error if incident.severity == Severity.CRITICAL else log.warning
            level("alert", **_fields(incident), detail=dict(incident.details))
            self._owed.set()

    async def _resolve_incident(self, rule: str, key: str) -> None:
        incident = await self._configured().resolve(rule, key, self._now())
        self._open.pop((rule, key), None)
        if incident is not None:
            log.info("alert resolved", **_fields(incident))
            self._owed.set()

    async def _read_rules(self) -> None:
        seen: list[str] = []
        for rule in self._rules.values():
            readings = await self._read(rule)
            if readings is None:
                continue
            self._values = {name: value for name, value in self._values.items() if name[0] != rule.name}
            for key, value in self._complete(rule, readings).items():
                if value is not None:
                    self._values[rule.name, key] = value
                await self._judge(rule, key, value)
                incident = self._open.get((rule.name, key))
                if incident is not None and (self._now() - incident.last_seen_at).total_seconds() >= TOUCH_SECONDS:
                    seen.append(incident.id)
        if seen:
            await self._configured().touch(seen, self._now())

    async def _read(self, rule: AlertRule) -> Readings | None:
        try:
            async with asyncio.timeout(READING_SECONDS):
                found = rule.reading()
                return await found if inspect.isawaitable(found) else found
        except (NetraError, TimeoutError) as error:
            log.warning("rule not read", rule=rule.name, error=type(error).__name__)
        except Exception:
            log.exception("rule not read", rule=rule.name)  # one that fails must not silence the others
        return None

    def _complete(self, rule: AlertRule, readings: Readings) -> dict[str, float | None]:
        """The readings under their full keys, and a healthy value for what was read or open before and is no more."""
        if rule.shared:
            complete = dict(readings)
        else:
            complete = {f"{self._process} {key}".strip(): value for key, value in readings.items()}
        for name, key in (*self._judged, *self._open):
            if name == rule.name and key not in complete and (rule.shared or self._is_own(key)):
                complete[key] = rule.resolves_at
        return complete

    def _is_own(self, key: str) -> bool:
        return key == self._process or key.startswith(f"{self._process} ")

    async def _judge(self, rule: AlertRule, key: str, value: float | None) -> None:
        name = (rule.name, key)
        judgement = self._judged.get(name)
        if judgement is None or judgement.firing != (name in self._open):  # another process, or an earlier one, was it
            judgement = Judgement(rule, firing=name in self._open)
        assert self._clock is not None
        verdict = judgement.judge(value, self._clock.monotonic())
        if judgement.idle:
            self._judged.pop(name, None)
        else:
            self._judged[name] = judgement
        if verdict == "fire" and value is not None:
            firing = Firing(rule.name, key, rule.severity, rule.tell(key, value), {"value": value})
            await self._open_incident(firing, rule.cooldown_seconds)
        elif verdict == "resolve":
            await self._resolve_incident(rule.name, key)

    async def _tidy(self) -> None:
        """Resolve what processes that are gone left open; once a day, remove what is long over."""
        now = self._now()
        for (name, key), incident in tuple(self._open.items()):
            rule = self._rules.get(name)
            silent = (now - incident.last_seen_at).total_seconds() >= STALE_SECONDS
            if rule is not None and not rule.shared and silent and not self._is_own(key):
                await self._resolve_incident(name, key)
        if self._tidied is None or now - self._tidied >= timedelta(days=1):
            await self._configured().forget(now - timedelta(days=KEEP_DAYS))
            self._tidied = now

    def _configured(self) -> AlertStore:
        if self._store is None:
            raise RuntimeError("the AlertManager is not configured; netra.app does that when a server starts")
        return self._store

    def _now(self) -> datetime:
        assert self._clock is not None
        return self._clock.now()


def _fields(incident: Incident) -> dict[str, Any]:
    return {
        "alert": incident.id,
        "rule": incident.rule,
        "key": incident.key,
        "severity": incident.severity.value,
        "summary": incident.summary,
    }


alert_manager = AlertManager()
"""The process's manager. `netra.app` configures and starts it; what is asked of it before is kept and stored then."""
