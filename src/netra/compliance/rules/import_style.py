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
from netra.compliance.project import File, Project
from netra.compliance.rule import Edit, Finding, Fix, Place, Rule, Severity

_LEAST_ABSOLUTE = 0.8
"""Share of a package's own imports that are absolute, from which that is its style."""
_WIDTH = 100


def _find(project: Project, config: Config) -> Iterable[Finding]:
    relative: dict[tuple[str, str], dict[str, list[Import]]] = defaultdict(dict)
    absolute: dict[tuple[str, str], int] = defaultdict(int)
    for file in project.files:
        if file.is_package or "." not in file.module:
            continue  # what a package takes from its own parts, it rightly takes relatively
        top = file.module.partition(".")[0]
        mine = [row for row in file.facts.imports if row.level]
        if mine:
            relative[top, file.scope][file.path] = mine
        whole = {(row.line, row.column) for row in file.facts.imports if not row.level and _top(row) == top}
        absolute[top, file.scope] += len(whole)
    everywhere = bool({"SSOT204", "relative-import"} & {*config.select, *config.extend_select})
    for key, files in relative.items():
        count = sum(len({(row.line, row.column) for row in rows}) for rows in files.values())
        total = count + absolute[key]
        if not everywhere and absolute[key] < _LEAST_ABSOLUTE * total:
            continue
        for path, rows in files.items():
            yield _finding(project.by_path[path], rows, key[0], absolute[key], total)


def _top(row: Import) -> str:
    return row.module.partition(".")[0]


def _finding(file: File, rows: list[Import], top: str, absolute: int, total: int) -> Finding:
    lines = list(dict.fromkeys(row.line for row in rows))
    number = f"{len(lines)} relative imports" if len(lines) > 1 else "a relative import"
    return Finding(
        "SSOT204",
        Severity.WARNING,
        Place(file.path, lines[0], number),
        f"{number}, where {absolute} of {total} imports of {top}'s own modules are absolute",
        (file.module,),
        tuple(Place(file.path, line, "relative import") for line in lines[1:]),
        (file.path,),
        None,
        (),
        f"Write the whole name: `{_statement(file, rows[:1])}`.",
        _fix(file, rows),
    )


def _statement(file: File, rows: list[Import]) -> str:
    """An import statement with the whole name of its module."""
    parts = file.package.split(".")
    parts = parts[: len(parts) - (rows[0].level - 1)]
    module = ".".join([*parts, *([rows[0].module] if rows[0].module else [])])
    names = [row.name if row.bound in ("", row.name) else f"{row.name} as {row.bound}" for row in rows]
    line = f"from {module} import {', '.join(names)}"
    indent = " " * rows[0].column
    if len(indent) + len(line) <= _WIDTH or names == ["*"]:
        return line
    inner = "".join(f"{indent}    {name},\n" for name in names)
    return f"from {module} import (\n{inner}{indent})"


def _fix(file: File, rows: list[Import]) -> Fix | None:
    """Every statement anew. Comments between its names are lost, so it is asked for with `--unsafe`."""
    statements: dict[tuple[int, int], list[Import]] = defaultdict(list)
    for row in rows:
        if row.level - 1 >= len(file.package.split(".")) or not row.end:
            return None
        statements[row.line, row.column].append(row)
    taken = [(line, same[0].end) for (line, _), same in statements.items()]
    if any(first[1] >= second[0] for first, second in zip(sorted(taken), sorted(taken)[1:], strict=False)):
        return None  # two on one line
    edits = tuple(
        Edit(file.path, line, same[0].end, f"{' ' * column}{_statement(file, same)}\n")
        for (line, column), same in statements.items()
    )
    return Fix("write the whole names of modules", edits, safe=False)


RULE = Rule(
    "SSOT204",
    "relative-import",
    Severity.WARNING,
    "A file imports relatively where its package imports absolutely.",
    _find,
    "auto",
    exposure="imports",
)
