"""By how many paths one class is imported (SSOT131), and modules that only pass names on (SSOT132).

The `__init__` of a package above a class is the front of that package: one such path besides the home is how packages
are made, and is not counted.

What a fix needs is in the findings. SSOT131: `canonical` is the file of the class, the one subject its qualified name,
and each related place is an import statement that takes it by another path; its note is that path. SSOT132: `place` is
the shim, and each related place an import statement that names it; the names' homes are in the details, as `name ->
module.name`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, How, Import
from netra.compliance.graph import graph
from netra.compliance.importers import ClassUse, uses
from netra.compliance.naming import is_foreign
from netra.compliance.project import File, Project, Reached, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

FEW = 2
MANY = 4
MOST_FILES = 3
_NOT_MERELY_PASSED = How.TYPE_CHECKING | How.IN_FUNCTION | How.IN_CLASS


def many_paths(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT131: a class that is imported from several modules."""
    for (path, index), found in uses(project).items():
        file = project.by_path[path]
        if file.scope != "core" or is_foreign(path) or is_for_tests(path):
            continue
        symbol = Symbol("class", file, index)
        by_path: dict[str, list[ClassUse]] = defaultdict(list)
        for each in found:
            # What the front of a package imports, it mostly hands on.
            if each.file.scope == "core" and not each.file.is_package and each.file.module != each.path:
                by_path[each.path].append(each)
        fronts = [each for each in by_path if file.module.startswith(f"{each}.")]
        others = [each for each in by_path if each != file.module and each not in fronts]
        count = 1 + len(others) + max(0, len(fronts) - 1)
        if count >= FEW:
            yield _many(symbol, by_path, count)


def _many(symbol: Symbol, by_path: dict[str, list[ClassUse]], count: int) -> Finding:
    home = symbol.file
    assert home is not None
    shims = {path: by for path, by in sorted(by_path.items()) if path != home.module}
    places = [Place(each.file.path, each.line, path) for path, by in shims.items() for each in by]
    name = symbol.class_.name
    return Finding(
        "SSOT131",
        Severity.WARNING if count >= MANY else Severity.INFO,
        places[0],
        f"{name} is imported by {len(by_path.keys() | {home.module})} paths; its home is {home.module}.",
        (symbol.qualified,),
        related=(*places[1:], Place(home.path, symbol.class_.line, "canonical")),
        paths=tuple(dict.fromkeys((*(each.path for each in places), home.path))),
        canonical=home.path,
        details=tuple(_table(home.module, name, by_path)),
        hint=f"Write `from {home.module} import {name}` everywhere.",
    )


def _table(home: str, name: str, by_path: dict[str, list[ClassUse]]) -> Iterator[str]:
    for path, by in sorted(by_path.items(), key=lambda each: (-len(each[1]), each[0])):
        files = list(dict.fromkeys(each.file.path for each in by))
        named = ", ".join(files[:MOST_FILES]) + (", …" if len(files) > MOST_FILES else "")
        to = " (home)" if path == home else f" -> {home}.{name}"
        yield f"{path}{to}: {len(files)} {'file' if len(files) == 1 else 'files'} ({named})"


def shims(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT132: a module that has nothing of its own."""
    for file, passed in project.by_file(_passed_on):
        if not passed:
            continue
        facts = file.facts
        links = [each for each in graph(project).importers.get(file, ()) if each.importer is not file]
        if links or facts.exports or any(row.name == "*" for row in facts.imports):
            count = len({each.importer.path for each in links})
            yield Finding(
                "SSOT132",
                Severity.INFO,
                Place(file.path, 1),
                f"{file.module} only passes on names of other modules;"
                f" {count or 'no'} {'module imports' if count == 1 else 'modules import'} it.",
                (file.module,),
                related=tuple(Place(each.importer.path, each.line, "imports it") for each in links),
                paths=(file.path,),
                details=tuple(f"{name} -> {home}" for name, home in passed.items()),
                hint="Import from where the names are defined, then delete the module.",
            )


def _passed_on(project: Project, file: File) -> dict[str, str]:
    """The names that a module has from others of ours, and where they are from; empty when it does something else."""
    found: dict[str, str] = {}
    if file.scope != "core" or file.is_package or is_foreign(file.path) or file.module.endswith("__main__"):
        return found
    facts = file.facts
    if not facts.imports or facts.classes or facts.functions or facts.calls or facts.names or facts.generated:
        return found
    used = {each.value.partition(".")[0] for each in facts.assignments if each.kind == "alias"}
    for row in facts.imports:
        if row.how & _NOT_MERELY_PASSED:
            return {}
        reached = _reached(project, file, row)
        symbol = reached.symbol
        if symbol.kind == "external" or symbol.kind == "missing":
            continue
        if row.name == "*" and symbol.kind == "module":
            found[f"{symbol.qualified}.*"] = symbol.qualified
        elif symbol.kind in ("class", "function", "value"):
            found[row.bound] = symbol.qualified
        elif symbol.kind == "module" and row.bound not in used:
            return {}  # it gathers modules, for what their import does
    for each in facts.assignments:
        if each.kind == "alias" and each.function == MODULE:
            found[each.name] = each.value
        elif not (each.name.startswith("__") and each.name.endswith("__")):
            return {}
    return found


def _reached(project: Project, file: File, row: Import) -> Reached:
    if row.name == "*":
        return Reached(project.module(file, row.module, row.level))
    return project.imported(file, row)


RULES = (
    Rule(
        "SSOT131",
        "many-import-paths",
        Severity.INFO,
        "One class is imported by several paths.",
        many_paths,
        fix="auto",
        exposure="classes",
    ),
    Rule(
        "SSOT132",
        "shim-module",
        Severity.INFO,
        "A module only passes on what other modules define.",
        shims,
        fix="auto",
        exposure="modules",
    ),
)
