"""What was found out about a code base, and how it is asked for: once for the whole, by file, or by name in a table.

In a single check everything is made when it is first asked for and kept as long as the project is. A watcher keeps it
longer: see `session`. What is made depends on the facts of files, on what the project answers and on what is asked for
here, and on nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .facts import FileFacts

if TYPE_CHECKING:
    from .bindings import Names
    from .project import File, Project

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Maker = Callable[..., Any]
"""A function of a module. It stands for what it makes."""


class Table(Protocol[T_co]):
    """Rows of all files by name."""

    def get(self, name: Hashable, /) -> Sequence[tuple[File, T_co]]:
        """The rows of a name, in the order of the files."""

    def shared(self) -> Iterator[Sequence[tuple[File, T_co]]]:
        """The rows of each name that has several, in no order."""


class Memory:
    """Of one check."""

    def __init__(self) -> None:
        self._made: dict[Maker, tuple[tuple[Any, ...], Any]] = {}
        self._seen: dict[int, dict[str, list[Any]]] = {}
        self._order: list[int] = []
        self._expected: dict[Maker, None] = {}
        self._ahead: dict[Maker, list[Any]] = {}

    def file(self, path: str, facts: FileFacts, package_root: str, module: str, is_package: bool) -> File:
        """A file of a project."""
        from .project import File

        seen = self._seen.setdefault(id(facts), defaultdict(list))
        return File(path, facts, package_root, module, is_package, seen=seen)

    def names(self, file: File) -> Names:
        """What is bound at the top of a file."""
        from .bindings import Names

        return Names(file)

    def once(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> Any:
        """See `Project.once`."""
        known = self._made.get(make)
        if known is None or known[0] != arguments:
            known = self._made[make] = (arguments, make(project, *arguments))
        return known[1]

    def by_file(self, project: Project, look: Maker, arguments: tuple[Any, ...]) -> Iterator[tuple[File, Any]]:
        """See `Project.by_file`."""
        files = project.files
        if look in self._ahead:
            return zip(files, self._ahead.pop(look), strict=True)
        order = self._ordered(files)
        found: list[Any] = [None] * len(files)
        if look not in self._expected:
            for at in order:
                found[at] = look(project, files[at], *arguments)
            return zip(files, found, strict=True)
        together = [(each, [None] * len(files)) for each in self._expected]
        for at in order:
            file = files[at]
            for each, values in together:
                values[at] = each(project, file)
        self._ahead.update(together)
        self._expected.clear()
        return self.by_file(project, look, arguments)

    def by_name(self, project: Project, make: Maker, name: str) -> Any:
        """See `Project.by_name`."""
        return make(project, name)

    def _ordered(self, files: Sequence[File]) -> list[int]:
        """Copies of a file one after the other: what is decoded for the first is there for the next."""
        if not self._order:
            first: dict[int, int] = {}
            places = [first.setdefault(id(file.facts), at) for at, file in enumerate(files)]
            self._order = sorted(range(len(files)), key=places.__getitem__)
        return self._order

    def known(self, what: str) -> dict[Any, Any]:
        """See `Project.knows`."""
        return {}

    def expect(self, looks: Iterable[Maker]) -> None:
        """See `Project.expect`."""
        self._expected = dict.fromkeys(looks)

    def done(self, rows: Maker) -> None:
        """See `Project.done`."""
        self._made.pop(rows, None)

    def table(self, project: Project, rows: Callable[[File], Iterable[tuple[Hashable, T]]]) -> Table[T]:
        """See `Project.table`."""
        known = self._made.get(rows)
        if known is None:
            known = self._made[rows] = ((), Rows(project.files, rows))
        found: Table[T] = known[1]
        return found


class Rows:
    """Rows of all files by name; see `Table`."""

    def __init__(self, files: Iterable[File], rows: Callable[[File], Iterable[tuple[Hashable, Any]]]) -> None:
        # A file and a row of it where a name has one, else a flat list of both: pairs take four times as much.
        self._rows: dict[Hashable, tuple[File, Any] | list[Any]] = {}
        named = self._rows
        for file in files:
            for name, row in rows(file):
                known = named.setdefault(name, entry := (file, row))
                if known is not entry:
                    if isinstance(known, list):
                        known += entry
                    else:
                        named[name] = [*known, file, row]

    def get(self, name: Hashable) -> Sequence[tuple[File, Any]]:
        """See `Table.get`."""
        found = self._rows.get(name)
        if found is None:
            return ()
        return _Pairs(found) if isinstance(found, list) else (found,)

    def put(self, name: Hashable, pairs: Sequence[tuple[File, Any]]) -> None:
        """Other rows for a name."""
        if len(pairs) > 1:
            self._rows[name] = [each for pair in pairs for each in pair]
        elif pairs:
            self._rows[name] = pairs[0]
        else:
            self._rows.pop(name, None)

    def shared(self) -> Iterator[Sequence[tuple[File, Any]]]:
        """See `Table.shared`."""
        return (_Pairs(rows) for rows in self._rows.values() if isinstance(rows, list))


class _Pairs(Sequence[tuple["File", Any]]):
    """A flat list, taken two by two."""

    __slots__ = ("_flat",)

    def __init__(self, flat: list[Any]) -> None:
        self._flat = flat

    @overload
    def __getitem__(self, at: int) -> tuple[File, Any]: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[tuple[File, Any]]: ...

    def __getitem__(self, at: int | slice) -> tuple[File, Any] | Sequence[tuple[File, Any]]:
        return [*self][at]

    def __len__(self) -> int:
        return len(self._flat) // 2

    def __iter__(self) -> Iterator[tuple[File, Any]]:
        yield from zip(self._flat[::2], self._flat[1::2], strict=True)

    def __reversed__(self) -> Iterator[tuple[File, Any]]:
        return iter([*self][::-1])
