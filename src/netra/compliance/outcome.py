"""A report, what is shown of it, and whether it passes: findings against the baseline, and the gate.

The formats in `netra.compliance.report` print an `Outcome`; the command's exit code is its `code`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from .config import Config, ConfigError
from .figures import Compliance, Coverage, Figures, compliances, coverage, rule_hash
from .rule import Finding, Rule, Severity
from .score import Score
from .walk import Tree

if TYPE_CHECKING:
    from .baseline import Comparison
    from .project import Project

FAIL_ON: Final = ("error", "warning", "info", "new", "stale", "never")
CLEAN, PAST_THE_GATE, USAGE, INTERNAL = 0, 1, 2, 3
"""Exit codes."""
_ORDER: Final = tuple(Severity)
"""The worst first."""


class Waived(Struct, frozen=True):
    """A finding that is not reported, because a comment or the configuration allows it: for the reason given there, or
    under the key that says so."""

    finding: Finding
    reason: str


class Report(Struct, frozen=True):
    """What a check found.

    Args:
        findings: reported ones, by path and line.
        waived: what comments and the configuration allow.
        seconds: by phase.
        figures: what is printed beside the score, when it is known already.
        services: directories that are deployed apart, as configured or as found.
    """

    root: Path
    config: Config
    tree: Tree
    project: Project
    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    rules: tuple[Rule, ...]
    score: Score
    unreadable: tuple[tuple[str, str], ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    figures: Figures | None = None
    services: tuple[str, ...] = ()


class Outcome(Struct, frozen=True, dict=True):
    """See the module.

    Args:
        shown: findings to print, the worst first; a baseline leaves out what it knows when only new ones are wanted.
        comparison: against the baseline or an earlier commit; None without one.
        failures: why it does not pass, one sentence each; empty when it passes.
        most: how many findings are printed; those left out are counted. 0: all.
        prefix: what makes the report's paths relative to the working directory.
        explain: print what would raise the score most.
        statistics: print where the time went.
    """

    report: Report
    shown: tuple[Finding, ...]
    comparison: Comparison | None = None
    failures: tuple[str, ...] = ()
    most: int = 0
    prefix: str = ""
    explain: bool = False
    statistics: bool = False
    history: tuple[dict[str, object], ...] = ()

    @property
    def code(self) -> int:
        """The exit code."""
        return PAST_THE_GATE if self.failures else CLEAN

    @property
    def printed(self) -> tuple[Finding, ...]:
        """What is shown, up to the limit."""
        return self.shown[: self.most] if self.most else self.shown

    @cached_property
    def coverage(self) -> Coverage:
        """Of the check."""
        return coverage(self.report)

    @cached_property
    def compliances(self) -> list[Compliance]:
        """Of each rule."""
        return compliances(self.report)

    @cached_property
    def rule_hash(self) -> str:
        """Of the rules that were applied."""
        return rule_hash(self.report)

    @cached_property
    def new(self) -> frozenset[tuple[str, str, int]]:
        """Marks of the findings that are new against the baseline."""
        return frozenset(map(mark, self.comparison.new)) if self.comparison is not None else frozenset()

    def is_new(self, finding: Finding) -> bool:
        """Whether the baseline does not know a finding; without a baseline none is new."""
        return mark(finding) in self.new

    def path(self, path: str) -> str:
        """A path of the report as seen from the working directory."""
        return f"{self.prefix}{path}"

    @property
    def change(self) -> str:
        """Against the baseline, for one line; empty without one."""
        if self.comparison is None:
            return ""
        parts = [f"{len(self.comparison.new)} new", f"{len(self.comparison.known)} known"]
        parts.append(f"{sum(entry.missing for entry in self.comparison.stale)} gone")
        if self.comparison.before is not None:
            parts.append(f"score {self.report.score.value - self.comparison.before:+.1f}")
        return ", ".join(parts)


def importance(finding: Finding) -> tuple[int, str, str, int, str]:
    """What orders findings for people: errors first, of them twins before sizes; then by path and line."""
    return (_ORDER.index(finding.severity), finding.rule, finding.place.path, finding.place.line, finding.fingerprint)


def mark(finding: Finding) -> tuple[str, str, int]:
    """What tells two findings of one report apart."""
    return (finding.fingerprint, finding.place.path, finding.place.line)


def parse_fail_on(text: str) -> frozenset[str]:
    """The values of `--fail-on`, separated by commas.

    Raises:
        ConfigError: a value that it does not have, or `never` beside another.
    """
    wanted = frozenset(each.strip().lower() for each in text.split(",") if each.strip())
    if unknown := sorted(wanted - set(FAIL_ON)):
        raise ConfigError(f"--fail-on has no {unknown[0]!r}. It knows: {', '.join(FAIL_ON)}.")
    if not wanted or ("never" in wanted and len(wanted) > 1):
        raise ConfigError("--fail-on needs one or more of error, warning, info, new, stale; or never, alone.")
    return wanted


def failures(
    report: Report,
    judged: Sequence[Finding],
    comparison: Comparison | None,
    fail_on: Collection[str],
    min_score: float | None,
) -> tuple[str, ...]:
    """Why a check does not pass.

    Args:
        judged: findings that the severities of `fail_on` are about: all, or those the baseline does not know.
    """
    if "never" in fail_on:
        return ()
    found = []
    asked = [each for each in _ORDER if each in fail_on]
    if asked:
        failing = [each for each in judged if _ORDER.index(each.severity) <= _ORDER.index(asked[-1])]
        if failing:
            kind = "new " if comparison is not None else ""
            worse = "" if asked[-1] is Severity.ERROR else " or worse"
            found.append(f"{_count(len(failing), f'{kind}finding')} of severity {asked[-1]}{worse}")
    if comparison is not None:
        if "new" in fail_on and comparison.new:
            found.append(f"{_count(len(comparison.new), 'finding')} that the baseline does not know")
        if "stale" in fail_on and comparison.stale:
            found.append(f"{_count(len(comparison.stale), 'entry', 'entries')} of the baseline without a finding")
        if report.config.max_new is not None and len(comparison.new) > report.config.max_new:
            found.append(f"{_count(len(comparison.new), 'new finding')}, and at most {report.config.max_new} may be")
    if min_score is not None and report.score.value < min_score:
        found.append(f"a score of {report.score.value}, below {min_score:g}")
    return tuple(found)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
