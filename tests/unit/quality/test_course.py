"""An agent that gets worse is noticed once, and its recovery too."""

from __future__ import annotations

import pytest

from netra.quality import KINDS, WEIGHTS, Finding, score
from netra.quality.course import Course, CourseTurn

pytestmark = pytest.mark.spec("quality.alerts")


def turns(course: Course, scores: list[int]) -> list[CourseTurn]:
    return [turn for each in scores if (turn := course.add(each)) is not None]


def test_a_drop_is_noticed_once_and_ends_when_the_scores_are_back() -> None:
    course = Course()
    assert turns(course, [100] * 70) == []
    (dropped,) = turns(course, [0] * 30)
    assert (dropped.kind, dropped.before, dropped.recent) == ("dropped", 100.0, 85.0)
    assert turns(course, [100] * 18) == []  # the last 20 are at 90: between the two, nothing changes
    (recovered,) = turns(course, [100, 100, 100])
    assert (recovered.kind, recovered.before) == ("recovered", 100.0)
    assert turns(course, [100] * 300) == []


def test_too_few_answers_say_nothing() -> None:
    assert turns(Course(), [100] * 50 + [0] * 19) == []
    assert turns(Course(), [100] * 40 + [0] * 20) == []
    assert turns(Course(), [0] * 69) == []


def test_an_agent_that_was_never_good_did_not_get_worse() -> None:
    assert turns(Course(), [50, 60, 40, 55] * 100) == []


def test_a_drop_that_goes_on_does_not_become_the_measure() -> None:
    course = Course([100] * 220)
    assert [turn.kind for turn in turns(course, [60] * 500)] == ["dropped"]
    assert course.before == 100.0
    assert [turn.kind for turn in turns(course, [96] * 20)] == ["recovered"]


def test_a_drop_that_goes_on_is_remembered_across_a_restart() -> None:
    course = Course([60] * 220, before=98.0)
    assert turns(course, [60] * 10) == []
    assert [turn.kind for turn in turns(course, [100] * 20)] == ["recovered"]


def test_the_score_counts_each_kind_once() -> None:
    two = [Finding("contradicts_tools", "a"), Finding("contradicts_tools", "b")]
    assert score([]) == 100
    assert score(two) == 50
    assert score([*two, Finding("truncated", "c")]) == 10
    assert score([*two, Finding("truncated", "c"), Finding("repeated", "d")]) == 0
    assert WEIGHTS.keys() == set(KINDS)
