"""SSOT304 wrong-constructor-argument: a class is called with a keyword that only its namesake takes."""

from __future__ import annotations

from collections.abc import Iterable

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, Call
from netra.compliance.project import File, Project, Symbol
from netra.compliance.receivers import Receivers, receivers
from netra.compliance.rule import Finding, Place, Rule, Severity

FEWEST = 2
"""Files that define a class of one name."""
_DATACLASS = frozenset({"dataclass", "dataclasses.dataclass"})


def _find(project: Project, config: Config) -> Iterable[Finding]:
    for _, found in project.by_file(_look):
        yield from found


def _classes(file: File) -> Iterable[tuple[str, int]]:
    return ((row.name, index) for index, row in enumerate(file.facts.classes) if row.function == MODULE)


def _look(project: Project, file: File) -> list[Finding]:
    known = receivers(project)
    findings = []
    for call in file.facts.calls:
        if not call.keywords or not _may_be(project, file, call):
            continue
        symbol = project.lookup(file, call.name, call.function).symbol
        twins = _twins(project, symbol.class_.name) if symbol.kind == "class" else []
        if len({each.file for each in twins}) < FEWEST:
            continue
        taken = _taken(project, known, symbol)
        if taken is None:
            continue
        for keyword in call.keywords:
            if keyword == "**" or keyword in taken:
                continue
            others = [each for each in twins if each.file is not symbol.file and _takes(project, known, each, keyword)]
            if others:
                others.sort(key=lambda each: each.qualified)
                findings.append(_finding(file, call, keyword, symbol, taken, others))
    return findings


def _twins(project: Project, name: str) -> list[Symbol]:
    return [Symbol("class", file, index) for file, index in project.table(_classes).get(name)]


def _may_be(project: Project, file: File, call: Call) -> bool:
    """Whether a called name can be one of several classes: it is one of theirs, or bound to something here."""
    head, _, last = call.name.rpartition(".")
    if not head and any(each.kind == "import" for each in file.names.get(last, ())):
        return True
    return len({file for file, _ in project.table(_classes).get(last)}) >= FEWEST


def _taken(project: Project, known: Receivers, symbol: Symbol) -> frozenset[str] | None:
    """The keywords that calling a class takes; None when that is not known."""
    above = project.ancestry(symbol)
    if not above.complete or any("__new__" in known.methods(each) for each in above.classes):
        return None
    for number, each in enumerate(above.classes):
        method = known.methods(each).get("__init__")
        if method is not None:
            if any(kind == "**" for _, kind, _ in method.parameters) or method.decorators:
                return None
            return frozenset(name for name, kind, _ in method.parameters[1:] if kind.rstrip("=") in ("any", "key"))
        if not _DATACLASS.isdisjoint(each.class_.decorators):
            rest = above.classes[number:]
            return frozenset(
                member.name
                for one in rest
                for member in one.class_.members
                if member.kind == "field" or not _DATACLASS.isdisjoint(one.class_.decorators)
            )
    return None


def _takes(project: Project, known: Receivers, symbol: Symbol, keyword: str) -> bool:
    """Whether a namesake takes a keyword, also when not all of it is known."""
    for each in project.ancestry(symbol).classes:
        method = known.methods(each).get("__init__")
        if method is not None:
            return any(name == keyword for name, kind, _ in method.parameters if kind.rstrip("=") in ("any", "key"))
    return any(
        member.name == keyword and member.kind == "field"
        for each in project.ancestry(symbol).classes
        for member in each.class_.members
    )


def _finding(
    file: File, call: Call, keyword: str, symbol: Symbol, taken: frozenset[str], others: list[Symbol]
) -> Finding:
    where = file.facts.functions[call.function].qualname if call.function != MODULE else ""
    takes = ", ".join(sorted(taken)) or "none"
    return Finding(
        "SSOT304",
        Severity.ERROR,
        Place(file.path, call.line, where and f"in {where}"),
        f"`{call.name}({keyword}=…)`: {symbol.qualified} takes no `{keyword}`; {others[0].qualified} does",
        (f"{file.module}.{where}" if where else file.module, symbol.qualified, keyword),
        (
            Place.of(symbol, f"{symbol.qualified}, which is called here"),
            *(Place.of(each, f"{each.qualified} takes `{keyword}`") for each in others),
        ),
        (file.path,),
        None,
        (f"{symbol.qualified} takes {takes}",),
        f"Call the {symbol.class_.name} that the code means, or give it what it takes.",
    )


RULE = Rule(
    "SSOT304",
    "wrong-constructor-argument",
    Severity.ERROR,
    "A class is called with a keyword that it does not take and a class of the same name in another module does.",
    _find,
    exposure="calls",
    looks=(_look,),
)
