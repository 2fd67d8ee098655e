"""SSOT901 unparsable, SSOT902 stale-baseline, SSOT903 unused-suppression: what the checker says about its own work."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from netra.compliance.config import Config
from netra.compliance.project import File, Project
from netra.compliance.rule import Finding, Place, Rule, Severity

MOST_TROUBLES = 5
_REFUSED = ("broken", "invalid", "malformed", "syntaxerror", "syntax_error", "unparsable")


def _unparsable(project: Project, config: Config) -> Iterable[Finding]:
    for file in project.files:
        troubles = file.facts.trouble
        if not troubles or _is_meant(file):
            continue
        first = troubles[0]
        seen = bool(file.facts.classes or file.facts.functions or file.facts.imports or file.facts.assignments)
        yield Finding(
            "SSOT901",
            Severity.WARNING,
            Place(file.path, first.line),
            f"{'Only a part' if seen else 'Nothing'} of this file could be read: {first.message.rstrip('.?!')}.",
            (file.module,),
            details=tuple(f"line {each.line}: {each.message}" for each in troubles[1:MOST_TROUBLES]),
            hint=_hint(first.message),
        )


def _hint(message: str) -> str:
    if message.startswith("Missing parentheses in call to"):
        return "What stands in the rest is not checked. It looks like Python 2: mend the file, or exclude it."
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        "What stands in the rest is not checked. Mend the file, exclude it, or check with a newer Python than"
        f" {here} if it is written for one."
    )


def _is_meant(file: File) -> bool:
    """Whether a path says that a file is no Python: a template, or what a test holds out to be refused. It is counted
    beside the score like every other file that is not read."""
    path = file.path.lower()
    return "{{" in path or (file.scope == "tests" and any(word in path for word in _REFUSED))


def _found_elsewhere(project: Project, config: Config) -> Iterable[Finding]:
    """The two others need the baseline and the other findings; see `netra.compliance.housekeeping`."""
    return ()


RULES = (
    Rule(
        "SSOT901",
        "unparsable",
        Severity.WARNING,
        "A file that cannot be read, or only in part: what it defines is not checked.",
        _unparsable,
        exposure="modules",
    ),
    Rule(
        "SSOT902",
        "stale-baseline",
        Severity.WARNING,
        "An entry of the baseline whose finding is gone.",
        _found_elsewhere,
        fix="auto",
    ),
    Rule(
        "SSOT903",
        "unused-suppression",
        Severity.WARNING,
        "A comment that allows what is not found, names no rule, or gives no reason.",
        _found_elsewhere,
        fix="auto",
    ),
)
