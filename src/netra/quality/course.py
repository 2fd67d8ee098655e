"""An agent's course: the scores of its last answers, and when they say that it got worse.

The rule: the mean of the last 20 scores is at least 15 points below the mean of the up to 200 before them, of which
there are at least 50. It is over when the mean of the last 20 is back within 5 points of what it was before the drop.
Between the two nothing changes, so an agent that wavers is told of once. What the agent was worth before the drop is
kept while it lasts: a drop that goes on does not become the new measure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

RECENT = 20
BEFORE = 200
LEAST_BEFORE = 50
DROP = 15.0
RECOVERED_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class CourseTurn:
    """A change of course.

    Args:
        kind: whether it got worse, or is back.
        recent: the mean of the last scores.
        before: what it is compared with.
    """

    kind: Literal["dropped", "recovered"]
    recent: float
    before: float

    def words(self, agent: str) -> str:
        """One sentence for people."""
        points = f"{self.recent:.0f} of 100 points"
        if self.kind == "dropped":
            return f"The answers of {agent} got worse: {points}, {self.before:.0f} before."
        return f"The answers of {agent} are back at {points}."


class Course:
    """One agent's.

    Args:
        scores: the last ones, oldest first.
        before: the mean before the drop, when one goes on.
    """

    __slots__ = ("_scores", "before")

    def __init__(self, scores: Iterable[int] = (), before: float | None = None) -> None:
        self._scores: deque[int] = deque(scores, maxlen=RECENT + BEFORE)
        self.before = before

    def add(self, score: int) -> CourseTurn | None:
        """Take the score of one more answer. Returns the turn it makes, if any."""
        self._scores.append(score)
        if len(self._scores) < RECENT:
            return None
        older = len(self._scores) - RECENT
        recent = sum(islice(self._scores, older, None)) / RECENT
        if self.before is not None:
            if recent < self.before - RECOVERED_WITHIN:
                return None
            was, self.before = self.before, None
            return CourseTurn("recovered", recent, was)
        if older < LEAST_BEFORE:
            return None
        before = sum(islice(self._scores, older)) / older
        if before - recent < DROP:
            return None
        self.before = before
        return CourseTurn("dropped", recent, before)
