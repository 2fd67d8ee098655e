"""Public functions of the product that do no work yet (SSOT601).

A function that returns a constant, or passes, is most often right, and so is one that raises NotImplementedError: it
refuses, or leaves the work to others. A stub is reported only when its own comment or docstring says that it is one,
and no base of its class demands it: who implements half of an interface says so in the only way there is.
"""

from __future__ import annotations

from collections.abc import Iterator

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, FileFacts, Function, How
from netra.compliance.glance import glance
from netra.compliance.naming import is_foreign
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

_EXCUSED = frozenset(
    {"abstractmethod", "abstractproperty", "abstractclassmethod", "abstractstaticmethod", "overload", "singledispatch",
     "singledispatchmethod", "override", "overrides", "deprecated", "final", "abstract"}
)  # fmt: skip
_SHOWN_AS_NOTHING = (
    "abstract", "base", "dummy", "fake", "interface", "mixin", "mock", "noop", "no_op", "null", "placeholder",
    "protocol", "stub", "template",
)  # fmt: skip
"""In the name of a function, a class or a module that does nothing on purpose."""
_DEMAND_NOTHING = frozenset(
    {"object", "dict", "list", "tuple", "str", "int", "set", "Exception", "BaseException", "RuntimeError", "ValueError",
     "Enum", "IntEnum", "StrEnum", "NamedTuple", "TypedDict", "Generic", "BaseModel", "UserDict", "UserList"}
)  # fmt: skip
"""Last names of classes of other distributions that expect no method of those below them."""
_UNUSUAL = How.TYPE_CHECKING | How.CONDITIONAL | How.GUARDED | How.FALLBACK


def _find(project: Project, config: Config) -> Iterator[Finding]:
    for _, found in project.by_file(_look):
        yield from found


@glance("functions")
def _admits(facts: FileFacts) -> bool:
    """Whether a function says that it does no work."""
    return any(row.admits for row in facts.functions)


def _look(project: Project, file: File) -> list[Finding]:
    findings: list[Finding] = []
    if file.scope != "core" or file.facts.generated or is_foreign(file.path) or is_for_tests(file.path):
        return findings
    if not _admits(file):
        return findings
    for row in file.facts.functions:
        if (
            not row.admits
            or row.admits.startswith("dummy")
            or not _is_public(row)
            or _does_nothing_on_purpose(file.path)
            or _does_nothing_on_purpose(row.name)
        ):
            continue
        if row.decorators and row.admits.endswith("mock"):
            continue  # what is registered and called a mock is shown as one
        if row.owner == MODULE or (_is_concrete(file, row.owner) and not _is_demanded(project, file, row)):
            findings.append(_finding(file, row))
    return findings


def _is_public(row: Function) -> bool:
    if row.outer != MODULE or row.how & _UNUSUAL or row.qualname.startswith("_") or "._" in row.qualname:
        return False
    return not any(each.rpartition(".")[2] in _EXCUSED for each in row.decorators)


def _is_concrete(file: File, owner: int) -> bool:
    """Whether a class is no interface."""
    row = file.facts.classes[owner]
    if row.how & _UNUSUAL or row.function != MODULE or _does_nothing_on_purpose(row.name):
        return False
    if any(each.endswith(("ABCMeta", "?")) for each in row.keywords):
        return False
    if any(base.rpartition(".")[2] in ("ABC", "Protocol", "Interface") for base in row.bases):
        return False
    return not any("abstract" in decorator for each in _methods(file, owner) for decorator in each.decorators)


def _is_demanded(project: Project, file: File, row: Function) -> bool:
    """Whether a base of a method's class asks for the method without doing its work, or may do so out of sight."""
    whole = project.ancestry(Symbol("class", file, row.owner))
    for above in whole.classes[1:]:
        for method in above.home.facts.functions:
            if method.owner == above.index and method.name == row.name:
                return bool(method.stub) or any("abstract" in each for each in method.decorators)
    return any(_is_out_of_sight(project, each) for each in whole.classes)


def _is_out_of_sight(project: Project, symbol: Symbol) -> bool:
    """Whether a class has a base that is not among the files and may demand methods."""
    for base in symbol.shape.bases:
        if base.rpartition(".")[2] in _DEMAND_NOTHING:
            continue
        if base == "?" or project.lookup(symbol.home, base, symbol.shape.function).symbol.kind != "class":
            return True
    return False


def _methods(file: File, owner: int) -> Iterator[Function]:
    return (each for each in file.facts.functions if each.owner == owner)


def _does_nothing_on_purpose(name: str) -> bool:
    lowered = name.lower()
    return any(each in lowered for each in _SHOWN_AS_NOTHING)


def _finding(file: File, row: Function) -> Finding:
    return Finding(
        "SSOT601",
        Severity.WARNING,
        Place(file.path, row.line),
        f"`{row.qualname}` does no work, and says so: “{row.admits}”.",
        (f"{file.module}.{row.qualname}",),
        hint="Write it, or delete it with whatever calls it; callers cannot tell it from the real thing.",
    )


RULE = Rule(
    "SSOT601",
    "stub-in-product",
    Severity.WARNING,
    "A public function of the product is a placeholder.",
    _find,
    exposure="functions",
)
