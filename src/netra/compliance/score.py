"""The score: how much of a code base is free of findings. It cannot be diluted, truncated or bought with a baseline.

Units are modules that define something. Each finding costs every module it involves, except the canonical one, its
weight; a module loses at most 1. Score = 100 × (1 − Σ loss / units), rounded down to 0.1, and 100.0 only without any
loss. Adding a finding never raises it and mending one never lowers it. Scopes are scored apart; the worst one counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from .config import DEFAULT_WEIGHTS, SCOPES, Config

if TYPE_CHECKING:
    from .project import File, Project
    from .rule import Finding


class ScopeScore(Struct, frozen=True):
    """Of one scope. `score` is None when it has no units.

    Args:
        loss: sum over the units, each at most 1.
        debt: sum of all weights without the limit of 1 for a module.
    """

    scope: str
    units: int
    loss: float
    debt: float
    score: float | None


class Score(Struct, frozen=True):
    """Of a code base: each scope's, and the one that counts."""

    scopes: tuple[ScopeScore, ...]

    @property
    def value(self) -> float:
        """The worst scope's score; 100.0 for a code base without units."""
        return min((each.score for each in self.scopes if each.score is not None), default=100.0)

    @property
    def debt(self) -> float:
        """The weights of all findings in all the modules they involve, uncapped."""
        return round(sum(each.debt for each in self.scopes), 2)


def is_unit(file: File) -> bool:
    """Whether a module defines something that could have a second truth."""
    from .glance import function_count

    return bool(file.facts.classes or file.facts.assignments or function_count(file))


def losses(findings: Iterable[Finding], config: Config) -> dict[str, float]:
    """What each path loses, uncapped. The sums do not depend on the order of the findings."""
    weights = {**DEFAULT_WEIGHTS, **config.weights}
    lost: dict[str, list[float]] = defaultdict(list)
    for finding in findings:
        for path in finding.involved:
            lost[path].append(weights[finding.severity])
    return {path: math.fsum(each) for path, each in lost.items()}


def score(project: Project, findings: Iterable[Finding], config: Config) -> Score:
    """The score of a project with these findings."""
    lost = losses(findings, config)
    scores = []
    for scope in SCOPES:
        files = [file for file in project.files if file.scope == scope]
        units = sum(map(is_unit, files))
        loss = math.fsum(min(1.0, lost.get(file.path, 0.0)) for file in files)
        debt = math.fsum(lost.get(file.path, 0.0) for file in files)
        value = None
        if units or loss > 0:
            # A file that defines nothing adds to the loss only: as one more unit it would thin out that of the others.
            value = math.floor((100 * max(0.0, 1 - loss / max(1, units))) * 10 + 1e-9) / 10
            if loss > 0:
                value = min(value, 99.9)
        scores.append(ScopeScore(scope, units, round(loss, 4), round(debt, 4), value))
    return Score(tuple(scores))
