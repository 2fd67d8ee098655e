"""`QualityMonitor`: checks every answer soon after its run has ended, stores what it found, and notices a drop.

The engine says which run has ended (`note`), which costs it nothing; a second later the runs of that second are read
from the log together, checked in a thread, and stored in one write. What a crash, a full queue or an absent database
left out is found by a sweep over the runs of the last day. A run is checked once, whoever does it; one that cannot be
read or judged is logged once and left aside, and keeps no other from being checked. Nothing here can delay or fail a
run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from netra.clock import Clock
from netra.errors import Unavailable
from netra.ids import lowest_id
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage.prepared import Prepared
from netra.storage.tables import alerts, answer_checks, micros, runs, threads

from .answers import JUDGED, Answered, read_answered
from .course import BEFORE, RECENT, Course, CourseTurn
from .findings import Finding, score

log = structlog.get_logger(__name__)

RULE = "quality_drop"
GATHER_SECONDS = 1.0
"""How long runs that ended are gathered, so that many cost little more than one."""
BATCH = 50
WAITING = 1_000
"""Runs that may wait to be checked; the sweep finds those beyond."""
LEFT_ASIDE = 1_000
"""Runs that are remembered as impossible to check, the newest; the sweep passes over them."""
SWEEP_SECONDS = 60.0
SWEEP_AGE = timedelta(hours=24)
SWEEP_GRACE = timedelta(seconds=10)
RETRY_SECONDS = 5.0
COURSE_SECONDS = 60.0
"""After so long a course is read again: another process may have checked answers too."""

_COLUMNS = [column.name for column in answer_checks.columns]
_INSERT = {
    "sqlite": Prepared(sqlite.insert(answer_checks).on_conflict_do_nothing(index_elements=["run_id"]), _COLUMNS),
    "postgresql": Prepared(
        postgresql.insert(answer_checks).on_conflict_do_nothing(index_elements=["run_id"]), _COLUMNS
    ),
}
_thread = Prepared(select(threads.c.id).where(threads.c.id == bindparam("thread")))


class Alerting(Protocol):
    """What is told of a drop; a `netra.monitoring.alerts.AlertManager` is one."""

    def fire(self, rule: str, *, key: str = "", severity: str, summary: str, details: dict[str, Any]) -> None: ...

    def resolve(self, rule: str, key: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """One answer with what was found in it."""

    run_id: str
    thread_id: str
    user_id: str
    agent: str
    status: str
    score: int
    findings: tuple[Finding, ...]


OnChecked = Callable[[Checked], None]
OnTurn = Callable[[str, CourseTurn], None]


@dataclass(slots=True)
class _Known:
    course: Course
    read_at: float


class QualityMonitor:
    """See the module. `start` after the database, `stop` before it.

    Args:
        database: where logs are read and checks are stored.
        clock: the time.
        alerts: gives what is told of a drop and of its end; asked each time, as a server chooses it when it starts.
        gather_seconds: see `GATHER_SECONDS`.
    """

    def __init__(
        self,
        database: RequestScopedSessionFactory,
        clock: Clock,
        alerts: Callable[[], Alerting],
        *,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._alerts = alerts
        self._gather = gather_seconds
        self._waiting: dict[str, None] = {}
        self._aside: dict[str, None] = {}
        self._news = asyncio.Event()
        self._sweep_at = 0.0
        self._courses: dict[str, _Known] = {}
        self._on_checked: list[OnChecked] = []
        self._on_turn: list[OnTurn] = []
        self._worker: asyncio.Task[None] | None = None

    def note(self, run_id: str) -> None:
        """A run has ended. On the event loop; returns at once."""
        if len(self._waiting) >= WAITING:
            self._sweep_at = 0.0
            return
        self._waiting[run_id] = None
        self._news.set()

    def on_checked(self, callback: OnChecked) -> None:
        """Call `callback` for every answer, once its check is stored. On the event loop; must not wait."""
        self._on_checked.append(callback)

    def on_turn(self, callback: OnTurn) -> None:
        """Call `callback` with an agent's name when it got worse or is back."""
        self._on_turn.append(callback)

    async def start(self) -> None:
        """Begin to check, first what an earlier process left."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="quality monitor")

    async def stop(self) -> None:
        """End. What is not checked is found after the next start. Safe to call twice."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                if loop.time() >= self._sweep_at:
                    self._sweep_at = loop.time() + SWEEP_SECONDS
                    await self.sweep()
                await self.check_waiting()
            except Unavailable:
                self._sweep_at = loop.time() + RETRY_SECONDS
            except Exception:  # whatever one answer does, the next ones are checked
                log.exception("quality_check_failed")
            if not self._waiting:
                self._news.clear()
                try:
                    async with asyncio.timeout_at(self._sweep_at):
                        await self._news.wait()
                except TimeoutError:
                    continue
            await asyncio.sleep(self._gather)

    async def sweep(self) -> int:
        """Let the runs wait that ended in the last day and were never checked, save those left aside.

        Returns how many there are.

        Raises:
            Unavailable: the database is away.
        """
        now = self._clock.now()
        # An id says when its run was made, so that the primary key bounds what is looked at.
        first = lowest_id("run", now - 2 * SWEEP_AGE)

        def look(connection: Connection) -> Sequence[str]:
            statement = (
                select(runs.c.id)
                .outerjoin(answer_checks, answer_checks.c.run_id == runs.c.id)
                .where(
                    runs.c.id >= first,
                    runs.c.ended_at > micros(now - SWEEP_AGE),
                    runs.c.ended_at < micros(now - SWEEP_GRACE),
                    runs.c.state.in_(sorted(JUDGED)),
                    answer_checks.c.run_id.is_(None),
                )
                .order_by(runs.c.id)
                .limit(WAITING + LEFT_ASIDE)
            )
            return connection.execute(statement).scalars().all()

        found = [run_id for run_id in await self._database.query(look) if run_id not in self._aside][:WAITING]
        for run_id in found:
            self.note(run_id)
        return len(found)

    async def check_waiting(self) -> int:
        """Check what waits. Returns how many answers were checked and stored.

        Raises:
            Unavailable: the database is away; what was taken is found by the next sweep.
        """
        stored = 0
        while self._waiting:
            batch = list(self._waiting)[:BATCH]
            for run_id in batch:
                del self._waiting[run_id]
            stored += await self._check(batch)
        return stored

    async def _check(self, run_ids: Sequence[str]) -> int:
        answered, courses, unreadable = await self._database.query(lambda connection: self._read(connection, run_ids))
        for agent, (scores, before) in courses.items():
            known = self._courses.get(agent)
            was = known.course.before if known is not None else None
            self._courses[agent] = _Known(Course(scores, was if was is not None else before), self._clock.monotonic())
        self._leave_aside(unreadable)
        if not answered:
            return 0
        checked, unjudged = await asyncio.to_thread(_judge, answered)
        self._leave_aside(unjudged)
        new = await self._database.write(lambda connection: self._store(connection, checked))
        for each in checked:
            if each.run_id in new:
                self._tell(each)
        return len(new)

    def _read(
        self, connection: Connection, run_ids: Sequence[str]
    ) -> tuple[list[Answered], dict[str, tuple[list[int], float | None]], list[str]]:
        answered, unreadable = [], []
        for run_id in run_ids:
            try:
                found = read_answered(connection, run_id)
            except msgspec.DecodeError as error:
                log.error("answer_unreadable", run_id=run_id, error=str(error))
                unreadable.append(run_id)
                continue
            if found is not None:
                answered.append(found)
        fresh = self._clock.monotonic() - COURSE_SECONDS
        courses = {}
        for agent in {each.agent for each in answered}:
            known = self._courses.get(agent)
            if known is None or known.read_at < fresh:
                courses[agent] = _read_course(connection, agent)
        return answered, courses, unreadable

    def _leave_aside(self, run_ids: Sequence[str]) -> None:
        self._aside.update(dict.fromkeys(run_ids))
        while len(self._aside) > LEFT_ASIDE:
            del self._aside[next(iter(self._aside))]

    def _store(self, connection: Connection, checked: Sequence[Checked]) -> frozenset[str]:
        """Store the checks that are new, and return their runs."""
        insert = _INSERT[connection.dialect.name]
        now = micros(self._clock.now())
        new = set()
        for number, each in enumerate(checked):
            if _thread.scalar(connection, {"thread": each.thread_id}) is None:
                continue
            row = {
                "run_id": each.run_id,
                "user_id": each.user_id,
                "thread_id": each.thread_id,
                "agent": each.agent,
                "status": each.status,
                "score": each.score,
                "findings": msgspec.json.encode(each.findings),
                "checked_at": now + number,  # so that the order is kept
            }
            if insert.run(connection, row) == 1:
                new.add(each.run_id)
        return frozenset(new)

    def _tell(self, checked: Checked) -> None:
        metrics.answers_checked.labels("flawed" if checked.findings else "good").inc()
        for kind in {finding.kind for finding in checked.findings}:
            metrics.answer_findings.labels(kind).inc()
        for callback in self._on_checked:
            callback(checked)
        turn = self._courses[checked.agent].course.add(checked.score)
        if turn is None:
            return
        if turn.kind == "dropped":
            self._alerts().fire(
                RULE,
                key=checked.agent,
                severity="warning",
                summary=turn.words(checked.agent),
                details={"recent": round(turn.recent, 1), "before": round(turn.before, 1), "checks": RECENT},
            )
        else:
            self._alerts().resolve(RULE, key=checked.agent)
        for told in self._on_turn:
            told(checked.agent, turn)


def _read_course(connection: Connection, agent: str) -> tuple[list[int], float | None]:
    """An agent's last scores, oldest first, and what it was worth before a drop that goes on."""
    scores = connection.execute(
        select(answer_checks.c.score)
        .where(answer_checks.c.agent == agent)
        .order_by(answer_checks.c.checked_at.desc())
        .limit(RECENT + BEFORE)
    ).scalars()
    details = connection.execute(
        select(alerts.c.details).where(alerts.c.rule == RULE, alerts.c.key == agent, alerts.c.resolved_at.is_(None))
    ).scalar()
    before = None if details is None else msgspec.json.decode(bytes(details)).get("before")
    return list(scores)[::-1], before if isinstance(before, int | float) else None


def _judge(answered: Sequence[Answered]) -> tuple[list[Checked], list[str]]:
    """What the checks say, and the runs at which one of them raised."""
    checked, unjudged = [], []
    for each in answered:
        try:
            findings = tuple(each.findings())
        except Exception:
            log.exception("answer_not_judged", run_id=each.run_id)
            unjudged.append(each.run_id)
            continue
        checked.append(
            Checked(each.run_id, each.thread_id, each.user_id, each.agent, each.status, score(findings), findings)
        )
    return checked, unjudged
