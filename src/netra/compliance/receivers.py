"""Whose attribute is read: the class of a receiver, as far as the code base says, and whether it has the attribute.

The facts say where a value comes from (`Read.source`); here the names in it are followed to a class. The rules about
attributes ask `Receivers`; it answers None wherever more than one class, or an unseen one, could be meant.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from .facts import ANY_NAME, MODULE, Function, Member, Read
from .importers import imports_by_name
from .outside import ENUMS, TRANSPARENT_BASES, members_of
from .project import Ancestry, File, Project, Symbol

_SELVES = frozenset({"Self", "typing.Self", "typing_extensions.Self", "t.Self"})
MOST_BELOW = 50_000
"""Classes that are kept at hand by the names of those above them."""
MOST_CLASSES = 1_000
"""Whose methods are kept at hand; all of a large tree would not fit in memory."""
_MANAGERS = {
    "with": ("contextmanager", "__enter__", frozenset({"ContextManager", "AbstractContextManager"})),
    "awith": ("asynccontextmanager", "__aenter__", frozenset({"AsyncContextManager", "AbstractAsyncContextManager"})),
}
_KEEPING = frozenset({"cache", "lru_cache", "staticmethod", "classmethod", "override", "final", "deprecated"})
"""Decorators that leave alone what a function returns."""
_OF_TEST_CASES = frozenset({"addCleanup", "enterContext", "fail", "failureException", "skipTest", "subTest"})
_MAKERS = ENUMS | {"builtins.type"}
"""Above a class that gives another class when it is called."""
_FILLING = ("__setattr__", "__init_subclass__")
"""Methods that may give more attributes than are written anywhere."""
_OF_CLASSES = frozenset({"cls", "mcs", "mcls", "metacls", "klass", "class_"})
_ON_CLASSES = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})
"""Methods whose first parameter is the class, without a decorator that says so."""


class Receiver(Struct, frozen=True):
    """The class of a value.

    Args:
        exact: the value was made by calling this very class, so no subclass can be meant.
        own: it is `self` in a method, where whoever makes such objects may have set more.
    """

    symbol: Symbol
    exact: bool = False
    own: bool = False


class Receivers:
    """Answers for one project; see the module. Get it with `receivers`, which keeps it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        # Of one file alone: who asks goes from file to file.
        self._file: File | None = None
        self._resolved: dict[tuple[int, str, str], Receiver | None] = {}
        self._owners: dict[tuple[int, str], Symbol | None] = {}
        self._held: dict[tuple[int, str], Receiver | None] = {}
        self._has: dict[tuple[Symbol, str], bool | None] = {}
        self._methods: dict[tuple[str, int], dict[str, Function]] = {}
        self._given = project.table(given)
        self._children = project.table(_children)
        self._descendants: dict[tuple[str, int], list[Symbol]] = project.knows("descendants")
        self._named_below: dict[str, list[tuple[Symbol, Ancestry]]] = project.knows("classes below a name")
        self._below_kept = 0
        self._made: dict[tuple[str, int], bool] = project.knows("made")
        for each in (self._resolved, self._owners, self._held, self._has):
            project.forgets(each)

    def of(self, file: File, read: Read) -> Receiver | None:
        """The class of what an attribute is read from; None when it is not known."""
        key = (read.function, read.source, read.receiver)
        if file is not self._file:
            self._file = file
            for each in (self._resolved, self._owners, self._held, self._has):
                each.clear()
        if key not in self._resolved:
            kind, _, name = read.source.partition(":")
            head = read.receiver.partition(".")[0] if kind in ("self", "attr") else ""
            self._resolved[key] = self._of(file, read.function, kind, name, head)
        return self._resolved[key]

    def lacks(self, file: File, receiver: Receiver, attribute: str) -> bool:
        """Whether no object that the receiver can be, where `file` reads it, has an attribute. False also when that
        cannot be known."""
        if receiver.own and _is_of_others(attribute):
            return False
        if self.has(receiver.symbol, attribute) is not False:
            return False
        if attribute in file.facts.given or self._is_given(receiver, attribute):
            return False
        if receiver.exact:
            return True
        return all(self.has(each, attribute) is False for each in self.descendants(receiver.symbol))

    def _is_given(self, receiver: Receiver, attribute: str) -> bool:
        """Whether the attribute may be set from outside: in the file of the class, or, for `self`, by anyone."""
        if receiver.own and self._given.get(attribute):
            return True
        above = self._project.ancestry(receiver.symbol).classes
        names = {ANY_NAME} if receiver.own else {ANY_NAME, attribute}
        return any(not names.isdisjoint(each.home.facts.given) for each in above)

    def has(self, symbol: Symbol, attribute: str) -> bool | None:
        """`Project.has`, remembered; None also for objects that are filled in ways that leave no trace."""
        known = self._project.has(symbol, attribute)
        if known is not False:
            return known
        key = (symbol, attribute)
        if key not in self._has:
            self._has[key] = None if self._is_private_of(symbol, attribute) or self._is_open(symbol) else False
        return self._has[key]

    def _is_private_of(self, symbol: Symbol, attribute: str) -> bool:
        """Whether a name is what Python makes of `__name` in one of the classes."""
        if "__" not in attribute[2:] or not attribute.startswith("_"):
            return False
        for each in self._project.ancestry(symbol).classes:
            prefix = f"_{each.shape.name.lstrip('_')}"
            if attribute.startswith(f"{prefix}__"):
                return attribute.removeprefix(prefix) in self._project.own(each)
        return False

    def _is_open(self, symbol: Symbol) -> bool:
        """Whether objects of a class are filled from elsewhere: it has nothing of its own, has `__setattr__` or
        `__init_subclass__`, or is a metaclass."""
        above = self._project.ancestry(symbol)
        if "builtins.type" in above.outside:
            return True
        if any(name in own for own in above.owns for name in _FILLING):
            return True
        return not (above.outside or any(not _is_dunder(name) for own in above.owns for name in own))

    def descendants(self, symbol: Symbol) -> list[Symbol]:
        """Classes of the project that may inherit from a class. Found by the names of bases: too many, never too few,
        but for a base that is an expression."""
        assert symbol.file is not None
        known = self._descendants.get((symbol.file.path, symbol.index))
        if known is None:
            known = self._descendants[symbol.file.path, symbol.index] = self._find_descendants(symbol)
        return known

    def _find_descendants(self, symbol: Symbol) -> list[Symbol]:
        file, index = symbol.home, symbol.index
        found = []
        for each, above in self._below(symbol.shape.name):
            if each.file is file and each.index == index:
                continue
            if not above.complete:
                found.append(each)
                continue
            for one in above.classes:
                if one.index == index and one.file is file:
                    found.append(each)
                    break
        return found

    def _below(self, name: str) -> list[tuple[Symbol, Ancestry]]:
        """The classes below any class of a name, as far as names tell."""
        known = self._named_below.get(name)
        if known is None:
            found: dict[tuple[File, int], tuple[Symbol, Ancestry]] = {}
            waiting = [name]
            seen = set(waiting)
            while waiting:
                for file, index in self._children.get(waiting.pop()):
                    if (file, index) in found:
                        continue
                    each = Symbol("class", file, index)
                    found[file, index] = each, self._project.ancestry(each)
                    if (below := each.shape.name) not in seen:
                        seen.add(below)
                        waiting.append(below)
            known = [*found.values()]
            self._below_kept += len(known)
            if self._below_kept > MOST_BELOW:
                self._named_below.clear()
                self._below_kept = len(known)
            self._named_below[name] = known
        return known

    def methods(self, symbol: Symbol) -> dict[str, Function]:
        """The functions in the body of a class, by name; of several of one name the last."""
        assert symbol.file is not None
        key = (symbol.file.path, symbol.index)
        facts = symbol.file.facts  # read by whoever asks, also when the answer is at hand
        if key not in self._methods:
            if len(self._methods) > MOST_CLASSES:
                self._methods.clear()
            for each in facts.functions:
                if each.owner != MODULE:
                    self._methods.setdefault((symbol.file.path, each.owner), {})[each.name] = each
            self._methods.setdefault(key, {})
        return self._methods[key]

    def method(self, symbol: Symbol, name: str) -> tuple[Symbol, Function] | None:
        """A method of a class or its known bases, with the class that has it."""
        for each in self._project.ancestry(symbol).classes:
            if (function := self._method_of(each, name)) is not None:
                return each, function
        return None

    def _method_of(self, symbol: Symbol, name: str) -> Function | None:
        # Most classes have no method of a name, which takes no look at the functions of their file.
        return self.methods(symbol).get(name) if name in self._project.own(symbol) else None

    def owner(self, file: File, function: int, head: str) -> Symbol | None:
        """The class whose instance a name is, in a method or in a function within it."""
        key = (function, head)
        if file is not self._file:
            return self._owner(file, function, head)
        if key not in self._owners:
            self._owners[key] = self._owner(file, function, head)
        return self._owners[key]

    def _owner(self, file: File, function: int, head: str) -> Symbol | None:
        functions = file.facts.functions
        methods = []
        at = function
        while at != MODULE:
            row = functions[at]
            named = [name for name, _, _ in row.parameters]
            if head in named:
                if named[0] != head or row.owner == MODULE or not _is_of_instances(row):
                    return None
                return Symbol("class", file, row.owner) if head == "self" else None
            if row.owner != MODULE and _is_of_instances(row):
                methods.append(row.owner)
            at = row.outer
        # A local name for self: clear when only one method is around.
        return Symbol("class", file, methods[0]) if len(methods) == 1 else None

    def is_made(self, symbol: Symbol) -> bool:
        """Whether there is a sign that objects of this very class are made, and not only of classes that inherit from
        it: it is called, or says what it is made of."""
        assert symbol.file is not None
        key = (symbol.file.path, symbol.index)
        if key not in self._made:
            above = self._project.ancestry(symbol)
            self._made[key] = (
                not TRANSPARENT_BASES.issuperset(above.outside)
                or any(each.shape.decorators for each in above.classes)
                or any(_is_closed(self._method_of(each, "__init__")) for each in above.classes)
                or self._is_called(symbol)
            )
        return self._made[key]

    def stands_before_others(self, symbol: Symbol) -> bool:
        """Whether a class asks `super()` for what no known class above has: it is put in front of one that has it."""
        above = self._project.ancestry(symbol)
        return any(
            not _is_dunder(name)
            and not any(name in own for at, own in enumerate(above.owns) if at != below)
            and not any(name in members_of(each) for each in above.outside)
            for below, each in enumerate(above.classes)
            for name in each.shape.asks_above
        )

    def _is_called(self, symbol: Symbol) -> bool:
        name = symbol.shape.name
        importers = self._project.table(imports_by_name).get(name)
        for file in {symbol.home.path: symbol.home, **{file.path: file for file, _ in importers}}.values():
            for call in file.facts.calls:
                if call.name == name:
                    found = self._project.lookup(file, name, call.function).symbol
                    if found.file is symbol.file and found.index == symbol.index:
                        return True
        return False

    # How each kind of source is followed

    def _of(self, file: File, function: int, kind: str, name: str, head: str) -> Receiver | None:
        if kind == "self":
            owner = self.owner(file, function, head)
            return Receiver(owner, own=True) if owner is not None else None
        if kind == "attr":
            owner = self.owner(file, function, head)
            if owner is None:
                return None
            key = (owner.index, name)  # its file is this one
            if key not in self._held:
                self._held[key] = self._of_member(owner, name)
            return self._held[key]
        return self._of_source(file, function, kind, name)

    def _of_source(self, file: File, function: int, kind: str, name: str) -> Receiver | None:
        if kind == "ann":
            return self._named(file, name, function)
        if kind in ("call", "await"):
            return self._called(file, name, function, awaited=kind == "await")
        if kind in _MANAGERS:
            return self._entered(file, name, function, kind)
        return None

    def _of_member(self, owner: Symbol, name: str) -> Receiver | None:
        """What `self.name` is an instance of."""
        for each in self._project.ancestry(owner).classes:
            member = self._project.own(each).get(name)
            if member is not None:
                break
        else:
            return None
        kind, _, dotted = member.type.partition(":")
        assert each.file is not None
        if kind not in ("ann", "call"):
            return None
        # Where it was assigned is a method of the class; what is imported only there is not known here.
        if self._is_local_in(each, dotted.partition(".")[0]):
            return None
        found = self._of_source(each.file, each.shape.function, kind, dotted)
        if found is None or (member.kind != "property" and self._may_describe(owner, member, found.symbol)):
            return None
        return None if self._is_given_elsewhere(owner, each, member) else found

    def _is_local_in(self, symbol: Symbol, name: str) -> bool:
        """Whether a method of a class gives a name a meaning of its own."""
        names = symbol.home.names
        return names.any_local and any(
            row.owner == symbol.index and names.local(at, name) is not None
            for at, row in enumerate(symbol.home.facts.functions)
        )

    def _is_given_elsewhere(self, owner: Symbol, holder: Symbol, member: Member) -> bool:
        """Whether another class of the family gives the attribute a value of its own, of another origin."""
        above = self._project.ancestry(owner)
        if not above.complete and member.kind in ("attribute", "field"):
            return True
        for each, own in zip(above.classes, above.owns, strict=True):
            row = own.get(member.name)
            if row is not None and row.type != member.type and each is not holder:
                return True
        for each in self.descendants(owner):
            row = self._project.own(each).get(member.name)
            if row is not None and row.type != member.type:
                return True
        return False

    def _may_describe(self, owner: Symbol, member: Member, value: Symbol) -> bool:
        """Whether what is in a class may be a descriptor, so that instances show something else."""
        described = self.has(value, "__get__")
        if member.kind in ("attribute", "field"):
            return described is not False or not self._project.ancestry(owner).complete
        return described is True

    def _named(self, file: File, name: str, function: int) -> Receiver | None:
        if not name or "[" in name:
            return None
        head = name.partition(".")[0]
        row = file.facts.functions[function] if function != MODULE else None
        # An annotation sees the names of the class body first.
        inside = row is not None and row.owner != MODULE and file.facts.classes[row.owner].members
        if inside and any(member.name == head for member in inside):
            return None
        symbol = self._project.lookup(file, name, function).symbol
        return Receiver(symbol) if symbol.kind == "class" else None

    def _called(self, file: File, name: str, function: int, *, awaited: bool) -> Receiver | None:
        symbol = self._project.lookup(file, name, function).symbol
        if symbol.kind == "class":
            return Receiver(symbol, exact=True) if not awaited and self._makes_itself(symbol) else None
        if symbol.kind == "function" and symbol.file is not None:
            row = symbol.function
            if row.is_async is not awaited or row.is_generator or not _keeps(row):
                return None
            return self._named(symbol.file, row.returns, symbol.index)
        head, _, last = name.rpartition(".")
        if not head:
            return None
        holder = self._project.lookup(file, head, function).symbol
        if holder.kind != "class":
            return None
        found = self.method(holder, last)
        if found is None:
            return None
        row = found[1]
        if row.is_async is not awaited or row.is_generator or not _keeps(row) or _is_of_instances(row):
            return None
        return self._returned(holder, *found)

    def _returned(self, holder: Symbol, defined: Symbol, row: Function) -> Receiver | None:
        """What a method that was found on a class returns."""
        own = row.parameters[0] if row.parameters and "staticmethod" not in row.decorators else None
        if row.returns in _SELVES or (own and row.returns and row.returns == own[2]):
            return Receiver(holder)
        assert defined.file is not None
        if not row.returns:
            return None
        # By what it says: a table that was given back and decoded again has other rows.
        index = next(at for at, each in enumerate(defined.file.facts.functions) if each == row)
        return self._named(defined.file, row.returns, index)

    def _entered(self, file: File, name: str, function: int, kind: str) -> Receiver | None:
        """What `with name(…) as x` binds to x."""
        decorator, enter, annotations = _MANAGERS[kind]
        symbol = self._project.lookup(file, name, function).symbol
        if symbol.kind == "class":
            return self._enter(symbol, enter) if self._makes_itself(symbol) else None
        if symbol.kind != "function" or symbol.file is None:
            return None
        row = symbol.function
        outer, _, inner = row.returns.partition("[")
        last = outer.rpartition(".")[2]
        managed = [each.rpartition(".")[2] for each in row.decorators]
        if decorator in managed and len(managed) == 1 and inner:
            return self._named(symbol.file, inner.removesuffix("]"), symbol.index)
        if managed:
            return None
        if last in annotations and inner:
            return self._named(symbol.file, inner.removesuffix("]"), symbol.index)
        made = self._called(file, name, function, awaited=False)
        return self._enter(made.symbol, enter) if made is not None else None

    def _enter(self, symbol: Symbol, enter: str) -> Receiver | None:
        found = self.method(symbol, enter)
        if found is None or found[1].is_async is not (enter == "__aenter__"):
            return None
        if not found[1].returns and found[1].makes == ["self"]:
            return Receiver(symbol)
        return self._returned(symbol, *found)

    def _makes_itself(self, symbol: Symbol) -> bool:
        """Whether calling a class gives an instance of it, for all one can see."""
        if self.method(symbol, "__new__") or not _MAKERS.isdisjoint(self._project.ancestry(symbol).outside):
            return False
        return not any(decorator.rpartition(".")[2] == "singleton" for decorator in symbol.shape.decorators)


def receivers(project: Project) -> Receivers:
    """The one `Receivers` of a project."""
    return project.companion(Receivers)


def _is_of_others(attribute: str) -> bool:
    """Whether a class reads of itself what the classes it is mixed into have: protocols of Python, test cases."""
    return attribute.startswith("assert") or _is_dunder(attribute) or attribute in _OF_TEST_CASES


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_of_instances(row: Function) -> bool:
    """Whether a method's first parameter is an instance."""
    if row.name in _ON_CLASSES or not row.parameters or row.parameters[0][0] in _OF_CLASSES:
        return False
    if row.parameters[0][1] in ("*", "**"):
        return False
    plain = [each.rpartition(".")[2] for each in row.decorators]
    if "staticmethod" in plain or "classmethod" in plain or "abstractclassmethod" in plain:
        return False
    return not plain or row.parameters[0][0] == "self"


def _is_closed(row: Function | None) -> bool:
    """Whether a constructor names all it takes; one that passes on the rest is for classes that inherit."""
    return row is not None and not any(kind == "**" for _, kind, _ in row.parameters)


def _keeps(row: Function) -> bool:
    return all(each.rpartition(".")[2] in _KEEPING for each in row.decorators)


def given(file: File) -> Iterator[tuple[str, bool]]:
    """What a file gives to something other than `self`."""
    return ((name, True) for name in file.facts.given)


def _children(file: File) -> Iterator[tuple[str, int]]:
    """Classes by the last names of their bases, with the names that imports and aliases give them undone."""
    facts = file.facts
    for index, row in enumerate(facts.classes):
        for base in row.bases:
            name = base.rpartition(".")[2]
            yield name, index
            for bound in file.names.get(name, ()) if name == base else ():
                if bound.kind == "import" and (taken := facts.imports[bound.index].name) != name:
                    yield taken, index
                elif bound.kind == "value":
                    yield facts.assignments[bound.index].value.rpartition(".")[2], index
