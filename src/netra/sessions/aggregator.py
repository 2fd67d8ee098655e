"""The system-wide view of database sessions and their connections. It knows nothing of what users do.

The session factory tells it what happens; `/metrics`, the admin API and `netra report` read it. Everything here is
called on the event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Literal

from netra.clock import Clock
from netra.ids import new_id
from netra.monitoring.metrics import metrics
from netra.storage.pools import PoolMetrics

from .metrics import DatabaseSessionMetrics
from .scopes import RequestSession

Health = Literal["healthy", "degraded", "unhealthy"]

WINDOW_SECONDS = 60.0
"""Health is judged over the last one to two of these."""
POOL_USED = 0.8
"""A pool of which more is in use is `degraded`."""
FEW_FAILED, MANY_FAILED = 0.05, 0.5
"""Shares of sessions that could not begin: from the first on `degraded`, from the second on `unhealthy`."""


@dataclass(frozen=True, slots=True)
class SystemSessionFigures:
    """All database sessions together, since the start where nothing else is said.

    Args:
        open: sessions open now.
        by_state: those by their state.
        peak: the most that were open at once.
        attempted, succeeded, failed: sessions that asked for something, whose first question got through, and did not.
        ended: sessions that were closed.
        average_seconds, longest_seconds: their lifetimes; None before one was closed.
        commits, rollbacks: of sessions that could write.
        errors: failures by kind (`netra.sessions.failures.KINDS`).
        leaks: connections that were held too long and taken back.
        exhausted: waits for a connection that ended in vain.
        breaker_trips: circuits that opened.
    """

    open: int
    by_state: Mapping[str, int]
    peak: int
    attempted: int
    succeeded: int
    failed: int
    ended: int
    average_seconds: float | None
    longest_seconds: float | None
    commits: int
    rollbacks: int
    errors: Mapping[str, int]
    leaks: int
    exhausted: int
    breaker_trips: int

    def to_dict(self) -> dict[str, Any]:
        """Every figure by name."""
        return asdict(self)


class SystemSessionAggregator:
    """See the module.

    Args:
        clock: the time.
        pools: gives the figures of the connection pools.
    """

    def __init__(self, clock: Clock, pools: Callable[[], Mapping[str, PoolMetrics]]) -> None:
        self._clock = clock
        self._pools = pools
        self._open: dict[RequestSession, None] = {}
        self._peak = self._opened = self._succeeded = self._failed = self._ended = 0
        self._seconds = self._longest = 0.0
        self._commits = self._rollbacks = self._leaks = self._trips = 0
        self._errors: Counter[str] = Counter()
        self._id, self._numbers = new_id("dbs"), count(1)
        self._recent, self._before = Counter[str](), Counter[str]()
        self._turns = clock.monotonic() + WINDOW_SECONDS
        self._created = {worked: metrics.db_sessions_created.labels(_outcome(worked)) for worked in (True, False)}
        self._transactions = {
            True: metrics.db_transactions.labels("committed"),
            False: metrics.db_transactions.labels("rolled_back"),
        }

    # What happens

    def new_session_id(self) -> str:
        """An id for one more session: this object's own and a number, since an id of its own costs more than it."""
        return f"{self._id}.{next(self._numbers)}"

    def opened(self, session: RequestSession) -> None:
        """Something is asked in a session for the first time."""
        self._open[session] = None
        self._opened += 1
        self._peak = max(self._peak, len(self._open))

    def established(self, worked: bool) -> None:
        """A session's first question got through to the database, or did not."""
        if worked:
            self._succeeded += 1
        else:
            self._failed += 1
        self._note(_outcome(worked))
        self._created[worked].inc()

    def settled(self, committed: bool) -> None:
        """A transaction was committed, or rolled back."""
        if committed:
            self._commits += 1
        else:
            self._rollbacks += 1
        self._transactions[committed].inc()

    def closed(self, session: RequestSession) -> None:
        """A session is over."""
        self._open.pop(session, None)
        found = session.metrics
        if found is None or found.total_time_ms is None:
            return
        seconds = found.total_time_ms / 1000
        self._ended += 1
        self._seconds += seconds
        self._longest = max(self._longest, seconds)

    def failed(self, kind: str) -> None:
        """A session failed; `kind` is one of `netra.sessions.failures.KINDS`."""
        self._errors[kind] += 1
        self._note(kind)
        metrics.db_session_errors.labels(kind).inc()

    def leaked(self) -> None:
        """A connection was held for too long."""
        self._leaks += 1
        self._note("leak")
        metrics.db_session_leaks.inc()

    def breaker_tripped(self) -> None:
        """A circuit opened (`netra.executions.breaker`)."""
        self._trips += 1

    # What is known

    def open_sessions(self) -> list[RequestSession]:
        """The sessions in which something was asked, and which are not over."""
        return list(self._open)

    def sessions(self) -> dict[str, DatabaseSessionMetrics]:
        """The metrics of the open sessions, by id."""
        return {session.metrics.session_id: session.metrics for session in self._open if session.metrics is not None}

    def figures(self) -> SystemSessionFigures:
        """The figures of this moment."""
        pools = self._pools()
        return SystemSessionFigures(
            open=len(self._open),
            by_state=dict(Counter(str(found.state.value) for found in self.sessions().values())),
            peak=self._peak,
            attempted=self._opened,
            succeeded=self._succeeded,
            failed=self._failed,
            ended=self._ended,
            average_seconds=self._seconds / self._ended if self._ended else None,
            longest_seconds=self._longest if self._ended else None,
            commits=self._commits,
            rollbacks=self._rollbacks,
            errors=dict(self._errors),
            leaks=self._leaks,
            exhausted=sum(pool.exhausted for pool in pools.values()),
            breaker_trips=self._trips,
        )

    def health(self) -> tuple[Health, list[str]]:
        """How the sessions fare, and why not better.

        `unhealthy`: half of the sessions of the last minutes could not begin, or somebody waited for a connection in
        vain. `degraded`: 5 % could not begin, a connection leaked, or a pool is more than 80 % in use.
        """
        self._turn()
        recent = self._recent + self._before
        began, refused = recent["succeeded"], recent["failed"]
        share = refused / (began + refused) if refused else 0.0
        bad: list[str] = []
        poor: list[str] = []
        if share >= FEW_FAILED:
            (bad if share >= MANY_FAILED else poor).append(f"{share:.0%} of the sessions could not begin")
        if recent["pool_timeout"]:
            bad.append(f"{recent['pool_timeout']} waits for a connection ended in vain")
        if recent["leak"]:
            poor.append(f"{recent['leak']} connections were held for too long")
        for name, pool in self._pools().items():
            if name != "writer" and pool.checked_out > POOL_USED * pool.size:
                poor.append(f"{pool.checked_out} of {pool.size} connections of pool {name} are in use")
        return "unhealthy" if bad else "degraded" if poor else "healthy", bad + poor

    def _note(self, what: str) -> None:
        self._turn()
        self._recent[what] += 1

    def _turn(self) -> None:
        now = self._clock.monotonic()
        if now < self._turns:
            return
        self._before = self._recent if now < self._turns + WINDOW_SECONDS else Counter()
        self._recent = Counter()
        self._turns = now + WINDOW_SECONDS


def _outcome(worked: bool) -> str:
    return "succeeded" if worked else "failed"
