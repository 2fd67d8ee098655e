"""Figures of quality over time, from the stored checks and what people said: for one user, or of everybody's runs.

A check counts for the moment it was made, about a second after its run ended; a thumb for the moment it was given last.
The figures carry no text of anybody. `comments` gives the words that came with thumbs, which users write for whoever
runs the server; no question and no answer is ever read here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, Connection, case, func, select

from netra.clock import Clock, rfc3339
from netra.events import AgentQuality, QualityPoint, Timestamp
from netra.identity import Scope
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import answer_checks, feedback, micros, moment

from .answers import FAILURES

Step = Literal["hour", "day"]
HOURLY_DAYS = 2
"""Up to so many days are shown by the hour."""
MOST_FLAWED = 20_000
"""Flawed answers whose findings are counted, the newest of a period."""
MOST_COMMENTS = 50
"""Comments that are given at once, the newest of a period."""
_MICROS = {"hour": 3_600_000_000, "day": 86_400_000_000}


class _Found(msgspec.Struct):
    kind: str


_findings = msgspec.json.Decoder(list[_Found])


@dataclass(slots=True)
class _Sums:
    """What was counted in one step."""

    checked: int = 0
    points: int = 0
    failed: int = 0
    up: int = 0
    down: int = 0

    @property
    def score(self) -> float | None:
        return round(self.points / self.checked, 1) if self.checked else None


@dataclass(slots=True)
class _Agent:
    steps: defaultdict[int, _Sums] = field(default_factory=lambda: defaultdict(_Sums))
    comments: int = 0
    findings: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Comment:
    """The words that came with a thumb."""

    run_id: str
    agent: str
    rating: Annotated[Literal[1, -1], Meta(description="1 for good, -1 for bad")]
    text: Annotated[str, Meta(description="In the user's words")]
    given_at: Annotated[Timestamp, Meta(description="When they were given last")]


class Measures:
    """Reads the figures.

    Args:
        database: where checks and feedback are.
        clock: says when a period ends.
    """

    def __init__(self, database: RequestScopedSessionFactory, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_user(self, scope: Scope, days: int, agent: str | None = None) -> list[AgentQuality]:
        """How good the answers to one user were, by agent, the one with the most answers first.

        Args:
            days: how far back, 1 to 90.
            agent: only this one.
        """
        return await self._measure(days, agent, scope.user_id)

    async def of_everybody(self, days: int, agent: str | None = None) -> list[AgentQuality]:
        """The same over the runs of all users. For administrators: the caller has checked that."""
        return await self._measure(days, agent, None)

    async def comments(self, days: int, agent: str | None = None) -> list[Comment]:
        """What users said in words, the newest first, at most `MOST_COMMENTS`. For administrators, as above."""
        since = self._clock.now() - timedelta(days=days)
        said = _wanted(feedback.c, feedback.c.updated_at, since, agent, None)
        statement = (
            select(feedback)
            .where(*said, feedback.c.comment != "")
            .order_by(feedback.c.updated_at.desc(), feedback.c.run_id.desc())
            .limit(MOST_COMMENTS)
        )
        rows = await self._database.query(lambda connection: connection.execute(statement).all())
        return [
            Comment(
                run_id=row.run_id,
                agent=row.agent,
                rating=1 if row.rating > 0 else -1,
                text=row.comment,
                given_at=rfc3339(moment(row.updated_at)),
            )
            for row in rows
        ]

    async def _measure(self, days: int, agent: str | None, user_id: str | None) -> list[AgentQuality]:
        until = self._clock.now()
        since = until - timedelta(days=days)
        width = _MICROS[step_of(days)]
        agents = await self._database.query(lambda connection: _read(connection, since, width, agent, user_id))
        middle = micros(until - (until - since) / 2) // width
        found = [_quality(name, sums, width, middle) for name, sums in agents.items()]
        return sorted(found, key=lambda each: (-each.checked, each.agent))


def step_of(days: int) -> Step:
    """How finely a period of this many days is shown."""
    return "hour" if days <= HOURLY_DAYS else "day"


def _read(
    connection: Connection, since: datetime, width: int, agent: str | None, user_id: str | None
) -> dict[str, _Agent]:
    agents: defaultdict[str, _Agent] = defaultdict(_Agent)
    checks = _wanted(answer_checks.c, answer_checks.c.checked_at, since, agent, user_id)
    step = (answer_checks.c.checked_at // width).label("step")
    failed = func.sum(case((answer_checks.c.status.in_(sorted(FAILURES)), 1), else_=0))
    statement = (
        select(answer_checks.c.agent, step, func.count(), func.sum(answer_checks.c.score), failed)
        .where(*checks)
        .group_by(answer_checks.c.agent, step)
    )
    for name, at, count, points, failures in connection.execute(statement):
        sums = agents[name].steps[int(at)]
        sums.checked, sums.points, sums.failed = int(count), int(points), int(failures)
    flawed = (
        select(answer_checks.c.agent, answer_checks.c.findings)
        .where(*checks, answer_checks.c.findings != b"[]")
        .order_by(answer_checks.c.checked_at.desc())
        .limit(MOST_FLAWED)
    )
    for name, body in connection.execute(flawed):
        agents[name].findings.update({finding.kind for finding in _findings.decode(bytes(body))})
    said = _wanted(feedback.c, feedback.c.updated_at, since, agent, user_id)
    at_step = (feedback.c.updated_at // width).label("step")
    worded = func.sum(case((feedback.c.comment != "", 1), else_=0))
    thumbs = (
        select(feedback.c.agent, at_step, feedback.c.rating, func.count(), worded)
        .where(*said)
        .group_by(feedback.c.agent, at_step, feedback.c.rating)
    )
    for name, at, rating, count, words in connection.execute(thumbs):
        sums = agents[name].steps[int(at)]
        if rating > 0:
            sums.up = int(count)
        else:
            sums.down = int(count)
        agents[name].comments += int(words)
    return agents


def _wanted(
    columns: Any, time: ColumnElement[int], since: datetime, agent: str | None, user_id: str | None
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = [time >= micros(since)]
    if agent is not None:
        wanted.append(columns.agent == agent)
    if user_id is not None:
        wanted.append(columns.user_id == user_id)
    return wanted


def _sum(steps: Iterable[_Sums]) -> _Sums:
    total = _Sums()
    for each in steps:
        total.checked += each.checked
        total.points += each.points
        total.failed += each.failed
        total.up += each.up
        total.down += each.down
    return total


def _quality(name: str, agent: _Agent, width: int, middle: int) -> AgentQuality:
    total = _sum(agent.steps.values())
    first = _sum(sums for at, sums in agent.steps.items() if at < middle).score
    second = _sum(sums for at, sums in agent.steps.items() if at >= middle).score
    return AgentQuality(
        agent=name,
        checked=total.checked,
        score=total.score,
        change=None if first is None or second is None else round(second - first, 1),
        failed_share=round(total.failed / total.checked, 4) if total.checked else None,
        thumbs_up=total.up,
        thumbs_down=total.down,
        comments=agent.comments,
        findings=dict(agent.findings.most_common()),
        points=[
            QualityPoint(
                start=rfc3339(moment(at * width)),
                checked=sums.checked,
                score=sums.score,
                failed=sums.failed,
                thumbs_up=sums.up,
                thumbs_down=sums.down,
            )
            for at, sums in sorted(agent.steps.items())
        ],
    )
