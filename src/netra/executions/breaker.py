"""Circuit breakers: after repeated failures of an agent or a host, stop asking it for a while.

    closed      calls are admitted and their outcomes noted. It opens when, of the last `calls` outcomes within
                `window_seconds`, at least `failures` and at least the share `share` are failures.
    open        calls are refused with CircuitOpen for `open_seconds`.
    half-open   after that, one call at a time is admitted as a trial. `successes` trials in a row close the circuit;
                a failed one opens it for twice as long, up to `most_open_seconds`. A trial without an outcome after
                `most_open_seconds` makes room for another.

What counts as a failure of an agent: that its run failed with an internal error, timed out, stalled or died. What does
not: an AgentError (it says that the user's input cannot be worked on), a cancel, a limit of the user. What counts as a
failure of a host: no connection, no answer in time, a status of 500 or more. `Breaker.ignored` is for the outcomes that
say nothing, so that a trial always has one.

The engine asks the breakers of agents, tools those of hosts. Every method may be called from any thread.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NewType, get_args

import structlog

from netra.clock import Clock, SystemClock
from netra.config import Settings
from netra.errors import CircuitOpen
from netra.monitoring.metrics import metrics

log = structlog.get_logger(__name__)

Kind = Literal["agent", "host"]
State = Literal["closed", "half_open", "open"]
Admission = NewType("Admission", int)
"""Names the stretch in which a call was admitted: an outcome that comes after the state has changed says nothing."""

MOST_BREAKERS = 1000
"""Hosts come from outside: beyond this, the breaker that was longest not asked for is forgotten, closed ones first."""
NAME_CHARS = 255
REASON_CHARS = 200
TRIAL_RETRY_SECONDS = 5.0
"""When to come back while another call is the trial."""

_LEVELS: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a circuit opens and closes; see the module."""

    failures: int = 5
    share: float = 0.5
    calls: int = 20
    window_seconds: float = 60.0
    open_seconds: float = 30.0
    most_open_seconds: float = 300.0
    successes: int = 2

    @classmethod
    def of(cls, settings: Settings) -> BreakerRules:
        """The thresholds an operator chose; the others are always the same."""
        return cls(
            failures=settings.breaker_failures,
            calls=max(20, 2 * settings.breaker_failures),  # so many failures fit in twice
            open_seconds=settings.breaker_open_seconds,
            most_open_seconds=10 * settings.breaker_open_seconds,
        )


@dataclass(frozen=True, slots=True)
class BreakerStatus:
    """A breaker at one moment.

    Args:
        calls: outcomes within the window; 0 unless it is closed.
        failures: how many of them are failures.
        trips: how often it opened.
        retry_after_seconds: until it admits a trial; None unless it is open.
        reason: of the latest failure; None when there was none.
    """

    kind: Kind
    name: str
    state: State
    calls: int
    failures: int
    trips: int
    retry_after_seconds: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker has changed its state."""

    kind: Kind
    name: str
    before: State
    after: State
    reason: str | None


OnChange = Callable[[Change], None]


class Breaker:
    """One circuit; see the module. Obtained by `Breakers.get`."""

    def __init__(self, kind: Kind, name: str, rules: BreakerRules, clock: Clock, changed: OnChange) -> None:
        self.kind = kind
        self.name = name
        self._rules = rules
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self._state: State = "closed"
        self._stretch = 0
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=rules.calls)
        self._open_until = 0.0
        self._open_seconds = rules.open_seconds
        self._trial_since: float | None = None
        self._trials_succeeded = 0
        self._trips = 0
        self._reason: str | None = None

    @property
    def state(self) -> State:
        """An open breaker is open until a call comes after its time, which finds it half-open."""
        return self._state

    def admit(self) -> Admission:
        """Ask before a call. Whoever is admitted says how it went: `succeeded`, `failed` or `ignored`.

        Returns:
            What to give back with the outcome.

        Raises:
            CircuitOpen: too many calls failed; says when to come back.
        """
        change = None
        with self._lock:
            now = self._clock.monotonic()
            if self._state == "open":
                if now < self._open_until:
                    raise self._refusal(self._open_until - now)
                change = self._become("half_open")
            if self._state == "half_open":
                if self._trial_since is not None and now < self._trial_since + self._rules.most_open_seconds:
                    raise self._refusal(TRIAL_RETRY_SECONDS)
                self._trial_since = now
            admission = Admission(self._stretch)
        self._tell(change)
        return admission

    def check(self) -> None:
        """As `admit`, for a call that is only planned: takes no trial and owes no outcome.

        Raises:
            CircuitOpen: it would be refused now.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._state == "open" and now < self._open_until:
                raise self._refusal(self._open_until - now)

    def succeeded(self, admission: Admission | None = None) -> None:
        """An admitted call went well."""
        change = None
        with self._lock:
            if not self._counts(admission):
                return
            if self._state == "closed":
                self._outcomes.append((self._clock.monotonic(), True))
            elif self._trial_since is not None:
                self._trial_since = None
                self._trials_succeeded += 1
                if self._trials_succeeded >= self._rules.successes:
                    change = self._become("closed")
        self._tell(change)

    def failed(self, reason: str, admission: Admission | None = None) -> None:
        """An admitted call failed.

        Args:
            reason: for operators; 200 characters.
        """
        change = None
        with self._lock:
            if not self._counts(admission):
                return
            now = self._clock.monotonic()
            if self._state == "closed":
                self._reason = reason[:REASON_CHARS]
                self._outcomes.append((now, False))
                calls, failures = self._recent(now)
                if failures >= self._rules.failures and failures >= self._rules.share * calls:
                    change = self._open(now)
            elif self._trial_since is not None:
                self._reason = reason[:REASON_CHARS]
                self._open_seconds = min(2 * self._open_seconds, self._rules.most_open_seconds)
                change = self._open(now)
        self._tell(change)

    def ignored(self, admission: Admission | None = None) -> None:
        """An admitted call ended in a way that says nothing about what was called."""
        with self._lock:
            if self._counts(admission):
                self._trial_since = None

    def status(self) -> BreakerStatus:
        """The breaker at this moment."""
        with self._lock:
            now = self._clock.monotonic()
            calls, failures = self._recent(now)
            wait = max(0.0, self._open_until - now) if self._state == "open" else None
            return BreakerStatus(self.kind, self.name, self._state, calls, failures, self._trips, wait, self._reason)

    def _counts(self, admission: Admission | None) -> bool:
        return self._state != "open" and admission in (None, self._stretch)

    def _recent(self, now: float) -> tuple[int, int]:
        while self._outcomes and self._outcomes[0][0] < now - self._rules.window_seconds:
            self._outcomes.popleft()
        return len(self._outcomes), sum(1 for _, good in self._outcomes if not good)

    def _open(self, now: float) -> Change:
        self._open_until = now + self._open_seconds
        self._trips += 1
        return self._become("open")

    def _become(self, state: State) -> Change:
        change = Change(self.kind, self.name, self._state, state, self._reason)
        self._state = state
        self._stretch += 1
        self._outcomes.clear()
        self._trial_since = None
        self._trials_succeeded = 0
        if state == "closed":
            self._open_seconds = self._rules.open_seconds
        return change

    def _refusal(self, seconds: float) -> CircuitOpen:
        what = f"The agent {self.name!r}" if self.kind == "agent" else f"The server {self.name!r}"
        shown = max(1, math.ceil(seconds))
        return CircuitOpen(
            f"{what} has failed repeatedly and is not asked for a while.",
            retry_after=seconds,
            hint=f"Try again in {shown} {'second' if shown == 1 else 'seconds'}.",
        )

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self._changed(change)


class Breakers:
    """The breakers of a process, made when they are first asked for.

    Args:
        rules: of all of them.
        clock: the time.
        on_change: told of every change of state, from the thread that caused it; must not wait.
    """

    def __init__(
        self, rules: BreakerRules | None = None, clock: Clock | None = None, *, on_change: OnChange | None = None
    ) -> None:
        self._rules = rules or BreakerRules()
        self._clock = clock or SystemClock()
        self._on_change = on_change
        self._lock = threading.Lock()
        self._breakers: OrderedDict[tuple[Kind, str], Breaker] = OrderedDict()  # the longest not asked for first

    def get(self, kind: Kind, name: str) -> Breaker:
        """The breaker of an agent or a host. The names of hosts do not distinguish case.

        Raises:
            ValueError: there are no breakers of this kind, or the name is blank or longer than 255 characters.
        """
        if kind not in get_args(Kind):
            raise ValueError(f"There are no breakers of the kind {kind!r}; there are {', '.join(get_args(Kind))}.")
        if not name.strip() or len(name) > NAME_CHARS:
            raise ValueError(f"The name of a breaker has 1 to {NAME_CHARS} characters.")
        key = (kind, name.lower() if kind == "host" else name)
        with self._lock:
            breaker = self._breakers.get(key)
            if breaker is None:
                if len(self._breakers) >= MOST_BREAKERS:
                    self._forget_one()
                breaker = self._breakers[key] = Breaker(*key, self._rules, self._clock, self._changed)
            self._breakers.move_to_end(key)
            return breaker

    def statuses(self) -> list[BreakerStatus]:
        """All breakers, those that are not closed first, then by kind and name."""
        with self._lock:
            breakers = list(self._breakers.values())
        found = [breaker.status() for breaker in breakers]
        return sorted(found, key=lambda each: (-_LEVELS[each.state], each.kind, each.name))

    def _forget_one(self) -> None:
        closed = (key for key, breaker in self._breakers.items() if breaker.state == "closed")
        key = next(closed, None) or next(iter(self._breakers))
        del self._breakers[key]
        _show(*key, "closed")

    def _changed(self, change: Change) -> None:
        if change.after == "open":
            metrics.breaker_trips.labels(change.kind).inc()
        key = (change.kind, change.name)
        with self._lock:  # one that was forgotten meanwhile has no series, which nobody would end
            breaker = self._breakers.get(key)
            _show(*key, "closed" if breaker is None else breaker.state)
        log.warning(
            "breaker_changed",
            kind=change.kind,
            name=change.name,
            before=change.before,
            after=change.after,
            reason=change.reason,
        )
        if self._on_change is not None:
            try:
                self._on_change(change)
            except Exception:  # the circuit has changed whatever becomes of the alert
                log.exception("breaker_change_not_reported", kind=change.kind, name=change.name)


def _show(kind: Kind, name: str, state: State) -> None:
    """Only circuits that are not closed have a series: hosts come from outside and are many."""
    if state == "closed":
        with suppress(KeyError):
            metrics.breaker_state.remove(kind, name)
    else:
        metrics.breaker_state.labels(kind, name).set(_LEVELS[state])
