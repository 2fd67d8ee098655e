"""Files and functions that nobody reads in one sitting (SSOT701, SSOT702). The limits are configuration.

What a program wrote, what others wrote and database revisions are not measured: nobody edits them. The docstring of a
function is not counted: a good one is no reason to split.
"""

from __future__ import annotations

from collections.abc import Iterator

from netra.compliance.config import Config
from netra.compliance.facts import FileFacts, Function
from netra.compliance.glance import glance
from netra.compliance.naming import is_foreign
from netra.compliance.project import File, Project
from netra.compliance.rule import Finding, Place, Rule, Severity

_OF_GENERATORS = frozenset({"gapic_v1", "gapic_version"})
"""What only the clients import that Google's generator writes."""
MANY_ACCESSORS = 50
ACCESSORS = 0.7
"""Functions that get or set a property, of all functions of a file."""


def _files(project: Project, config: Config) -> Iterator[Finding]:
    for _, found in project.by_file(_file, config):
        yield from found


def _file(project: Project, file: File, config: Config) -> list[Finding]:
    lines = file.facts.lines
    severity = _severity(lines, config.max_file_lines)
    if severity is None or not _is_own(file):
        return []
    return [
        Finding(
            "SSOT701",
            severity,
            Place(file.path, 1),
            f"`{file.module}` has {lines:,} lines, more than {_limit(severity, config.max_file_lines):,}.",
            (file.module,),
            hint="Find the second concept in it and give it a module of its own.",
        )
    ]


def _functions(project: Project, config: Config) -> Iterator[Finding]:
    for _, found in project.by_file(_functions_in, config):
        yield from found


@glance("functions")
def _longest(facts: FileFacts) -> int:
    """Lines of the longest function of a file."""
    return max(map(_lines, facts.functions), default=0)


def _lines(row: Function) -> int:
    return row.end - row.line + 1 - row.documented


def _functions_in(project: Project, file: File, config: Config) -> list[Finding]:
    findings: list[Finding] = []
    if _severity(_longest(file), config.max_function_lines) is None:
        return findings
    for row in file.facts.functions:
        lines = _lines(row)
        severity = _severity(lines, config.max_function_lines)
        if severity is not None and _is_own(file):
            counted = f"{lines:,} lines{' without its docstring' if row.documented else ''}"
            findings.append(
                Finding(
                    "SSOT702",
                    severity,
                    Place(file.path, row.line),
                    f"`{row.qualname}` has {counted}, more than {_limit(severity, config.max_function_lines):,}.",
                    (f"{file.module}.{row.qualname}",),
                    hint="Each paragraph that has a comment above it is a function that wants that name.",
                )
            )
    return findings


def _is_own(file: File) -> bool:
    return not (file.facts.generated or is_foreign(file.path) or _is_client(file) or _is_accessors(file))


def _is_accessors(file: File) -> bool:
    """Whether nearly all functions of a file get or set a property, and they are many: nobody writes that."""
    functions = file.facts.functions
    if len(functions) < MANY_ACCESSORS:
        return False
    accessors = sum(any(each.endswith(("property", ".setter")) for each in row.decorators) for row in functions)
    return accessors > ACCESSORS * len(functions)


def _is_client(file: File) -> bool:
    """Whether a file is a part of a client library that a generator wrote without saying so."""
    return any(row.name in _OF_GENERATORS for row in file.facts.imports)


def _severity(lines: int, limits: tuple[int, int]) -> Severity | None:
    warns, fails = limits
    return Severity.ERROR if lines > fails else Severity.WARNING if lines > warns else None


def _limit(severity: Severity, limits: tuple[int, int]) -> int:
    return limits[severity is Severity.ERROR]


RULES = (
    Rule("SSOT701", "file-too-long", Severity.WARNING, "A file is longer than the limit.", _files),
    Rule(
        "SSOT702",
        "function-too-long",
        Severity.WARNING,
        "A function is longer than the limit.",
        _functions,
        exposure="functions",
    ),
)
