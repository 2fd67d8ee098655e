"""Modules that import each other (SSOT504).

One finding for each strongly connected component of what is imported at import time, with a short cycle as the example.
An import inside a function, under an `if`, or for type checkers only, closes no cycle: nothing breaks by it. Cycles
among vendored or generated modules only, or among what tests look at, are not for the project to mend.
"""

from __future__ import annotations

from collections.abc import Iterator

from netra.compliance.config import Config
from netra.compliance.graph import Cycle, graph, places
from netra.compliance.inputs_of_tests import inputs_of_tests
from netra.compliance.naming import is_by_others
from netra.compliance.project import Project
from netra.compliance.rule import Finding, Rule, Severity

_MOST_NAMED = 12
"""Members that are named in a detail."""


def _find(project: Project, config: Config) -> Iterator[Finding]:
    inputs = inputs_of_tests(project)
    for cycle in graph(project).cycles:
        if not all(is_by_others(each.path) or each.facts.generated or each.path in inputs for each in cycle.members):
            yield _finding(cycle)


def _finding(cycle: Cycle) -> Finding:
    links = cycle.example
    first, *others = places(links)
    round_ = " → ".join([*(link.importer.module for link in links), links[0].importer.module])
    count = len(cycle.members)
    if count == len(links):
        message = f"{count} modules import each other: {round_}."
        named: tuple[str, ...] = ()
    else:
        message = f"{count} modules import each other, for example {round_}."
        names = [file.module for file in cycle.members]
        more = f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
        named = (f"all of them: {', '.join(names[:_MOST_NAMED])}{more}",)
    return Finding(
        "SSOT504",
        Severity.ERROR,
        first,
        message,
        tuple(sorted(link.importer.module for link in links)),
        related=tuple(others),
        paths=tuple(file.path for file in cycle.members),
        details=named,
        hint="Move what both sides need into a module below them; which of them is imported first decides what works.",
    )


RULE = Rule(
    "SSOT504",
    "import-cycle",
    Severity.ERROR,
    "Modules import each other at import time.",
    _find,
    exposure="imports",
)
