"""SSOT204 relative-import: files that leave a code base's own style of importing.

Relative imports are no fault by themselves, and many code bases use nothing else. What this rule is against is both at
once: a reader and a search then miss half of the importers of a module. So it speaks only where most imports of a
package's own modules are absolute, and about the files that differ; selected by its own name, it speaks everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netra.compliance.config import Config
from netra.compliance.facts import Import
from netra.compliance.naming import is_foreign
from netra.compliance.project import File, Project
from netra.compliance.rule import Edit, Finding, Fix, Place, Rule, Severity

_LEAST_ABSOLUTE = 0.8
"""Share of a package's own imports that are absolute, from which that is its style."""


def _find(project: Project, config: Config) -> Iterable[Finding]:
    relative: dict[tuple[str, str], dict[str, list[Import]]] = defaultdict(dict)
    absolute: dict[tuple[str, str], int] = defaultdict(int)
    for file, (mine, whole) in project.by_file(_styles):
        top = file.module.partition(".")[0]
        if mine:
            relative[top, file.scope][file.path] = mine
        absolute[top, file.scope] += whole
    everywhere = bool({"SSOT204", "relative-import"} & {*config.select, *config.extend_select})
    for key, files in relative.items():
        count = sum(len({(row.line, row.column) for row in rows}) for rows in files.values())
        total = count + absolute[key]
        if not everywhere and absolute[key] < _LEAST_ABSOLUTE * total:
            continue
        for path, rows in files.items():
            yield _finding(project.by_path[path], rows, key[0], absolute[key], total)


def _styles(project: Project, file: File) -> tuple[list[Import], int]:
    """The relative imports of a file, and the number of statements that import its own package by its whole name."""
    # What a package takes from its own parts, it rightly takes relatively.
    if file.facts.generated or is_foreign(file.path) or file.is_package or "." not in file.module:
        return [], 0
    top = file.module.partition(".")[0]
    whole = {(row.line, row.column) for row in file.facts.imports if not row.level and _top(row) == top}
    return [row for row in file.facts.imports if row.level], len(whole)


def _top(row: Import) -> str:
    return row.module.partition(".")[0]


def _finding(file: File, rows: list[Import], top: str, absolute: int, total: int) -> Finding:
    lines = list(dict.fromkeys(row.line for row in rows))
    number = f"{len(lines)} relative imports" if len(lines) > 1 else "a relative import"
    where = "" if file.scope == "core" else f" in its {file.scope}"
    return Finding(
        "SSOT204",
        Severity.WARNING,
        Place(file.path, lines[0]),
        f"{number}, where {absolute} of {total} imports of {top}'s own modules{where} are absolute",
        (file.module,),
        tuple(Place(file.path, line, "relative import") for line in lines[1:]),
        (file.path,),
        None,
        (),
        f"Write the whole name: `{_statement(file, rows[0])}`.",
        _fix(file),
    )


def _whole(file: File, row: Import) -> str:
    """The whole name of the module that a relative import names; empty where it leaves the code base."""
    parts = file.package.split(".")
    if row.level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - (row.level - 1)], *([row.module] if row.module else [])])


def _statement(file: File, row: Import) -> str:
    name = row.name if row.bound in ("", row.name) else f"{row.name} as {row.bound}"
    return f"from {_whole(file, row)} import {name}"


def _fix(file: File) -> Fix | None:
    """Every statement, of which nothing else changes."""
    statements = {(row.line, row.column): row for row in file.facts.imports if row.level}
    edits = []
    for row in statements.values():
        module = _whole(file, row)
        if not module:
            return None
        written = f"from {'.' * row.level}{row.module} import"
        edits.append(Edit(file.path, row.line, row.line, f"from {module} import", written, within=True))
    return Fix("write the whole names of modules", tuple(edits), apart=True)


RULE = Rule(
    "SSOT204",
    "relative-import",
    Severity.WARNING,
    "A file imports relatively where its package imports absolutely.",
    _find,
    "auto",
    exposure="imports",
)
