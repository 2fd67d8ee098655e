"""One name that means two classes: SSOT121 by the path it is imported by, SSOT122 a subclass where an alias is meant,
SSOT123 bound twice in one module.

What a fix needs is in the findings. SSOT121 and SSOT122 about an empty subclass: `place` is the class statement that
gives way to `Name = Base` (its facts have the lines), `canonical` the file of the base, and the subjects are the
qualified names of the subclass and of the base, in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, Class, How
from netra.compliance.importers import ClassUse, uses
from netra.compliance.naming import VARIANTS, is_foreign, version, without_variant, words
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests
from netra.compliance.text import digest
from netra.compliance.twins import Family, Twin, unwanted_families

MOST_USERS = 5
"""Files that are named of those that use a path."""
_UNUSUAL = How.TYPE_CHECKING | How.CONDITIONAL | How.GUARDED | How.FALLBACK | How.IN_FUNCTION | How.IN_CLASS
_OF_THE_PAST = frozenset(
    {"compat", "compatibility", "compatible", "legacy", "deprecated", "backward", "backwards", "alias"}
)
_ABSTRACT = frozenset({"base", "bases", "abstract", "interface", "interfaces", "abc", "generic", "mixins", "protocol"})
"""Names of modules whose classes are there to be inherited from."""
_PARAMETERS = tuple(
    f"def __init__(self, *args{kind}, **kwargs{kind}){returns}:"
    for kind in ("", ": Any", ": object", ": t.Any", ": typing.Any")
    for returns in ("", " -> None")
)


@dataclass(frozen=True, slots=True, eq=False)
class StandIn:
    """A subclass that adds nothing to a class of another module and is called like it, or says it is for the past."""

    symbol: Symbol
    base: Symbol

    @property
    def file(self) -> File:
        """Where it is."""
        return self.symbol.home

    @property
    def home(self) -> File:
        """Where its base is."""
        return self.base.home

    @property
    def has_its_name(self) -> bool:
        """Whether both are called the same."""
        return self.symbol.class_.name == self.base.class_.name


def stand_ins(project: Project) -> list[StandIn]:
    """All of them, found once."""
    return project.once(_find)


def _find(project: Project) -> list[StandIn]:
    return [each for _, found in project.by_file(_stand_ins_in) for each in found]


def _stand_ins_in(project: Project, file: File) -> list[StandIn]:
    if file.scope == "core" and not file.facts.generated and not is_foreign(file.path):
        return list(_stand_ins(project, file))
    return []


def _stand_ins(project: Project, file: File) -> Iterator[StandIn]:
    for index, row in enumerate(file.facts.classes):
        if len(row.bases) != 1 or row.outer != MODULE or row.how & _UNUSUAL or row.keywords or row.decorators:
            continue
        if len(row.members) > 1 or not _adds_nothing(row):
            continue
        base = project.lookup(file, row.bases[0]).symbol
        if base.kind != "class" or base.file is None or base.file is file:
            continue
        found = StandIn(Symbol("class", file, index, how=row.how), base)
        if not (found.has_its_name or _is_for_the_past(row.name, file)):
            continue
        if found.has_its_name and _edition(file) != _edition(base.file):
            continue
        if without_variant(file.path) == without_variant(base.file.path) or _is_exception(project, base):
            continue
        if not VARIANTS.isdisjoint(words(file.module.rpartition(".")[2])) and not _is_for_the_past(row.name, file):
            continue
        if base.file.module.rpartition(".")[2].strip("_") in _ABSTRACT:
            continue
        yield found


def _adds_nothing(row: Class) -> bool:
    """Whether a class is empty, or has a constructor only that hands on what it gets. Its digest says so: it is that of
    the text of such a class, in which the base has no type arguments."""
    (base,) = row.bases
    head = f"class {row.name}({base}):"
    if row.passes:
        return row.digest in {
            digest(lines) for lines in ([head, "pass"], [head, "..."], [head], [f"{head} pass"], [f"{head} ..."])
        }
    if [each.name for each in row.members] != ["__init__"]:
        return False
    calls = (
        "super().__init__(*args, **kwargs)",
        f"super({row.name}, self).__init__(*args, **kwargs)",
        f"{base}.__init__(self, *args, **kwargs)",
    )
    return any(row.digest == digest([head, first, second]) for first, second in product(_PARAMETERS, calls))


def _edition(file: File) -> tuple[str, ...]:
    """Which version of an interface a module belongs to: one that is called old is of none."""
    ahead = {"beta", "preview"}
    return tuple(each for each in version(file.path) if each in ahead or any(map(str.isdigit, each)))


def _is_for_the_past(name: str, file: File) -> bool:
    """Whether a class, or its module, says by its name that it is there for those who import it as before."""
    return not _OF_THE_PAST.isdisjoint((*words(name), *words(file.module.rpartition(".")[2])))


def _is_exception(project: Project, symbol: Symbol) -> bool:
    """A narrower exception is caught by its own name: it is one on purpose."""
    ancestry = project.ancestry(symbol)
    names = [*ancestry.outside, *(base for each in ancestry.classes for base in each.class_.bases)]
    names += [each.class_.name for each in ancestry.classes]
    return any(name.endswith(("Error", "Exception", "Warning", "Exit", "Interrupt")) for name in names)


# SSOT121 and SSOT122


def _users(project: Project, symbol: Symbol, *, but: File) -> list[ClassUse]:
    """The imports of a class by files of the product, but one, that do not only pass it on."""
    return [
        each
        for each in uses(project).get(symbol.key, ())
        if each.file is not but and each.file.scope == "core" and not each.passes_on
    ]


def _is_split(project: Project, each: StandIn) -> bool:
    """Whether some hold the class and others the subclass, under the one name."""
    return (
        each.has_its_name
        and bool(_users(project, each.symbol, but=each.file))
        and bool(_users(project, each.base, but=each.file))
    )


def identity_splits(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT121: a name by which two classes are imported."""
    for each in stand_ins(project):
        if _is_split(project, each):
            ours, theirs = _users(project, each.symbol, but=each.file), _users(project, each.base, but=each.file)
            name = each.symbol.class_.name
            yield Finding(
                "SSOT121",
                Severity.ERROR,
                Place(each.file.path, each.symbol.line, "an empty subclass"),
                f"{name} is one class for those who import it from {each.file.module}, and another for those who import"
                f" it from {each.home.module}.",
                (each.symbol.qualified, each.base.qualified),
                related=(Place(each.home.path, each.base.line, "canonical"),),
                paths=(each.file.path, each.home.path),
                canonical=each.home.path,
                details=(*_chains(each.base, theirs), *_chains(each.symbol, ours)),
                hint=f"Write `{name} = {each.symbol.class_.bases[0]}` instead of the subclass, so that both are one"
                " class for `isinstance`, or import it from one path everywhere.",
            )
    for family in unwanted_families(project, config):
        if family.alike and not family.several_deployables:
            yield from _split_family(project, family)


def _split_family(project: Project, family: Family) -> Iterator[Finding]:
    """Twins of which one goes by the name of a package that the other stands in."""
    reached = {twin: _users(project, twin.symbol, but=twin.file) for twin in family.twins}
    for one, other in combinations(family.twins, 2):
        for facade, inner in ((one, other), (other, one)):
            # The package's name leads to one; whoever looks below it finds the other.
            packages = {
                use.path for use in reached[facade] if use.path != facade.file.module and _is_below(inner, use.path)
            }
            if packages and reached[inner]:
                package = min(packages)
                yield _family_finding(family, package, facade, inner, reached)
                return


def _is_below(twin: Twin, package: str) -> bool:
    return twin.file.module.startswith(f"{package}.")


def _family_finding(
    family: Family, package: str, facade: Twin, inner: Twin, reached: dict[Twin, list[ClassUse]]
) -> Finding:
    return Finding(
        "SSOT121",
        Severity.ERROR,
        Place(inner.file.path, inner.row.line, "not what its package passes on"),
        f"{family.name} of {package} is {facade.symbol.qualified}, and {inner.symbol.qualified} is another class.",
        (inner.symbol.qualified, facade.symbol.qualified),
        related=(Place(facade.file.path, facade.row.line, f"what {package} passes on"),),
        paths=(inner.file.path, facade.file.path),
        canonical=facade.file.path,
        details=(*_chains(facade.symbol, reached[facade]), *_chains(inner.symbol, reached[inner])),
        hint=f"Keep the one that {package} passes on, or rename the other.",
    )


def _chains(symbol: Symbol, found: list[ClassUse]) -> Iterator[str]:
    """By which path whom a class reaches."""
    by_path: dict[str, list[ClassUse]] = {}
    for each in found:
        by_path.setdefault(each.path, []).append(each)
    for path, by in sorted(by_path.items()):
        through = max((each.through for each in by), key=len)[1:]
        steps = " -> ".join(dict.fromkeys((path, *through, symbol.qualified)))
        files = list(dict.fromkeys(each.file.path for each in by))
        named = ", ".join(files[:MOST_USERS]) + (
            f", and {len(files) - MOST_USERS} more" if len(files) > MOST_USERS else ""
        )
        yield f"{steps}: {named}"


def subclasses_instead_of_aliases(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT122: an empty subclass that stands in for its base."""
    for each in stand_ins(project):
        if _is_split(project, each):
            continue
        row, base = each.symbol.class_, each.base
        what = "is an empty subclass of" if row.passes else "only hands on to"
        yield Finding(
            "SSOT122",
            Severity.WARNING,
            Place(each.file.path, row.line, "an empty subclass" if row.passes else "a subclass that adds nothing"),
            f"{row.name} {what} {base.qualified}: what one makes, the other does not recognise.",
            (each.symbol.qualified, base.qualified),
            related=(Place(each.home.path, base.line, "canonical"),),
            paths=(each.file.path, each.home.path),
            canonical=each.home.path,
            hint=f"Write `{row.name} = {row.bases[0]}`.",
        )


# SSOT123


def rebound_classes(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT123: a name that a module binds to a class, and then to another."""
    for _, found in project.by_file(_rebound_in):
        yield from found


def _rebound_in(project: Project, file: File) -> list[Finding]:
    if file.scope == "core" and not is_foreign(file.path) and not is_for_tests(file.path):
        return list(_rebound(project, file))
    return []


def _rebound(project: Project, file: File) -> Iterator[Finding]:
    for name, bound in file.names.several():
        if not any(each.kind == "class" for each in bound):
            continue
        plain = sorted((each for each in bound if not each.how & _UNUSUAL), key=lambda each: each.line)
        meanings = [(each, meaning) for each in plain if (meaning := _meaning(project, file, each)) is not None]
        if len(plain) != len(bound) or len(meanings) != len(plain) or len({each for _, each in meanings}) < 2:
            continue
        last, text = meanings[-1]
        others = meanings[:-1]
        yield Finding(
            "SSOT123",
            Severity.ERROR,
            Place(file.path, last.line, text),
            f"{name} is {others[-1][1]} until line {last.line}, and {text} from there on.",
            (f"{file.module}.{name}", *sorted({each for _, each in meanings})),
            related=tuple(Place(file.path, each.line, meaning) for each, meaning in others),
            paths=(file.path,),
            hint="Give one of them another name.",
        )


def _meaning(project: Project, file: File, symbol: Symbol) -> str | None:
    """Which class a binding means, for people; None when it is something else, or a refinement of what was there."""
    if symbol.kind == "class":
        row = symbol.class_
        before = {each.name for each in file.facts.assignments if each.kind == "alias" and each.value == row.name}
        if not {row.name, *before}.isdisjoint(row.bases) or row.decorators:
            return None  # it takes the one before it as its base, or is registered under it
        return "the class defined here"
    if symbol.kind == "value":
        assignment = file.facts.assignments[symbol.index]
        if assignment.kind != "alias" or assignment.function != MODULE or assignment.value == assignment.name:
            return None
        reached = project.lookup(file, assignment.value).symbol
    elif symbol.kind == "import":
        reached = project.imported(file, file.facts.imports[symbol.index]).symbol
    else:
        return None
    if reached.kind == "class" and reached.file is not file:
        return reached.qualified
    return reached.name if reached.kind == "external" and reached.name.rpartition(".")[2][:1].isupper() else None


RULES = (
    Rule(
        "SSOT121",
        "identity-split",
        Severity.ERROR,
        "One name is one class by one import path and another class by another.",
        identity_splits,
        fix="auto",
        exposure="classes",
    ),
    Rule(
        "SSOT122",
        "subclass-instead-of-alias",
        Severity.WARNING,
        "An empty subclass stands where an alias is meant.",
        subclasses_instead_of_aliases,
        fix="auto",
        exposure="classes",
    ),
    Rule(
        "SSOT123",
        "rebound-class",
        Severity.ERROR,
        "A module binds one name to a class, and later to another.",
        rebound_classes,
        exposure="classes",
    ),
)
