"""What is bound at the top of a file, by name, and what its functions bind by imports and class statements.

There are millions of bindings in a large tree, most of which nobody asks for: until then each is one number.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from typing import Final, Literal, TypeVar, overload

from .facts import MODULE, FileFacts, How
from .glance import glance
from .project import File, Symbol

_Default = TypeVar("_Default")

Codes = dict[str, int | tuple[int, ...]]
"""What is bound at the top of a file, by name: each binding is one number, for there are millions in a large tree and
nobody asks for most."""


class Names(Mapping[str, list[Symbol]]):
    """What is bound at the top of a file, by name: symbols, in the order of the tables."""

    __slots__ = ("_bound", "_file", "_local")

    def __init__(self, file: File) -> None:
        self._file = file
        self._local: dict[tuple[int, str], Symbol] | None = None

    def __getattr__(self, name: str) -> Codes:
        """Called for the codes, when they are first asked for."""
        if name != "_bound":
            raise AttributeError(name)
        self._bound: Codes = codes(self._file)
        return self._bound

    def __getitem__(self, name: str) -> list[Symbol]:
        return self._made(self._bound[name])

    @overload
    def get(self, name: str, default: None = None, /) -> list[Symbol] | None: ...

    @overload
    def get(self, name: str, default: _Default, /) -> list[Symbol] | _Default: ...

    def get(self, name: str, default: object = None, /) -> object:
        found = self._bound.get(name)
        return default if found is None else self._made(found)

    def __contains__(self, name: object) -> bool:
        return name in self._bound

    def __iter__(self) -> Iterator[str]:
        return iter(self._bound)

    def __len__(self) -> int:
        return len(self._bound)

    def defined(self) -> Iterator[tuple[str, int]]:
        """The names of classes and functions; of several of one name the first. For `symbol`."""
        for name, found in self._bound.items():
            for code in (found,) if isinstance(found, int) else found:
                if code & 3 in (_CLASS, _FUNCTION):
                    yield name, code
                    break

    def symbol(self, code: int) -> Symbol:
        """What `defined` names."""
        return Symbol(_KINDS[code & 3], self._file, code >> 9, how=code >> 2 & 127)

    def items(self) -> ItemsView[str, list[Symbol]]:
        """Made for who walks through all, and not kept."""
        return {name: self._made(found) for name, found in self._bound.items()}.items()

    def several(self) -> Iterator[tuple[str, list[Symbol]]]:
        """The names that are bound more than once."""
        return ((name, self._made(found)) for name, found in self._bound.items() if type(found) is not int)

    def codes(self) -> dict[str, tuple[int, ...]]:
        """What each name is bound to, in a form that can be compared."""
        return {name: (found,) if isinstance(found, int) else found for name, found in self._bound.items()}

    @property
    def any_local(self) -> bool:
        """Whether any function binds a name by an import or a class statement."""
        return bool(self._locals())

    def local(self, function: int, name: str) -> Symbol | None:
        """What a function itself binds by an import or a class statement: the first import, else the first class."""
        return self._locals().get((function, name))

    def _locals(self) -> dict[tuple[int, str], Symbol]:
        if self._local is None:
            found: dict[tuple[int, str], Symbol] = {}
            facts = self._file.facts
            for index, row in enumerate(facts.imports):
                if row.function != MODULE and (row.function, row.bound) not in found:
                    symbol = Symbol("import", self._file, index, how=row.how)
                    found[row.function, row.bound] = symbol
            for index, class_ in enumerate(facts.classes):
                if class_.function != MODULE and class_.outer == MODULE:
                    symbol = Symbol("class", self._file, index, how=class_.how)
                    found.setdefault((class_.function, class_.name), symbol)
            self._local = found
        return self._local

    def _made(self, found: int | tuple[int, ...]) -> list[Symbol]:
        return [self.symbol(code) for code in ((found,) if isinstance(found, int) else found)]


@glance("functions")
def codes(facts: FileFacts) -> Codes:
    """What a file binds at its top."""
    bound: Codes = {}
    for index, row in enumerate(facts.imports):
        if row.function == MODULE and row.bound and not row.how & How.IN_CLASS:
            _bind(bound, row.bound, _coded(_IMPORT, index, row.how))
    for index, class_ in enumerate(facts.classes):
        if class_.function == MODULE and class_.outer == MODULE:
            _bind(bound, class_.name, _coded(_CLASS, index, class_.how))
    for index, function in enumerate(facts.functions):
        if function.owner == MODULE and function.outer == MODULE:
            _bind(bound, function.name, _coded(_FUNCTION, index, function.how))
    for index, value in enumerate(facts.assignments):
        if value.function == MODULE or value.name not in bound:
            _bind(bound, value.name, _coded(_VALUE, index, value.how))
    return bound


_KINDS: Final[tuple[Literal["import", "class", "function", "value"], ...]] = ("import", "class", "function", "value")
_IMPORT, _CLASS, _FUNCTION, _VALUE = range(4)


def _coded(kind: int, index: int, how: int) -> int:
    return kind | how << 2 | index << 9


def _bind(bound: Codes, name: str, code: int) -> None:
    known = bound.setdefault(name, code)
    if known is not code:
        bound[name] = (known, code) if isinstance(known, int) else (*known, code)
