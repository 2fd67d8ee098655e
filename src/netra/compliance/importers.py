"""By which paths classes are imported: what the page maps and `netra ssot who` prints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct

from .facts import MODULE
from .project import File, Project, Symbol

ClassKey = tuple[str, int]
"""Of a class: the path of its file, and its row there."""


class ClassUse(Struct, frozen=True):
    """An import statement that reaches a class.

    Args:
        path: the module it names.
        row: of the file's imports.
        through: the modules the name was taken from on the way, the importer's own first.
        name: under which the importer has it.
    """

    path: str
    file: File
    row: int
    through: tuple[str, ...]
    name: str

    @property
    def line(self) -> int:
        """Of the statement."""
        return self.file.facts.imports[self.row].line

    @property
    def passes_on(self) -> bool:
        """It stands in a package's `__init__` that defines nothing: it hands the name to others."""
        facts = self.file.facts
        return self.file.is_package and not facts.classes and not facts.functions


def uses(project: Project) -> dict[ClassKey, list[ClassUse]]:
    """Every import of every class; found once and kept as long as the project is."""
    return project.once(_uses)


def _uses(project: Project) -> dict[ClassKey, list[ClassUse]]:
    found: dict[ClassKey, list[ClassUse]] = defaultdict(list)
    for _, used in project.by_file(_used):
        for key, use in used:
            found[key].append(use)
    return found


def _used(project: Project, file: File) -> list[tuple[ClassKey, ClassUse]]:
    found = []
    for index, (row, module) in enumerate(project.sources(file)):
        if module.kind != "module" or row.name in ("", "*"):
            continue
        reached = project.imported(file, row, module=module)
        symbol = reached.symbol
        if symbol.kind == "class" and symbol.file is not None:
            path = module.file.module if module.file is not None else row.module
            use = ClassUse(path, file, index, reached.path, row.bound)
            found.append(((symbol.file.path, symbol.index), use))
    return found


def paths(uses_: list[ClassUse]) -> dict[str, list[ClassUse]]:
    """The imports of one class by the module they name, most used first."""
    found: dict[str, list[ClassUse]] = defaultdict(list)
    for each in uses_:
        found[each.path].append(each)
    return dict(sorted(found.items(), key=lambda each: (-len(each[1]), each[0])))


def imports_by_name(file: File) -> Iterator[tuple[str, int]]:
    """A table of what import statements take from modules: rows of a file's imports."""
    return ((row.name, index) for index, row in enumerate(file.facts.imports) if row.name)


def _classes(file: File) -> Iterator[tuple[str, int]]:
    return ((row.name, index) for index, row in enumerate(file.facts.classes))


def classes_named(project: Project, name: str) -> list[Symbol]:
    """The definitions of a class by name, those at the top of a module first."""
    found = [Symbol("class", file, index) for file, index in project.table(_classes).get(name)]
    return sorted(
        found, key=lambda each: (each.class_.function != MODULE or each.class_.outer != MODULE, each.qualified)
    )
