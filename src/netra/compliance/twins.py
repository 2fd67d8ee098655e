"""Families of twins: public classes of one name that several modules of one deployable define.

`families` leaves out what shares a name on purpose and says of each family how its members differ, who uses which, and
which is most likely the one that should stay. The rules about twins, and whoever has to know that a class has a twin,
ask here. How a family is judged is explained in docs/rules/SSOT101.md.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from itertools import combinations

from .config import Config
from .deployables import Deployables
from .facts import MODULE, Class, FileFacts, How, Import, Member
from .glance import glance
from .importers import imports_by_name
from .naming import is_foreign, is_specific, stems, version, without_variant
from .project import File, Project, Symbol

TWINS = frozenset({"SSOT101", "SSOT102", "SSOT103", "SSOT104", "SSOT105"})
"""The rules about families. The first subject of what they find is the family's name."""
MOST_TWINS = 25
"""Definitions of one name; more are a convention (`Command`, `Config`), not a concept."""
MOST_IN_ONE_FILE = 100
"""Names that one file has twins of; more were written by a program."""
_UNUSUAL = How.TYPE_CHECKING | How.CONDITIONAL | How.GUARDED | How.FALLBACK | How.IN_FUNCTION | How.IN_CLASS
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "TextChoices", "IntegerChoices", "Choices"})
_RECORDS = frozenset(
    {
        "object", "ABC", "Generic", "Protocol", "BaseModel", "Base", "DeclarativeBase", "Model", "SQLModel", "Schema",
        "Struct", "NamedTuple", "TypedDict", "dict", "list", "tuple", "set", "str", "int", "float", "RootModel",
        "GenericModel", "BaseSettings", "Serializer", "ModelSerializer", "Document", "Exception", "BaseException",
        "ValueError", "RuntimeError", "TypeError", "KeyError", "AttributeError", "LookupError", "OSError", "IOError",
        "Warning", "UserWarning", "NotImplementedError", "ImportError", *_ENUMS,
    }
)  # fmt: skip
"""Bases that only say what kind of thing a class is, not which interface it implements."""


_NUMBER = re.compile(r"\d+")
"""As the only difference of two paths it is a version, too: `api21.py` and `api22.py`."""
_FRONTS = frozenset({"proxy", "proxies"})
"""Modules whose classes stand for others of their names."""
LIKENESS = 0.3
"""Common member names of all, from which on two classes look like the same thing."""
WORD_LIKENESS = 0.5
"""The same of the words in the names."""
_LAYERS = {
    "enum": _ENUMS,
    "table": frozenset({"DeclarativeBase", "Base", "Model", "SQLModel", "Document"}),
    "schema": frozenset({"Schema", "SQLAlchemyAutoSchema", "SQLAlchemySchema", "Serializer", "ModelSerializer"}),
    "form": frozenset({"Form", "ModelForm", "FlaskForm"}),
    "graph": frozenset({"ObjectType", "InputObjectType", "GrapheneObjectType", "SQLAlchemyObjectType"}),
    "dict": frozenset({"TypedDict"}),
    "exception": frozenset({"Exception", "BaseException"}),
}


PARALLEL = 3
"""Modules of one name in two packages, from which on these are built alike."""


class Nearness(IntEnum):
    """How easily somebody who means one definition gets the other."""

    APART = 0
    """Each is used in a part of the program that never sees the other."""
    TREE = 1
    """Below one package both are used, or one package defines both."""
    PACKAGE = 2
    """In one package both are used, and by more than their own modules."""
    FILE = 3
    """In one file, both are used."""


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """One definition of a family.

    Args:
        users: files that take it from another module, by path.
        layer: what kind of thing it is, see `_layer`.
    """

    symbol: Symbol
    users: tuple[str, ...]
    layer: str

    @property
    def row(self) -> Class:
        """Its facts."""
        return self.symbol.class_

    @property
    def file(self) -> File:
        """Where it is."""
        return self.symbol.home


@dataclass(frozen=True, eq=False)
class Family:
    """All definitions of one name that can be taken for each other, the canonical one first, then by path.

    Args:
        alike: whether their members say that they are meant for the same thing.
        nearness: of the nearest two.
        configured: whether the configuration says which is canonical.
        homonyms: definitions of the same name that have nothing in common with these.
        parallel: they lie in packages that have the same modules, one for each language, protocol or the like.
    """

    name: str
    twins: tuple[Twin, ...]
    alike: bool
    nearness: Nearness
    configured: bool
    several_deployables: bool
    homonyms: tuple[Twin, ...] = ()
    parallel: bool = False

    @property
    def canonical(self) -> Twin:
        """The one to keep: as configured, else the one most files use, then the one with most members."""
        return self.twins[0]

    @property
    def is_specific(self) -> bool:
        """Whether a second thing of this name is hardly an accident."""
        return is_specific(self.name)

    @property
    def is_enum(self) -> bool:
        """Whether all are enumerations."""
        return all(_has_base(each.row, _ENUMS) for each in self.twins)

    @cached_property
    def identical(self) -> bool:
        """Whether all are copies, but for docstrings and comments."""
        return len({each.row.digest for each in self.twins}) == 1

    @cached_property
    def likeness(self) -> float:
        """Of the canonical one and the one least like it: common member names of all their names."""
        return min(_jaccard(own(self.canonical.row), own(each.row)) for each in self.twins[1:])


def families(project: Project, config: Config) -> list[Family]:
    """Every family of a project, by name, also those that `allow-duplicate` names; found once and kept as long as the
    project is."""
    return project.once(_find, config)


def unwanted_families(project: Project, config: Config) -> list[Family]:
    """Those that `allow-duplicate` does not name."""
    allowed = {each.name for each in config.allow_duplicate}
    return [each for each in families(project, config) if each.name not in allowed]


def own(row: Class) -> dict[str, Member]:
    """What a class itself declares, without names that every class may have."""
    return {each.name: each for each in row.members if not (each.name.startswith("__") and each.name.endswith("__"))}


def _words(row: Class) -> frozenset[str]:
    return frozenset().union(*(stems(name) for name in own(row)))


def _jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    left, right = set(one), set(other)
    if not left and not right:
        return 1.0
    return len(left & right) / len(left | right)


def _find(project: Project, config: Config) -> list[Family]:
    groups = {}
    for (file, index), *_ in project.table(_public).shared():
        name = file.class_shape(index).name
        if kept := project.by_name(_meant_as_one, name):
            groups[name] = kept
    _leave_out_mirrors(groups)
    if not groups:
        return []
    users: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name in groups:
        for key, its_name, path in project.by_name(_users, name):
            if its_name in groups:
                users[key].add(path)
    deployables = project.once(Deployables, config)
    found: list[Family] = []
    for name, symbols in sorted(groups.items()):
        twins = [Twin(each, tuple(sorted(users.get(each.key, ()))), _layer(project, each)) for each in symbols]
        found.extend(_split(project, config, deployables, name, twins))
    return found


def _leave_out_mirrors(groups: dict[str, list[Symbol]]) -> None:
    """Drops the names of a file that repeats very many of others: it was made from them."""
    by_file: dict[str, set[str]] = defaultdict(set)
    for name, symbols in groups.items():
        for each in symbols:
            by_file[each.home.path].add(name)
    for names in by_file.values():
        if len(names) > MOST_IN_ONE_FILE:
            for name in names:
                groups.pop(name, None)


def _public(file: File) -> Iterable[tuple[str, int]]:
    """The public classes of a file of the product; of several of one name the last."""
    if file.scope != "core" or file.facts.generated or is_foreign(file.path):
        return ()
    seen: dict[str, int] = {}
    for index, row in enumerate(file.facts.classes):
        if row.outer == MODULE and row.function == MODULE and not row.how & _UNUSUAL and not row.name.startswith("_"):
            seen[row.name] = index
    return seen.items()


# Which definitions of a name are meant for the same thing


def _meant_as_one(project: Project, name: str) -> list[Symbol]:
    """Those of one name that have no reason to share it; none or several."""
    named = project.table(_public).get(name)
    symbols = [
        each
        for each in (Symbol("class", file, index, how=file.class_shape(index).how) for file, index in named)
        if not (
            _is_protocol(each) or each.home.module.rpartition(".")[2] in _FRONTS or _is_override(project, name, each)
        )
    ]
    if len(symbols) > 1:
        symbols = _without_versions(symbols)
    if len(symbols) < 2:
        return []
    symbols = _without_implementations(project, symbols)
    places: dict[str, Symbol] = {}
    for each in symbols:
        directory, _, module = without_variant(each.home.path).rpartition("/")
        # `search2` beside `search` is another version of it.
        places.setdefault(f"{_NUMBER.sub('', directory)}/{_NUMBER.sub('1', module)}", each)
    symbols = list(places.values())
    return symbols if 2 <= len(symbols) <= MOST_TWINS else []


def _is_protocol(symbol: Symbol) -> bool:
    return any(base.rpartition(".")[2] == "Protocol" for base in symbol.class_.bases)


def _is_override(project: Project, name: str, symbol: Symbol) -> bool:
    """It inherits from a class of its own name, makes one for itself to ask, or is made from one: it stands in for that
    on purpose."""
    if any(base.rpartition(".")[2] == name for base in symbol.class_.bases):
        return True
    row, file = symbol.class_, symbol.file
    aliases = {each.bound for each in file.facts.imports if each.name == name} if file is not None else set()
    if any(base in aliases for base in row.bases) or _wraps(project, symbol) or _converts(symbol, aliases - {name}):
        return True
    return any(each.class_.name == name for each in project.ancestry(symbol).classes[1:])


def _wraps(project: Project, symbol: Symbol) -> bool:
    """Whether its objects have an object of another class of its name."""
    name = symbol.class_.name
    for member in symbol.class_.members:
        kind, _, dotted = member.type.partition(":")
        if kind == "call" and dotted.rpartition(".")[2] == name and dotted != name:
            held = project.lookup(symbol.home, dotted).symbol
            if held.kind == "class" and held.key != symbol.key:
                return True
    return False


def _converts(symbol: Symbol, others: set[str]) -> bool:
    """Whether methods of a class take or give objects of one of its name, which its file calls by another."""
    methods = (each for each in symbol.home.facts.functions if each.owner == symbol.index) if others else ()
    return any(each.returns in others or any(type_ in others for _, _, type_ in each.parameters) for each in methods)


def _without_versions(symbols: list[Symbol]) -> list[Symbol]:
    """Those of the version of which there are most; each version of an interface has its own."""
    by_version: dict[tuple[str, ...], list[Symbol]] = defaultdict(list)
    for each in symbols:
        by_version[version(each.home.path)].append(each)
    return max(by_version.values(), key=lambda each: (len(each), -len(version(each[0].home.path))))


def _without_implementations(project: Project, symbols: list[Symbol]) -> list[Symbol]:
    """Leaves out classes that share a base which is an interface, but for one of each."""
    by_base: dict[tuple[str, str], list[int]] = defaultdict(list)
    for at, symbol in enumerate(symbols):
        for base in _interfaces(project, symbol):
            by_base[base].append(at)
    dropped: set[int] = set()
    for members in by_base.values():
        dropped.update(members[1:])
    return [each for at, each in enumerate(symbols) if at not in dropped]


def _interfaces(project: Project, symbol: Symbol) -> set[tuple[str, str]]:
    """What a class inherits from that says which interface it implements."""
    found: set[tuple[str, str]] = set()
    members = own(symbol.class_)
    for above in project.ancestry(symbol).classes:
        row = above.class_
        if above is not symbol and above.key != symbol.key:
            theirs = own(row)
            records = all(base.rpartition(".")[2] in _RECORDS for base in row.bases) and bool(row.bases)
            # A base that only collects what all records have is none: nothing of it is implemented anew.
            if not (records and not any(name in members for name in theirs)):
                found.add((above.home.module, row.qualname))
        for base in row.bases:
            last = base.rpartition(".")[2]
            if base == "?" or last in _RECORDS:
                continue
            reached = project.lookup(above.home, base, row.function).symbol
            if reached.kind != "class":
                found.add(("", last))
    return found


# Who uses which


def _users(project: Project, name: str) -> list[tuple[tuple[str, int], str, str]]:
    """Files that take something of this name from another module, and it is a class: the class, its name, and the file.
    Packages that only pass it on are none."""
    found: list[tuple[tuple[str, int], str, str]] = []

    def used(symbol: Symbol, file: File) -> None:
        if symbol.kind == "class" and symbol.file is not file:
            found.append((symbol.key, symbol.shape.name, file.path))

    for file, index in project.table(imports_by_name).get(name):
        facts = file.facts
        row = facts.imports[index]
        passes_on = file.is_package and not facts.classes and not facts.functions
        if not passes_on and not _tells_apart(file, row):
            used(project.imported(file, row).symbol, file)
    for file, whole in project.table(_dotted).get(name):
        used(project.lookup(file, whole).symbol, file)
    return found


@glance("calls")
def _dotted_names(facts: FileFacts) -> tuple[str, ...]:
    """Dotted names that a file calls or inherits from."""
    dotted = {each.name for each in facts.calls if "." in each.name}
    dotted.update(base for each in facts.classes for base in each.bases if "." in base)
    return tuple(sorted(dotted))


def _dotted(file: File) -> Iterable[tuple[str, str]]:
    """Those by their last part."""
    return ((name.rpartition(".")[2], name) for name in _dotted_names(file))


def _tells_apart(file: File, row: Import) -> bool:
    """Whether a file that has a class of the name itself gives the one it imports another."""
    return row.bound != row.name and any(each.kind == "class" for each in file.names.get(row.name, ()))


# Families


def _split(
    project: Project, config: Config, deployables: Deployables, name: str, twins: list[Twin]
) -> Iterable[Family]:
    """The families of one name: one for each deployable with two definitions, and one across deployables."""
    groups = deployables.together(twins, lambda twin: twin.file)
    for group in groups:
        if len(group) > 1:
            for family in _families(config, name, group, several=False):
                yield replace(family, parallel=True) if _are_parallel(project, family.twins) else family
    if len(groups) > 1:
        first = [min(group, key=_rank) for group in groups]
        yield from _families(config, name, first, several=True)


def _are_parallel(project: Project, twins: Iterable[Twin]) -> bool:
    """Whether definitions are the same part of packages beside each other that are built alike."""
    files = [each.file for each in twins]
    above = {_directory(file.directory) for file in files}
    if len(above) > 1 or len({file.path.rpartition("/")[2] for file in files}) > 1 or files[0].is_package:
        return False
    modules = project.once(_modules_by_directory)
    return len(set.intersection(*(modules[file.directory] for file in files))) >= PARALLEL


def _modules_by_directory(project: Project) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for file in project.files:
        if not file.is_package:
            found[file.directory].add(file.path.rpartition("/")[2])
    return found


def _rank(twin: Twin) -> tuple[int, int, int, int, str]:
    path = twin.file.path
    return bool(version(path)), -len(twin.users), -len(own(twin.row)), path.count("/"), path


def _families(config: Config, name: str, twins: list[Twin], *, several: bool) -> Iterable[Family]:
    """Those that are alike, each group for itself; all together when none are."""
    groups: list[list[Twin]] = []
    for twin in twins:
        joined = [twin]
        for group in [each for each in groups if any(_are_alike(name, twin, other) for other in each)]:
            joined = [*group, *joined]
            groups.remove(group)
        groups.append(joined)
    alike = [group for group in groups if len(group) > 1]
    if not alike:
        yield _family(config, name, twins, (), several=several, alike=False)
    for group in alike:
        others = [each for each in twins if each not in group]
        yield _family(config, name, group, others, several=several, alike=True)


def _family(
    config: Config, name: str, twins: list[Twin], others: Iterable[Twin], *, several: bool, alike: bool
) -> Family:
    chosen = {each.path for each in config.canonical if each.name == name}
    configured = [each for each in twins if each.file.module in chosen or f"{each.file.module}.{name}" in chosen]
    first = configured[0] if configured else min(twins, key=_rank)
    rest = sorted((each for each in twins if each is not first), key=lambda each: each.file.path)
    nearness = Nearness.APART if several else max(_nearness(*pair) for pair in combinations(twins, 2))
    return Family(name, (first, *rest), alike, nearness, bool(configured), several, tuple(others))


def _are_alike(name: str, one: Twin, other: Twin) -> bool:
    """Whether two definitions look as if they were meant for the same thing."""
    if one.row.digest == other.row.digest:
        return True
    if one.layer != other.layer:
        return False
    ours, theirs = own(one.row), own(other.row)
    common = ours.keys() & theirs.keys()
    if len(common) >= 2 and _jaccard(ours, theirs) >= LIKENESS:
        return True
    our_words, their_words = _words(one.row), _words(other.row)
    return is_specific(name) and len(our_words & their_words) >= 3 and _jaccard(our_words, their_words) >= WORD_LIKENESS


def _layer(project: Project, symbol: Symbol) -> str:
    """What kind of thing a class is: a table, a schema of what is sent and the like may share a name on purpose."""
    row = symbol.class_
    if any(each.name == "__tablename__" for each in row.members):
        return "table"
    above = [each.class_ for each in project.ancestry(symbol).classes]
    lasts = {base.rpartition(".")[2] for each in above for base in each.bases}
    for layer, bases in _LAYERS.items():
        if lasts & bases:
            return layer
    if any(each.rpartition(".")[0] in ("strawberry", "graphene") for each in row.decorators):
        return "graph"
    return "plain"


def _has_base(row: Class, names: frozenset[str]) -> bool:
    return any(base.rpartition(".")[2] in names for base in row.bases)


def _nearness(one: Twin, other: Twin) -> Nearness:
    ours = {one.file.path, *one.users}
    theirs = {other.file.path, *other.users}
    if not ours.isdisjoint(theirs):
        return Nearness.FILE
    shared = {_directory(each) for each in ours} & {_directory(each) for each in theirs}
    if not shared.isdisjoint({_directory(each) for each in (*one.users, *other.users)}):
        return Nearness.PACKAGE
    if shared:
        return Nearness.TREE
    depth = len(_common(_directory(one.file.path).split("/"), _directory(other.file.path).split("/")))
    # One level below what both definitions have in common, the parts of the program begin.
    if not {_part(each, depth) for each in ours}.isdisjoint({_part(each, depth) for each in theirs}):
        return Nearness.TREE
    return Nearness.APART


def _common(one: list[str], other: list[str]) -> list[str]:
    shared = []
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            break
        shared.append(ours)
    return shared


def _part(path: str, depth: int) -> tuple[str, ...]:
    return tuple(path.split("/")[: depth + 1])


def _directory(path: str) -> str:
    return path.rpartition("/")[0]
