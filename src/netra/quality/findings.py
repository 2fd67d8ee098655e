"""What can be wrong with an answer, and the score that follows.

The score is 100 minus the weight of every *kind* of finding there is, at least 0: two contradictions weigh as one. A
run that failed scores 0, because its user has no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

from msgspec import Struct

FindingKind = Literal["failed", "empty", "truncated", "repeated", "same_as_before", "contradicts_tools"]
KINDS: tuple[FindingKind, ...] = get_args(FindingKind)

WEIGHTS: Mapping[FindingKind, int] = MappingProxyType(
    {
        "failed": 100,
        "empty": 100,
        "contradicts_tools": 50,
        "truncated": 40,
        "repeated": 40,
        "same_as_before": 15,
    }
)
"""Points each kind takes from 100."""
BEST = 100


class Finding(Struct, frozen=True):
    """One thing that is wrong with an answer.

    Args:
        kind: what.
        detail: in words, what was seen or compared.
    """

    kind: FindingKind
    detail: str


def score(findings: Iterable[Finding]) -> int:
    """0 to 100; see the module."""
    return max(0, BEST - sum(WEIGHTS[kind] for kind in {finding.kind for finding in findings}))
