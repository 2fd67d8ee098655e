"""What is printed beside the score, so that it can be believed: what was looked at, what could not be, and what counts.

Everything here is computed from a report; nothing changes the score.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import Struct

from .config import DEFAULT_WEIGHTS
from .housekeeping import HOUSEKEEPING
from .rule import Finding, Rule
from .score import is_unit, losses

if TYPE_CHECKING:
    from .outcome import Report
    from .project import Project


class Coverage(Struct, frozen=True):
    """How much of the code base the findings speak for.

    Args:
        parsed: files read whole.
        partly: files of which only a part could be read.
        skipped: files and directories that could not be read.
        reads: attribute reads seen whose receiver the function names.
        checked: those of them whose class is known, with all its bases.
    """

    parsed: int
    partly: int
    skipped: int
    reads: int
    checked: int

    @property
    def text(self) -> str:
        """For one line."""
        every = self.parsed + self.partly + self.skipped
        files = f"{every} {'file' if every == 1 else 'files'}"
        return (
            f"{files}, {self.partly} partly, {self.skipped} skipped; {self.checked} of {self.reads} attributes checked"
        )


class Figures(Struct, frozen=True):
    """What does not follow from a report's findings: coverage and exposures, which need every fact, and the hash of the
    rules, which needs their source."""

    coverage: Coverage
    exposures: dict[str, int]
    rule_hash: str


def coverage(report: Report) -> Coverage:
    """The coverage of a check."""
    if report.figures is not None:
        return report.figures.coverage
    from .rules.attributes import looked

    partly = skipped = 0
    for file in report.project.files:
        facts = file.facts
        if facts.trouble:
            empty = not (facts.classes or facts.functions or facts.imports or facts.assignments)
            skipped += empty
            partly += not empty
    reads = checked = 0
    if any(rule.exposure == "reads" for rule in report.rules):
        found = looked(report.project)
        reads, checked = found.reads, found.checked
    parsed = len(report.project.files) - partly - skipped
    return Coverage(parsed, partly, skipped + len(report.unreadable), reads, checked)


class Compliance(Struct, frozen=True):
    """Of one rule.

    Args:
        exposure: how many things it looked at.
        percent: of them without a finding, rounded down to 0.1; 100.0 only without any.
    """

    rule: Rule
    exposure: int
    findings: int
    percent: float


def exposures(report: Report) -> dict[str, int]:
    """How many there are of what rules look at."""
    if report.figures is not None:
        return report.figures.exposures
    from .glance import call_count, function_count

    files = report.project.files
    facts = [file.facts for file in files]
    return {
        "classes": sum(len(each.classes) for each in facts),
        "functions": sum(map(function_count, files)),
        "imports": sum(len(each.imports) for each in facts),
        "reads": coverage(report).reads or sum(len(each.reads) for each in facts),
        "calls": sum(map(call_count, files)),
        "modules": sum(map(is_unit, files)),
    }


def compliances(report: Report) -> list[Compliance]:
    """Of every rule that was applied."""
    seen = exposures(report)
    counts = Counter(each.rule for each in report.findings)
    found = []
    for rule in report.rules:
        if rule.id in HOUSEKEEPING:
            continue
        exposure, count = seen[rule.exposure], counts[rule.id]
        percent = 100.0
        if count:
            percent = min(99.9, math.floor(1000 * (1 - min(1.0, count / max(exposure, count)))) / 10)
        found.append(Compliance(rule, exposure, count, percent))
    return found


def rule_hash(report: Report) -> str:
    """Scores compare only where this is equal: which rules, their source, severities and weights. 8 digits."""
    if report.figures is not None:
        return report.figures.rule_hash
    from pkgutil import get_data, iter_modules

    from . import rules as package

    config = report.config
    digest = blake2b(digest_size=4)
    for rule in report.rules:
        severity = config.severity.get(rule.id, config.severity.get(rule.name, rule.severity))
        digest.update(f"{rule.id} {severity}\n".encode())
    digest.update(repr(sorted({**DEFAULT_WEIGHTS, **config.weights}.items())).encode())
    for name in sorted(each.name for each in iter_modules(package.__path__)):
        digest.update(get_data(package.__name__, f"{name}.py") or b"")
    return digest.hexdigest()


class Gain(Struct, frozen=True):
    """What mending something would add to the score of its scope, in points before rounding."""

    points: float
    scope: str
    what: str
    place: str
    findings: int


def gains(report: Report, most: int = 10) -> dict[str, list[Gain]]:
    """What would raise the score most: single findings, whole modules (where one finding more or less changes nothing,
    because the module has lost all it can), and whole rules. Those of the worst scope come first, since it is the score
    of all; then what is worth most."""
    scored = [each for each in report.findings if each.rule not in HOUSEKEEPING]
    lost = losses(scored, report.config)
    weights = {**DEFAULT_WEIGHTS, **report.config.weights}
    files = report.project.by_path
    units = {each.scope: max(1, each.units) for each in report.score.scopes}
    worst = min(((each.score, each.scope) for each in report.score.scopes if each.score is not None), default=(0.0, ""))
    by_path: dict[str, list[Finding]] = defaultdict(list)
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in scored:
        by_rule[finding.rule].append(finding)
        for path in finding.involved:
            by_path[path].append(finding)

    def worth(findings: Iterable[Finding]) -> tuple[float, str]:
        less: dict[str, float] = defaultdict(float)
        for finding in findings:
            for path in finding.involved:
                less[path] += weights[finding.severity]
        points: dict[str, float] = defaultdict(float)
        for path, weight in less.items():
            if (file := files.get(path)) is not None:
                now, then = min(1.0, lost[path]), min(1.0, max(0.0, lost[path] - weight))
                points[file.scope] += 100 * (now - then) / units[file.scope]
        return max(((value, scope) for scope, value in points.items()), default=(0.0, ""))

    single = [
        Gain(*worth([each]), f"{each.rule} {each.message}", f"{each.place.path}:{each.place.line}", 1)
        for each in scored
    ]
    modules = [
        Gain(100 * min(1.0, lost[path]) / units[files[path].scope], files[path].scope, path, path, len(each))
        for path, each in by_path.items()
        if path in files
    ]
    names = {rule.id: rule.name for rule in report.rules}
    rules = [Gain(*worth(each), f"{rule} {names[rule]}", "", len(each)) for rule, each in by_rule.items()]
    return {
        name: sorted(each, key=lambda gain: (gain.scope != worst[1], -gain.points, gain.what, gain.place))[:most]
        for name, each in (("findings", single), ("modules", modules), ("rules", rules))
    }


def heaviest(report: Report, most: int = 3) -> list[tuple[str, int]]:
    """The modules that findings cost most, with the number of these."""
    scored = [each for each in report.findings if each.rule not in HOUSEKEEPING]
    counts = Counter(path for each in scored for path in each.involved)
    lost = losses(scored, report.config)
    return [(path, counts[path]) for path in sorted(counts, key=lambda path: (-lost[path], path))[:most]]


def facts_of(project: Project) -> dict[str, int]:
    """How much was read, for `--statistics`."""
    facts = [file.facts for file in project.files]
    return {
        "files": len(facts),
        "lines": sum(each.lines for each in facts),
        "classes": sum(len(each.classes) for each in facts),
        "functions": sum(len(each.functions) for each in facts),
        "imports": sum(len(each.imports) for each in facts),
        "attribute reads": sum(len(each.reads) for each in facts),
    }
