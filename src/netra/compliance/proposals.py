"""How a machine would mend a finding: the fix of each rule that has one, from the finding and the facts.

`check.judge` asks for each finding that does not bring its own. None where a person has to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .config import Config
from .facts import Import
from .project import File, Project, Symbol
from .rewriting import alias, canonical_imports, factory_call, import_instead
from .rule import Edit, Finding, Fix, Place


def proposed(project: Project, config: Config, finding: Finding) -> Fix | None:
    """What `--fix` would do about a finding."""
    make = BY_RULE.get(finding.rule)
    return make(project, config, finding) if make is not None else None


def _all(title: str, fixes: list[Fix | None]) -> Fix | None:
    """Several fixes as one whose edits are made each by itself; None when one of them cannot be."""
    edits: dict[Edit, None] = {}
    pairs: dict[tuple[str, str], None] = {}
    safe = True
    for each in fixes:
        if each is None:
            return None
        edits.update(dict.fromkeys(each.edits))
        pairs.update(dict.fromkeys(each.imports))
        safe = safe and each.safe
    return Fix(title, tuple(edits), safe, tuple(pairs), apart=True) if edits else None


def _copies(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT102: the canonical class imported in place of each copy."""
    places = (finding.place, *finding.related)
    found = [_class_at(project, place) for place in places]
    home = next((each for each in found if each is not None and _path(each) == finding.canonical), None)
    if home is None:
        return None
    copies = [each for each in found if each is not home]
    fixes = [import_instead(each.file, each.index, home) if each and each.file else None for each in copies]
    return _all(f"import {home.class_.name} from {home.qualified.rpartition('.')[0]}", fixes)


def _alias(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT121 and SSOT122: an empty subclass as another name of its base."""
    symbol = _class_at(project, finding.place)
    return alias(symbol.file, symbol.index) if symbol is not None and symbol.file is not None else None


def _paths(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT131: imports by other paths, except by the one front that a package may have, from the home of the class."""
    home = project.by_path.get(finding.canonical or "")
    if home is None:
        return None
    name = finding.subjects[0].rpartition(".")[2]
    places = [each for each in (finding.place, *finding.related) if each.path != home.path]
    fronts = {each.note for each in places if home.module.startswith(f"{each.note}.")}
    if len(fronts) == 1:
        places = [each for each in places if each.note not in fronts]
    fixes: list[Fix | None] = []
    for place in dict.fromkeys(places):
        file = project.by_path[place.path]
        moves = {}
        for index, row in _rows(file, place):
            symbol = project.imported(file, row).symbol
            if symbol.kind == "class" and symbol.file is home and symbol.class_.qualname == name:
                moves[index] = symbol
        fixes.append(canonical_imports(file, moves) if moves else None)
    return _all(f"import {name} from {home.module}", fixes)


def _shim(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT132: whoever imports the shim takes the names from where they are defined."""
    shim = project.by_path[finding.place.path]
    fixes: list[Fix | None] = []
    for place in dict.fromkeys(finding.related):
        file = project.by_path[place.path]
        moves = {}
        for index, row in _rows(file, place):
            if row.name and project.module(file, row.module, row.level).file is shim:
                moves[index] = project.imported(file, row).symbol
        fixes.append(canonical_imports(file, moves) if moves else None)
    return _all(f"import from where it is defined what {shim.module} passes on", fixes)


def _moved_name(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT202: the name from the only module that defines it."""
    file = project.by_path[finding.place.path]
    name = finding.subjects[1].rpartition(".")[2]
    homes = [each for each in finding.related if each.note == f"defines {name}"]
    if len(homes) != 1 or homes[0].path == file.path:
        return None
    symbol = project.member(project.by_path[homes[0].path], name).symbol
    moves = {
        index: symbol
        for index, row in _rows(file, finding.place)
        if row.name == name and project.imported(file, row).symbol.kind == "missing"
    }
    fix = canonical_imports(file, moves) if moves else None
    return fix and Fix(f"import {name} from {homes[0].path}", fix.edits, fix.safe, fix.imports)


def _factory(project: Project, config: Config, finding: Finding) -> Fix | None:
    """SSOT401: its factory called in place of the class."""
    file = project.by_path[finding.place.path]
    calls = []
    for call in file.facts.calls:
        if call.line == finding.place.line:
            symbol = project.lookup(file, call.name, call.function).symbol
            if symbol.kind == "class" and symbol.qualified == finding.subjects[0]:
                calls.append(call)
    factories = _factories(project, config, finding)
    if len(calls) != 1 or len(factories) != 1 or factories[0].file is None:
        return None
    return factory_call(project, file, calls[0], factories[0].file, factories[0].function)


def _factories(project: Project, config: Config, finding: Finding) -> list[Symbol]:
    """The functions that the finding names, or that are configured for its class."""
    qualified = finding.subjects[0]
    names = {
        name
        for entry in config.factory
        if entry.class_ in (qualified, qualified.rpartition(".")[2])
        for name in entry.factories
    }
    if names:
        known = project.table(_functions)
        return [Symbol("function", file, index) for name in sorted(names) for file, index in known.get(name)]
    found = []
    for place in finding.related:
        file = project.by_path.get(place.path)
        for index, row in enumerate(file.facts.functions if file is not None else ()):
            if row.line == place.line:
                found.append(Symbol("function", file, index))
    return found


def _functions(file: File) -> Iterator[tuple[str, int]]:
    """The functions of a module by their name and their dotted name."""
    for index, row in enumerate(file.facts.functions):
        if "." not in row.qualname:
            yield row.name, index
            yield f"{file.module}.{row.qualname}", index


def _class_at(project: Project, place: Place) -> Symbol | None:
    file = project.by_path.get(place.path)
    for index, row in enumerate(file.facts.classes if file is not None else ()):
        if row.line == place.line:
            return Symbol("class", file, index, how=row.how)
    return None


def _path(symbol: Symbol) -> str:
    return symbol.file.path if symbol.file is not None else ""


def _rows(file: File, place: Place) -> list[tuple[int, Import]]:
    return [(index, row) for index, row in enumerate(file.facts.imports) if row.line == place.line]


BY_RULE: dict[str, Callable[[Project, Config, Finding], Fix | None]] = {
    "SSOT102": _copies,
    "SSOT121": _alias,
    "SSOT122": _alias,
    "SSOT131": _paths,
    "SSOT132": _shim,
    "SSOT202": _moved_name,
    "SSOT401": _factory,
}
