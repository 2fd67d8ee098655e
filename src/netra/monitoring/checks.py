"""What `netra check` said of the source of this server: now, and of the versions it ran before.

`hatch_build.py` lets the checker judge the source when a package is made, and puts its report beside the code. A server
keeps what it said of each version it runs (`netra.storage.checked_versions`), so that administrators see where the
score goes, what changed since the version before, and since when a finding is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

import netra

PACKAGED = Path(netra.__file__).with_name("_compliance.json")
"""Written by hatch_build.py."""
MOST_KEPT = 500
"""Findings of a version that are kept; of one that has more, only how many."""

CheckedSeverity = Literal["error", "warning", "info"]


class CheckedFinding(Struct, frozen=True):
    """One finding of the checker; with a reason it is waived."""

    rule: str
    severity: CheckedSeverity
    fingerprint: str
    path: str
    line: int
    message: str
    reason: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """The same wherever lines move."""
        return self.fingerprint, self.path


class CheckedRule(Struct, frozen=True):
    """What became of one rule. `exposure` is how many things (`of`) it looked at."""

    id: str
    name: str
    severity: CheckedSeverity
    summary: str
    findings: int
    exposure: int
    of: str
    compliance: float


class CheckedScope(Struct, frozen=True):
    """The product, its tests, or its scripts."""

    score: float | None


class PackagedCheck(Struct, frozen=True):
    """The report that came with the package.

    Args:
        source: a hash of the source that it is about.
        version: of that source.
        commit: of that source, with `-dirty` when it was changed after it; None when that is not known.
        made_at: when the checker looked.
        rule_set: a hash of rules and configuration; scores compare under the same ones only.
    """

    source: str
    version: str
    commit: str | None
    made_at: datetime
    score: float
    scopes: dict[str, CheckedScope]
    rule_set: str
    rules: tuple[CheckedRule, ...]
    findings: tuple[CheckedFinding, ...]
    waived: tuple[CheckedFinding, ...]


class CheckedVersion(Struct, frozen=True):
    """What is kept of the report of a version.

    Args:
        details: its findings, waived ones too; None when there are too many.
    """

    source: str
    version: str
    commit: str | None
    made_at: datetime
    score: float
    rule_set: str
    findings: int
    waived: int
    details: tuple[CheckedFinding, ...] | None

    @classmethod
    def of(cls, report: PackagedCheck) -> CheckedVersion:
        """What is kept of a report."""
        every = (*report.findings, *report.waived)
        return cls(
            source=report.source,
            version=report.version,
            commit=report.commit,
            made_at=report.made_at,
            score=report.score,
            rule_set=report.rule_set,
            findings=len(report.findings),
            waived=len(report.waived),
            details=every if len(every) <= MOST_KEPT else None,
        )


class CheckedRun(Struct, frozen=True):
    """That a server began to run a version."""

    since: datetime
    check: CheckedVersion


class CheckChange(Struct, frozen=True):
    """What is otherwise than in the version before.

    Args:
        came: findings that were not there, or were waived.
        went: findings that are not there any more.
        waived: findings that were there, and are allowed now.
    """

    before: CheckedRun
    came: tuple[CheckedFinding, ...]
    went: tuple[CheckedFinding, ...]
    waived: tuple[CheckedFinding, ...]


@cache
def packaged() -> PackagedCheck | None:
    """The report that came with the package; None when none did."""
    try:
        return msgspec.json.decode(PACKAGED.read_bytes(), type=PackagedCheck)
    except (OSError, msgspec.MsgspecError):
        return None


def change(runs: Sequence[CheckedRun]) -> CheckChange | None:
    """What the last of some runs changed against the one before; None without one, or when the findings were not kept.

    Args:
        runs: in the order of time.
    """
    if len(runs) < 2 or (now := runs[-1].check.details) is None or (before := runs[-2].check.details) is None:
        return None
    open_before = {each.key for each in before if each.reason is None}
    open_now = {each.key for each in now if each.reason is None}
    waived_now = {each.key for each in now if each.reason is not None}
    return CheckChange(
        runs[-2],
        tuple(each for each in now if each.reason is None and each.key not in open_before),
        tuple(each for each in before if each.reason is None and each.key not in open_now | waived_now),
        tuple(each for each in now if each.reason is not None and each.key in open_before),
    )


def first_runs(runs: Sequence[CheckedRun]) -> dict[tuple[str, str], CheckedRun]:
    """For each finding of the last of some runs, waived or not: the first run since which it has always been there.

    Args:
        runs: in the order of time.
    """
    found: dict[tuple[str, str], CheckedRun] = {}
    still: set[tuple[str, str]] | None = None
    for run in reversed(runs):
        here = {each.key for each in run.check.details or ()}
        still = here if still is None else still & here
        if not still:
            break
        found.update(dict.fromkeys(still, run))
    return found
