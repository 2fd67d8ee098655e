"""Thirty-five days of many users, in a moment, against figures computed the plain way."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from netra.sessions.activity import FULL_BREADTH, FULL_DAYS, FULL_DEPTH, STAGES, WINDOW_DAYS

from .conftest import Desk

DAYS = 35
PEOPLE = 40


class Diary:
    """What one user did, written down as it happens."""

    def __init__(self) -> None:
        self.visits: list[tuple[datetime, str, int, int]] = []
        self.features: dict[str, list[datetime]] = defaultdict(list)

    @property
    def days(self) -> set[int]:
        return {moment.toordinal() for moment, *_ in self.visits}


@pytest.mark.spec("user-tracker.engagement")
async def test_figures_of_thirty_five_days_are_what_their_formulas_say(desk: Desk) -> None:
    chance = random.Random(7)
    start = desk.clock.now().replace(hour=0)
    people = await desk.sign_up(*(f"usr_{number:02d}" for number in range(PEOPLE)))
    diaries = {user: Diary() for user in people}
    zeal = {user: (0.0, 0.01, 0.02, 0.3, 0.9)[number % 5] for number, user in enumerate(people)}
    begins = {user: chance.randrange(DAYS // 2) for user in people}
    for day in range(DAYS):
        for hour in (8, 13, 23):  # far enough apart to be sessions of their own; the last ones near midnight
            desk.clock.advance_to(start + timedelta(days=day, hours=hour, minutes=50))
            for user in people:
                if day < begins[user] or chance.random() > zeal[user]:
                    continue
                thread = f"thr_{user}_{chance.randrange(3)}"
                messages, succeeded = chance.randrange(1, 9), chance.randrange(0, 2)
                for number in range(messages):
                    desk.run(user, thread, succeeded=number < succeeded)
                diaries[user].visits.append((desk.clock.now(), thread, messages, succeeded))
                if chance.random() < 0.3:
                    feature = chance.choice(("upload", "search", "feedback", "cancel"))
                    desk.tracker.note(user, f"feature:{feature}", thread_id=thread)
                    diaries[user].features[feature].append(desk.clock.now())
        if day % 10 == 4:
            await desk.restart()
    today = desk.clock.now().toordinal()

    # Each user
    found = {user.user_id: user for user in (await desk.tracker.users(limit=200))[0]}
    assert found.keys() == set(people)
    engaged: list[float] = []
    reached = dict.fromkeys(STAGES, 0)
    for user, diary in diaries.items():
        seen = found[user]
        recent = [visit for visit in diary.visits if visit[0].toordinal() > today - WINDOW_DAYS]
        breadth = sum(used[-1].toordinal() > today - WINDOW_DAYS for used in diary.features.values())
        depth = sum(visit[2] for visit in recent) / len(recent) if recent else 0
        shares = (
            len({visit[0].toordinal() for visit in recent}) / FULL_DAYS,
            depth / FULL_DEPTH,
            breadth / FULL_BREADTH,
        )
        engagement = 100 * sum(min(1, share) for share in shares) / 3
        wrote, succeeded = bool(diary.visits), any(visit[3] for visit in diary.visits)
        stage = STAGES[0 if not wrote else 1 if not succeeded else 2 if len(diary.days) < 2 else 3]
        assert (seen.sessions, seen.active_days, seen.stage) == (len(diary.visits), len(diary.days), stage)
        assert seen.messages == seen.runs == sum(visit[2] for visit in diary.visits)
        assert seen.runs_succeeded == sum(visit[3] for visit in diary.visits)
        assert seen.features == {name: len(used) for name, used in diary.features.items()}
        assert seen.engagement == pytest.approx(engagement)
        assert seen.first_seen_at == (diary.visits[0][0] if wrote else None)
        assert seen.last_activity == (diary.visits[-1][0] if wrote else None)
        if recent:
            engaged.append(engagement)
        for passed in STAGES[: STAGES.index(stage) + 1]:
            reached[passed] += 1

    # All of them
    summary = await desk.tracker.summary()
    assert summary.users == PEOPLE
    assert summary.conversion == reached
    assert {user.stage for user in found.values()} == set(STAGES), "the plan has users who stop at every stage"
    assert summary.engagement == pytest.approx(sum(engaged) / len(engaged))
    assert summary.active_users == {
        days: sum(any(day > today - days for day in diary.days) for diary in diaries.values())
        for days in (1, 7, WINDOW_DAYS)
    }
    for each in summary.retention:
        cohort = [diary for diary in diaries.values() if diary.days and min(diary.days) + each.day < today]
        back = [diary for diary in cohort if min(diary.days) + each.day in diary.days]
        assert (each.users, each.returned) == (len(cohort), len(back))
        assert each.share == len(back) / len(cohort)
    assert [each.day for each in summary.retention] == [1, 7, 30]


@pytest.mark.spec("user-tracker.engagement")
async def test_a_day_that_is_not_over_tells_nothing_of_retention(desk: Desk) -> None:
    ada, bob = await desk.sign_up("usr_ada", "usr_bob")
    desk.run(ada, "thr_1")
    desk.run(bob, "thr_2")
    desk.clock.advance(days=1)
    desk.run(ada, "thr_1")
    assert (await desk.tracker.summary()).retention[0].users == 0
    desk.clock.advance_to(datetime(2030, 1, 3, tzinfo=UTC))
    retention = (await desk.tracker.summary()).retention[0]
    assert (retention.day, retention.users, retention.returned, retention.share) == (1, 2, 1, 0.5)
