"""Further names of a class: SSOT124. Two are a convenience; many, or one that says something else, are a second truth
about what a thing is called.

Names are those that modules give by assignment (`Session = DatabaseSession`), where others can import them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, How
from netra.compliance.importers import ClassKey, imports_by_name
from netra.compliance.naming import is_foreign, stems
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

MANY = 3
SHORT = 4
"""Letters; fewer are an abbreviation or a sign."""
ROOT = 5
"""Letters at the beginning of two words that make them one with two endings."""
_OF_TYPES = ("Type", "Types", "Like", "Cls", "Class", "T")
"""Ends of names that are given to types in annotations."""
_UNUSUAL = How.TYPE_CHECKING | How.CONDITIONAL | How.GUARDED | How.FALLBACK | How.IN_FUNCTION | How.IN_CLASS


@dataclass(frozen=True, slots=True)
class _Alias:
    name: str
    file: File
    line: int


def overloads(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT124: a class with many names, or with one that has nothing to do with it."""
    allowed = {(each.name, each.path): set(each.aliases) for each in config.canonical}
    for key, found in _aliases(project).items():
        symbol = Symbol("class", project.by_path[key[0]], key[1])
        name = symbol.class_.name
        permitted = allowed.get((name, symbol.home.module), set())
        found = [each for each in found if each.name not in permitted]
        names = sorted({each.name for each in found})
        odd = [each for each in found if _says_something_else(each.name, name)]
        if len(names) >= MANY:
            yield _finding(symbol, found, f"{name} has {len(names)} further names: {', '.join(names)}.")
        elif odd:
            listed = " and ".join(sorted({each.name for each in odd}))
            severity = Severity.WARNING if any(_is_passed_on(project, each) for each in odd) else Severity.INFO
            yield _finding(symbol, odd, f"{listed} is {name}: the names have no word in common.", severity)


def _aliases(project: Project) -> dict[ClassKey, list[_Alias]]:
    found: dict[ClassKey, list[_Alias]] = defaultdict(list)
    for _, aliases in project.by_file(_aliases_in):
        for key, alias in aliases:
            found[key].append(alias)
    return found


def _aliases_in(project: Project, file: File) -> list[tuple[ClassKey, _Alias]]:
    found: list[tuple[ClassKey, _Alias]] = []
    if file.scope != "core" or file.facts.generated or is_foreign(file.path) or is_for_tests(file.path):
        return found
    for row in file.facts.assignments:
        if row.kind != "alias" or row.function != MODULE or row.how & _UNUSUAL or not _is_class_name(row.name):
            continue
        symbol = project.lookup(file, row.value).symbol
        if symbol.kind == "class" and symbol.file is not None and symbol.class_.name != row.name:
            found.append(((symbol.file.path, symbol.index), _Alias(row.name, file, row.line)))
    return found


def _is_passed_on(project: Project, alias: _Alias) -> bool:
    """Whether other modules take the class by its further name. One that stays where it is explains what a class is
    used for there."""
    for file, index in project.table(imports_by_name).get(alias.name):
        row = file.facts.imports[index]
        if not file.is_package and project.module(file, row.module, row.level).file is alias.file:
            return True
    return False


def _is_class_name(name: str) -> bool:
    """Whether a public name is written like that of a class: others are settings that hold one."""
    return name[:1].isupper() and not name.isupper() and "_" not in name and not name.endswith(_OF_TYPES)


def _says_something_else(alias: str, name: str) -> bool:
    """Whether no word of an alias is one of a name, or begins like one (`Printing` and `Printable`, `Elem` and
    `Element`)."""
    short, long = sorted((alias.lower(), name.lower()), key=len)
    return (
        len(alias) >= SHORT
        and short not in long
        and not any(_begin_alike(ours, theirs) for ours in stems(alias) for theirs in stems(name))
    )


def _begin_alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short[:ROOT]) if len(short) >= SHORT else long.startswith(short)


def _finding(symbol: Symbol, found: list[_Alias], message: str, severity: Severity = Severity.WARNING) -> Finding:
    found = sorted(found, key=lambda each: (each.file.path, each.line))
    first = found[0]
    return Finding(
        "SSOT124",
        severity,
        Place(first.file.path, first.line, first.name),
        message,
        (symbol.qualified, *sorted({f"{each.file.module}.{each.name}" for each in found})),
        related=(
            *(Place(each.file.path, each.line, each.name) for each in found[1:]),
            Place.of(symbol, symbol.class_.name),
        ),
        paths=(*dict.fromkeys(each.file.path for each in found),),
        hint=f"Use {symbol.class_.name} everywhere, or rename the class to the name that is meant.",
    )


RULE = Rule(
    "SSOT124",
    "alias-overload",
    Severity.WARNING,
    "A class has three further names or more, or one that has no word in common with its own.",
    overloads,
    exposure="classes",
)
