"""By which paths classes are imported: what the page maps and `netra ssot who` prints."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from .facts import MODULE
from .project import File, Project, Symbol


@dataclass(frozen=True, slots=True)
class ClassUse:
    """An import statement that reaches a class.

    Args:
        path: the module it names.
        through: the modules the name was taken from on the way, the importer's own first.
        name: under which the importer has it.
    """

    path: str
    file: File
    line: int
    through: tuple[str, ...]
    name: str


def uses(project: Project) -> dict[tuple[str, int], list[ClassUse]]:
    """Every import of every class, by the path of its file and its index there."""
    found: dict[tuple[str, int], list[ClassUse]] = defaultdict(list)
    for file in project.files:
        for row in file.facts.imports:
            if not row.name or row.name == "*":
                continue
            reached = project.imported(file, row)
            symbol = reached.symbol
            if symbol.kind != "class" or symbol.file is None:
                continue
            module = project.module(file, row.module, row.level)
            path = module.file.module if module.file is not None else row.module
            found[symbol.file.path, symbol.index].append(ClassUse(path, file, row.line, reached.path, row.bound))
    return found


def paths(uses_: list[ClassUse]) -> dict[str, list[ClassUse]]:
    """The imports of one class by the module they name, most used first."""
    found: dict[str, list[ClassUse]] = defaultdict(list)
    for each in uses_:
        found[each.path].append(each)
    return dict(sorted(found.items(), key=lambda each: (-len(each[1]), each[0])))


def classes_named(project: Project, name: str) -> list[Symbol]:
    """The definitions of a class by name, those at the top of a module first."""
    found = [symbol for symbol in project.classes() if symbol.class_.name == name]
    return sorted(
        found, key=lambda each: (each.class_.function != MODULE or each.class_.outer != MODULE, each.qualified)
    )
