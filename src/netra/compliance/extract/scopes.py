"""What names are bound to while a file is read: the module and its functions, its classes, and where one stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import structs

from netra.compliance.facts import MODULE, Member


@dataclass(slots=True, eq=False)
class NameScope:
    """The module, or a function: what its names are bound to, and what is read from them."""

    index: int
    outer: NameScope | None
    name: str = ""
    into: ClassScope | None = None
    """The class whose method this is."""
    self_name: str = ""
    parameters: frozenset[str] = frozenset()
    bindings: dict[str, list[str]] = field(default_factory=dict)
    """From a name to the sources of its values; `` for one that is not known, `import` and `symbol` for names that mean
    the same everywhere."""
    globals: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    """Names, and `name.attribute`, that a test says more about than we understand."""
    reads: list[tuple[str, str, int, bool]] = field(default_factory=list)
    calls: list[tuple[str, int, int, list[str]]] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    is_generator: bool = False
    caches: bool = False

    def bind(self, name: str, source: str) -> None:
        known = self.bindings.get(name)
        if known is None:
            self.bindings[name] = [source]
        else:
            known.append(source)


@dataclass(slots=True, eq=False)
class ClassScope:
    """A class statement under construction."""

    index: int
    members: dict[str, Member] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    """Attributes of instances that are also given values of another or unknown origin."""
    dynamic: bool = False
    writes: dict[tuple[str, str, str, str], None] = field(default_factory=dict)
    asks_above: dict[str, None] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Keep the first of a name, but a type that a later one knows."""
        known = self.members.get(member.name)
        if known is None:
            self.members[member.name] = member
        elif not known.type and member.type and known.kind in ("instance", "attribute", "slot"):
            # What is annotated as more than one class stays that, whatever it begins with.
            self.members[member.name] = structs.replace(known, type=member.type)
        elif known.type and known.kind == "instance" and member.kind == "instance" and member.type != known.type:
            # Two different origins: neither is the truth, and no third one.
            self.members[member.name] = structs.replace(known, type="")
            self.doubted.add(member.name)


@dataclass(slots=True, eq=False)
class Scene:
    """Where a statement stands. Not changed once it is made (to have that checked would cost more than the rest)."""

    scope: NameScope
    into: ClassScope | None
    qualname: str
    how: int
    guard: int = -1
    error_path: bool = False
    attribute_errors: bool = False
    """In a `try` that catches AttributeError: a missing attribute is expected there."""


def at(
    place: Scene, how: int, *, guard: int | None = None, error_path: bool = False, attribute_errors: bool = False
) -> Scene:
    """A place in which something else holds; the same one where nothing does."""
    guard = place.guard if guard is None else guard
    error_path = place.error_path or error_path
    attribute_errors = place.attribute_errors or attribute_errors
    if (
        how == place.how
        and guard == place.guard
        and error_path == place.error_path
        and attribute_errors == place.attribute_errors
    ):
        return place
    return Scene(place.scope, place.into, place.qualname, how, guard, error_path, attribute_errors)


def method_of(scope: NameScope, name: str) -> NameScope | None:
    """The method whose `self` a name is, seen from a scope; None when it is something else."""
    at: NameScope | None = scope
    while at is not None:
        if name in at.bindings:
            return at if at.self_name == name and at.bindings[name] == ["self"] else None
        at = at.outer
    return None


def class_around(scope: NameScope) -> ClassScope:
    """The class whose method a scope is, or lies in; one of nobody's when there is none."""
    at: NameScope | None = scope
    while at is not None:
        if at.into is not None:
            return at.into
        at = at.outer
    return ClassScope(MODULE)


def value_of(name: str, scope: NameScope, depth: int = 4) -> str:
    """The one source of a name's value, seen from a scope; empty when there are several or none is known."""
    at: NameScope | None = scope
    while at is not None and name not in at.bindings:
        at = at.outer
    if at is None or depth == 0:
        return ""
    sources = {each for each in at.bindings[name] if each != "none"}
    if len(sources) != 1:
        return ""
    (source,) = sources
    if source.startswith("name:"):
        return value_of(source[5:], at, depth - 1) if source[5:] != name else ""
    if source in ("import", "symbol"):
        return ""
    if source == "self" or source.startswith("attr:"):
        return source
    _, _, dotted = source.partition(":")
    return source if means_same(dotted.partition(".")[0].partition("[")[0], at) else ""


def means_same(head: str, scope: NameScope) -> bool:
    """Whether a name is an import or a symbol of the module wherever this scope can see, and no local value."""
    at: NameScope | None = scope
    while at is not None:
        if head in at.bindings:
            if at.outer is None:
                return True  # what the module's name is, the project finds out
            return all(each in ("import", "symbol") for each in at.bindings[head])
        at = at.outer
    return True
