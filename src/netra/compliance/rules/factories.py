"""Classes that have a factory, and code that goes around it (SSOT401), or a second factory (SSOT402).

A factory is configured, or inferred: a function of a module, without parameters, that keeps the one object it makes of
a class without arguments (`@lru_cache`, or a global that it tests and sets), and that most of those who want the object
use. Whoever calls that class without arguments elsewhere in the product has a second object, with a second state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, Call, Function
from netra.compliance.importers import imports_by_name
from netra.compliance.naming import is_foreign, words
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

_NAMES = ("get_", "create_", "make_", "build_", "shared_", "default_", "current_", "the_")
_ABOUT_TESTS = ("test", "mock", "fake", "reset")
_APART = frozenset(
    {"temp", "tmp", "temporary", "scratch", "local", "isolated", "fresh", "new", "other", "empty", "copy"}
)
"""Words of names for an object that is meant to be one of its own."""
MOST_MODULES = 4
"""With a factory of one name that makes anew; more are a convention, by which each makes what its module is about."""
Key = tuple[str, int]
"""Of a class: its file and its row there."""


@dataclass(frozen=True, slots=True)
class Factory:
    """A function that makes objects of one class of ours.

    Args:
        keeps: it makes one, and returns that ever after.
        plain: neither it nor the class takes arguments where it calls it.
    """

    file: File
    row: Function
    class_: Symbol
    keeps: bool
    plain: bool

    @property
    def name(self) -> str:
        """Its dotted name."""
        return f"{self.file.module}.{self.row.name}"

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.file.path, self.row.line, f"`{self.row.name}` makes `{self.class_.class_.name}`")


@dataclass(frozen=True, slots=True)
class Made:
    """A call of a class of ours in the product."""

    file: File
    call: Call


def made(project: Project) -> tuple[dict[Key, list[Factory]], dict[Key, list[Made]]]:
    """The factories and the direct calls of each class, found once."""
    return project.once(_made)


def _made(project: Project) -> tuple[dict[Key, list[Factory]], dict[Key, list[Made]]]:
    calls: dict[Key, list[Made]] = defaultdict(list)
    factories: dict[Key, list[Factory]] = defaultdict(list)
    for file, (called, makers) in project.by_file(made_in):
        for key, call in called:
            calls[key].append(Made(file, call))
        for factory in makers:
            factories[factory.class_.key].append(factory)
    return dict(factories), dict(calls)


def made_in(project: Project, file: File) -> tuple[list[tuple[Key, Call]], list[Factory]]:
    if not is_product(file):
        return [], []
    called: list[tuple[Key, Call]] = []
    own: dict[tuple[int, Key], Call] = {}
    for call in file.facts.calls:
        symbol = project.lookup(file, call.name, call.function).symbol
        if symbol.kind == "class" and symbol.file is not None:
            key = (symbol.file.path, symbol.index)
            called.append((key, call))
            own.setdefault((call.function, key), call)
    return called, list(_factories(project, file, own))


def is_product(file: File) -> bool:
    """Whether a file is what people run: no tests, no scripts, nothing that others or programs wrote."""
    return (
        file.scope == "core" and not file.facts.generated and not is_foreign(file.path) and not is_for_tests(file.path)
    )


def _factories(project: Project, file: File, own: dict[tuple[int, Key], Call]) -> Iterator[Factory]:
    by_function: dict[int, list[tuple[Key, Call]]] = defaultdict(list)
    for (function, key), call in own.items():
        if function != MODULE:
            by_function[function].append((key, call))
    for index, found in by_function.items():
        row = file.facts.functions[index]
        if row.owner != MODULE or row.outer != MODULE or not row.name.lstrip("_").startswith(_NAMES):
            continue
        returned = _returned(project, file, index, row)
        if len(returned) != 1:
            continue
        (key,) = returned
        same = [call for each, call in found if each == key]
        if same:
            call = same[0]
            plain = not row.parameters and call.positional == 0 and not call.keywords
            symbol = Symbol("class", project.by_path[key[0]], key[1])
            yield Factory(file, row, symbol, row.caches, plain)


def _returned(project: Project, file: File, index: int, row: Function) -> set[Key]:
    """The classes of what a function returns."""
    names = set(row.makes)
    if row.caches:
        names |= {each.value for each in file.facts.assignments if each.function == index and each.kind == "call"}
    found: set[Key] = set()
    for name in names:
        symbol = project.lookup(file, name, index).symbol
        if symbol.kind != "class" or symbol.file is None:
            return set()
        found.add((symbol.file.path, symbol.index))
    return found


def _bypassed(project: Project, config: Config) -> Iterator[Finding]:
    factories, calls = made(project)
    configured: set[Key] = set()
    for entry in config.factory:
        for key, direct in calls.items():
            symbol = Symbol("class", project.by_path[key[0]], key[1])
            if entry.class_ not in (symbol.class_.name, symbol.qualified):
                continue
            configured.add(key)
            for each in direct:
                if not _may_call(each, symbol, entry.factories, entry.allowed):
                    yield _bypass(project, each, symbol, entry.factories, ())
    users = _users(project, {each.name for found in factories.values() for each in found if each.keeps})
    for key, found in factories.items():
        kept = [each for each in found if each.keeps and each.plain]
        if key in configured or len(kept) != 1:
            continue
        (factory,) = kept
        around = [each for each in calls[key] if _goes_around(each, factory)]
        if around and len({each.file.path for each in around}) <= len(users.get(factory.name, ())):
            for each in around:
                yield _bypass(project, each, factory.class_, (factory.name,), (factory.place,))


def _may_call(each: Made, symbol: Symbol, factories: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    if symbol.file is each.file or any(fnmatchcase(each.file.module, pattern) for pattern in allowed):
        return True
    function = each.call.function
    while function != MODULE:
        row = each.file.facts.functions[function]
        if any(name in (row.name, f"{each.file.module}.{row.qualname}") for name in factories):
            return True
        function = row.outer
    return False


def _goes_around(each: Made, factory: Factory) -> bool:
    if each.file is factory.file or each.file is factory.class_.file:
        return False
    if each.call.positional != 0 or each.call.keywords:
        return False
    if each.call.function == MODULE:
        return True
    if _is_apart(each, factory.class_):
        return False
    row = each.file.facts.functions[each.call.function]
    name = row.name.lstrip("_")
    return not row.caches and not name.startswith(("create_", "make_", "build_", *_ABOUT_TESTS))


def _is_apart(each: Made, class_: Symbol) -> bool:
    """Whether the name it is given says that it is to be another object."""
    source, own = f"call:{each.call.name}", set(words(class_.class_.name))
    return any(
        not _APART.isdisjoint(words(row.receiver))
        for row in each.file.facts.reads
        if row.function == each.call.function and (row.source == source or not own.isdisjoint(words(row.receiver)))
    )


def _users(project: Project, names: set[str]) -> dict[str, set[str]]:
    """The files that import each of some functions."""
    found: dict[str, set[str]] = defaultdict(set)
    imports = project.table(imports_by_name)
    for last in {name.rpartition(".")[2] for name in names}:
        for file, index in imports.get(last):
            symbol = project.imported(file, file.facts.imports[index]).symbol
            if symbol.kind == "function" and symbol.qualified in names and symbol.file is not file:
                found[symbol.qualified].add(file.path)
    return found


def _bypass(
    project: Project, each: Made, symbol: Symbol, factories: tuple[str, ...], places: tuple[Place, ...]
) -> Finding:
    function = each.call.function
    where = each.file.module + ("" if function == MODULE else f".{each.file.facts.functions[function].qualname}")
    listed = " or ".join(f"`{name}`" for name in factories)
    return Finding(
        "SSOT401",
        Severity.ERROR,
        Place(each.file.path, each.call.line),
        f"`{symbol.class_.name}` is made here and not by its factory {listed}.",
        (symbol.qualified, where),
        related=places,
        paths=(each.file.path,),
        hint=f"Call {listed}: whoever makes an object of its own has a state that nobody else sees.",
    )


def _twins(project: Project, config: Config) -> Iterator[Finding]:
    factories, _ = made(project)
    for found in factories.values():
        groups: dict[str, list[Factory]] = defaultdict(list)
        for each in found:
            if not each.row.decorators or each.keeps:
                groups[each.file.service].append(each)
        for group in groups.values():
            group.sort(key=lambda each: (each.file.path, each.row.line))
            yield from _twin(group)


def _twin(group: list[Factory]) -> Iterator[Finding]:
    keeping = [each for each in group if each.keeps]
    modules = {each.file.path for each in keeping}
    by_name: dict[str, list[Factory]] = defaultdict(list)
    for each in group:
        by_name[each.row.name].append(each)
    for name, every in by_name.items():
        # Without a parameter and with arguments it makes the object of its own module.
        makes = not name.lstrip("_").startswith("get_")  # with parameters, `get_` looks up or converts
        same = [each for each in every if each.plain or (each.row.parameters and makes)]
        alike = len({tuple(parameter for parameter, _, _ in each.row.parameters) for each in same}) == 1
        places = len({each.file.path for each in same})
        if alike and places > 1 and (places <= MOST_MODULES or any(each.keeps for each in same)):
            where = ", ".join(f"`{each.file.module}`" for each in same)
            class_ = same[0].class_.class_.name
            yield _pair(same, f"`{name}` makes `{class_}` in {len(same)} modules: {where}.")
            return
    if len(modules) > 1 and all(each.plain for each in keeping):
        listed = " and ".join(f"`{each.name}`" for each in keeping)
        yield _pair(keeping, f"{listed} each keep an own object of `{keeping[0].class_.class_.name}`.")


def _pair(same: list[Factory], message: str) -> Finding:
    first = same[0]
    return Finding(
        "SSOT402",
        Severity.WARNING,
        first.place,
        message,
        (first.class_.qualified, *sorted({each.name for each in same})),
        related=tuple(each.place for each in same[1:]),
        paths=tuple(each.file.path for each in same),
        hint="Keep one, in the module of the class, and import it.",
    )


RULES = (
    Rule(
        "SSOT401",
        "factory-bypass",
        Severity.ERROR,
        "An object is made directly although its class has a factory.",
        _bypassed,
        fix="auto",
        exposure="calls",
        looks=(made_in,),
    ),
    Rule(
        "SSOT402",
        "twin-factory",
        Severity.WARNING,
        "Two factories make objects of one class.",
        _twins,
        exposure="functions",
        looks=(made_in,),
    ),
)
