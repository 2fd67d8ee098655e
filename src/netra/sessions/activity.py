"""What the facts of `netra.sessions.tracker` say: activity of users, as figures with one definition each.

Days are UTC. A user is *active* on a day on which one of their sessions began; a session never spans two days.

* **Quality** of the answers a user got, 0 to 100: the mean over their judged runs of 100 for a thumb up, 0 for a thumb
  down, and else the score of the automatic check. None while nothing was judged.
* **Engagement**, 0 to 100, over the last `WINDOW_DAYS` days: the mean of three shares, each at most 1: days active of
  `FULL_DAYS`, messages per session of `FULL_DEPTH`, different features used of `FULL_BREADTH`; times 100.
* **Conversion**: how far a user came. `signed_up`, then `wrote` a message, then got an answer (`succeeded`: a run that
  succeeded), then `returned` (active on another day). Each step counts only after the ones before it.
* **Retention** of day N: of the users first seen on some day D, for which D+N is over, the share that was active on
  day D+N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, Subquery, case, distinct, func, select, union_all

from netra.storage.tables import answer_checks, feature_uses, feedback, micros, moment, user_sessions, users

WINDOW_DAYS = 28
FULL_DAYS = 12
"""Days active in the window that make a full share: three a week."""
FULL_DEPTH = 5
"""Messages per session that make a full share."""
FULL_BREADTH = 3
"""Different features that make a full share."""
RETENTION_DAYS = (1, 7, 30)

DAY = 24 * 3600 * 1_000_000

Stage: TypeAlias = Literal["signed_up", "wrote", "succeeded", "returned"]
STAGES: tuple[Stage, ...] = ("signed_up", "wrote", "succeeded", "returned")


@dataclass(frozen=True, slots=True)
class UserActivity:
    """One user. Times are None for who was never seen, `quality` for whose answers were never judged."""

    user_id: str
    email: str
    signed_up_at: datetime
    first_seen_at: datetime | None
    last_activity: datetime | None
    sessions: int
    messages: int
    runs: int
    runs_succeeded: int
    active_days: int
    features: dict[str, int]
    quality: float | None
    engagement: float
    stage: Stage


@dataclass(frozen=True, slots=True)
class Retention:
    """`returned` of `users` were active on the given day after their first; `share` is None without users."""

    day: int
    users: int
    returned: int

    @property
    def share(self) -> float | None:
        return self.returned / self.users if self.users else None


@dataclass(frozen=True, slots=True)
class Summary:
    """All users together.

    Args:
        last_activity: of anybody; None before the first session.
        active_users: users active in the last 1, 7 and 28 days, today included, by the number of days.
        minutes_per_session: from the first to the last activity; None without sessions.
        quality: over all judged runs.
        engagement: the mean over the users active in the window; None without any.
        conversion: users that came at least as far as each stage.
    """

    last_activity: datetime | None
    users: int
    active_users: dict[int, int]
    sessions: int
    messages: int
    runs: int
    runs_succeeded: int
    minutes_per_session: float | None
    features: dict[str, int]
    quality: float | None
    engagement: float | None
    conversion: dict[Stage, int]
    retention: tuple[Retention, ...]


def engagement(active_days: int, messages: int, sessions: int, features: int) -> float:
    """See the module; all four of the window."""
    depth = messages / sessions if sessions else 0.0
    shares = (active_days / FULL_DAYS, depth / FULL_DEPTH, features / FULL_BREADTH)
    return 100 * sum(min(1.0, share) for share in shares) / len(shares)


def stage(messages: int, runs_succeeded: int, days: int) -> Stage:
    """See the module; all three of the user's whole time."""
    reached = 0
    for done in (messages > 0, runs_succeeded > 0, days > 1):
        if not done:
            break
        reached += 1
    return STAGES[reached]


_day: ColumnElement[int] = user_sessions.c.started_at // DAY
_SUMS: list[ColumnElement[Any]] = [
    func.count().label("sessions"),
    func.coalesce(func.sum(user_sessions.c.messages), 0).label("messages"),
    func.coalesce(func.sum(user_sessions.c.runs), 0).label("runs"),
    func.coalesce(func.sum(user_sessions.c.runs_succeeded), 0).label("runs_succeeded"),
    func.max(user_sessions.c.last_activity_at).label("last_activity"),
]


def _judged() -> Subquery:
    """One row for each judged run: its user and 0 to 100."""
    thumb = case((feedback.c.rating > 0, 100), else_=0)
    thumbs = select(feedback.c.user_id, thumb.label("score"))
    told = select(feedback.c.run_id).where(feedback.c.run_id == answer_checks.c.run_id).exists()
    checks = select(answer_checks.c.user_id, answer_checks.c.score).where(~told)
    return union_all(thumbs, checks).subquery()


def _of_users(since: int) -> Select[Any]:
    """One row for each user that was seen: the sums, the window's, and the days."""
    recent = user_sessions.c.started_at >= since
    return select(
        user_sessions.c.user_id,
        *_SUMS,
        func.min(user_sessions.c.started_at).label("first_seen"),
        func.count(distinct(_day)).label("days"),
        func.count(distinct(case((recent, _day)))).label("recent_days"),
        func.count(case((recent, 1))).label("recent_sessions"),
        func.coalesce(func.sum(case((recent, user_sessions.c.messages))), 0).label("recent_messages"),
    ).group_by(user_sessions.c.user_id)


def _window(now: datetime, days: int = WINDOW_DAYS) -> int:
    """Where the last `days` days begin, today being one of them."""
    return (micros(now) // DAY - days + 1) * DAY


def read_users(
    connection: Connection, now: datetime, *, limit: int, cursor: str | None = None, user_id: str | None = None
) -> tuple[list[UserActivity], str | None]:
    """Users, the newest first, and the cursor of the next page; or the one user that is asked for."""
    statement = select(users.c.id, users.c.email, users.c.created_at).order_by(users.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        statement = statement.where(users.c.id < cursor)
    if user_id is not None:
        statement = statement.where(users.c.id == user_id)
    found = connection.execute(statement).all()
    more = str(found[limit - 1].id) if len(found) > limit else None
    found = found[:limit]
    ids = [row.id for row in found]
    since = _window(now)
    seen = {
        row.user_id: row for row in connection.execute(_of_users(since).where(user_sessions.c.user_id.in_(ids))).all()
    }
    uses: dict[str, dict[str, int]] = {}
    recent: dict[str, int] = {}
    for row in connection.execute(
        select(feature_uses).where(feature_uses.c.user_id.in_(ids)).order_by(feature_uses.c.feature)
    ):
        uses.setdefault(row.user_id, {})[row.feature] = row.uses
        recent[row.user_id] = recent.get(row.user_id, 0) + (row.last_at >= since)
    judged = _judged()
    quality = {
        row.user_id: float(row.quality)
        for row in connection.execute(
            select(judged.c.user_id, func.avg(judged.c.score).label("quality"))
            .where(judged.c.user_id.in_(ids))
            .group_by(judged.c.user_id)
        )
    }
    return [
        _activity(row, seen.get(row.id), uses.get(row.id, {}), recent.get(row.id, 0), quality.get(row.id))
        for row in found
    ], more


def _activity(user: Any, seen: Any, uses: dict[str, int], recent: int, quality: float | None) -> UserActivity:
    return UserActivity(
        user_id=user.id,
        email=user.email,
        signed_up_at=moment(user.created_at),
        first_seen_at=moment(seen.first_seen) if seen else None,
        last_activity=moment(seen.last_activity) if seen else None,
        sessions=seen.sessions if seen else 0,
        messages=int(seen.messages) if seen else 0,
        runs=int(seen.runs) if seen else 0,
        runs_succeeded=int(seen.runs_succeeded) if seen else 0,
        active_days=seen.days if seen else 0,
        features=uses,
        quality=quality,
        engagement=engagement(seen.recent_days, int(seen.recent_messages), seen.recent_sessions, recent)
        if seen
        else 0.0,
        stage=stage(int(seen.messages), int(seen.runs_succeeded), seen.days) if seen else STAGES[0],
    )


def read_summary(connection: Connection, now: datetime) -> Summary:
    """All users together, as they were at `now`. Reads every session once or twice."""
    execute = connection.execute
    since = _window(now)
    worked = func.avg(user_sessions.c.last_activity_at - user_sessions.c.started_at)
    totals = execute(select(*_SUMS, worked.label("worked")).select_from(user_sessions)).one()
    features = execute(
        select(feature_uses.c.feature, func.sum(feature_uses.c.uses)).group_by(feature_uses.c.feature)
    ).all()
    judged = _judged()
    quality = execute(select(func.avg(judged.c.score))).scalar_one()
    used = select(feature_uses.c.user_id, func.count().label("many")).where(feature_uses.c.last_at >= since)
    breadth = {row.user_id: row.many for row in execute(used.group_by(feature_uses.c.user_id))}
    reached = dict.fromkeys(STAGES, 0)
    signed_up = execute(select(func.count()).select_from(users)).scalar_one()
    reached["signed_up"] = signed_up
    engaged: list[float] = []
    for row in execute(_of_users(since)):
        came = STAGES.index(stage(int(row.messages), int(row.runs_succeeded), row.days))
        for passed in STAGES[1 : came + 1]:
            reached[passed] += 1
        if row.recent_sessions:
            engaged.append(
                engagement(row.recent_days, int(row.recent_messages), row.recent_sessions, breadth.get(row.user_id, 0))
            )
    return Summary(
        last_activity=moment(totals.last_activity) if totals.last_activity is not None else None,
        users=signed_up,
        active_users={days: execute(_active(_window(now, days))).scalar_one() for days in (1, 7, WINDOW_DAYS)},
        sessions=totals.sessions,
        messages=int(totals.messages),
        runs=int(totals.runs),
        runs_succeeded=int(totals.runs_succeeded),
        minutes_per_session=float(totals.worked) / 60_000_000 if totals.worked is not None else None,
        features={name: int(uses) for name, uses in sorted(features)},
        quality=float(quality) if quality is not None else None,
        engagement=sum(engaged) / len(engaged) if engaged else None,
        conversion=reached,
        retention=_retention(connection, now, RETENTION_DAYS),
    )


def _active(since: int) -> Select[Any]:
    return select(func.count(distinct(user_sessions.c.user_id))).where(user_sessions.c.started_at >= since)


def _retention(connection: Connection, now: datetime, days: Sequence[int]) -> tuple[Retention, ...]:
    today = micros(now) // DAY
    first = select(user_sessions.c.user_id, func.min(_day).label("day")).group_by(user_sessions.c.user_id).subquery()
    found = []
    for n in days:
        over = first.c.day + n < today
        many = connection.execute(select(func.count()).select_from(first).where(over)).scalar_one()
        back = connection.execute(
            select(func.count(distinct(first.c.user_id)))
            .join(
                user_sessions,
                (user_sessions.c.user_id == first.c.user_id)
                & (user_sessions.c.started_at >= (first.c.day + n) * DAY)
                & (user_sessions.c.started_at < (first.c.day + n + 1) * DAY),
            )
            .where(over)
        ).scalar_one()
        found.append(Retention(n, many, back))
    return tuple(found)
