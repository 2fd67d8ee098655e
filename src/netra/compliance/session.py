"""The memory of a watcher: what was found out holds until something that was read for it changes.

While something is made, every file whose facts are read is written down, and every name that is looked up in a table.
After a change only what read the changed file, or a name whose rows changed, is made again: parts (`by_file`), and of
the whole (`once`) also what was made of parts that came out otherwise. Other files or another configuration begin anew:
modules may then mean something else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, ItemsView, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final

from msgspec import structs

from .bindings import Names, codes
from .facts import Assignment, Class, FileFacts, Import
from .memory import Maker, Memory, T, Table
from .project import File, Project, Symbol

Name = tuple[Hashable, ...]
"""A part of what is known: a table and a name in it, or all that have several rows; a file and a name that is bound
there; a file, a table of its facts and a row there, apart from where that stands."""
_SHARED: Final = object()


class _Trace:
    """What is read: by the innermost of what is being made."""

    __slots__ = ("asked", "reading")

    def __init__(self) -> None:
        self.reading: set[File | Name] | None = None
        self.asked: dict[Maker, tuple[Any, ...]] = {}


class _SeenFile(File):
    """A file that says when it is read."""

    __slots__ = ("_facts", "_names", "trace")
    trace: _Trace
    _facts: FileFacts
    _names: Names

    def _get_facts(self) -> FileFacts:
        if (reading := self.trace.reading) is not None:
            reading.add(self)
        return self._facts

    def _set_facts(self, facts: FileFacts) -> None:
        self._facts = facts

    def _get_names(self) -> Names:
        return self._names

    def _set_names(self, names: Names) -> None:
        self._names = names

    def class_shape(self, index: int) -> Class:
        return self._row("classes", index, self._facts.classes)

    def import_shape(self, index: int) -> Import:
        return self._row("imports", index, self._facts.imports)

    def value_shape(self, index: int) -> Assignment:
        return self._row("assignments", index, self._facts.assignments)

    def _row(self, table: str, index: int, rows: list[T]) -> T:
        if (reading := self.trace.reading) is not None:
            reading.add((self, table, index))
        return rows[index]

    def take(self, facts: FileFacts) -> set[Name]:
        """Take other facts. Which parts of what was known of the file are others now."""
        before, bound = self._facts, self._names.codes()
        self._facts = facts
        self.seen.clear()
        self._names = _SeenNames(self)
        now = self._names.codes()
        changed: set[Name] = {(self, name) for name in {*bound, *now} if bound.get(name) != now.get(name)}
        for table, shape in _SHAPES.items():
            rows = zip_longest(getattr(before, table), getattr(facts, table))
            changed |= {(self, table, at) for at, (old, new) in enumerate(rows) if shape(old) != shape(new)}
        return changed

    facts = property(_get_facts, _set_facts)
    names = property(_get_names, _set_names)


class _SeenNames(Names):
    """Names that say which of them are looked up."""

    __slots__ = ("_trace",)

    def __init__(self, file: _SeenFile) -> None:
        super().__init__(file)
        self._trace = file.trace
        self._bound = codes(file)  # now, so that it is not taken for something that is read

    def __getitem__(self, name: str) -> list[Symbol]:
        self._note((self._file, name))
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None, /) -> Any:
        self._note((self._file, name))
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._note((self._file, name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._note(self._file)
        return super().__iter__()

    def __len__(self) -> int:
        self._note(self._file)
        return super().__len__()

    def items(self) -> ItemsView[str, list[Symbol]]:
        self._note(self._file)
        return super().items()

    def defined(self) -> Iterator[tuple[str, int]]:
        self._note(self._file)
        return super().defined()

    def several(self) -> Iterator[tuple[str, list[Symbol]]]:
        self._note(self._file)
        return super().several()

    def _locals(self) -> dict[tuple[int, str], Symbol]:
        self._note(self._file)
        return super()._locals()

    def _note(self, what: File | Name) -> None:
        if (reading := self._trace.reading) is not None:
            reading.add(what)


def _class_shape(row: Class | None) -> Hashable:
    if row is None:
        return None
    members = tuple(structs.replace(each, line=0) for each in row.members)
    return structs.astuple(structs.replace(row, line=0, end=0, digest="", members=[])), members


def _line_apart(row: Import | Assignment | None) -> Hashable:
    if row is None:
        return None
    if isinstance(row, Import):
        return structs.replace(row, line=0, end=0, column=0)
    return structs.replace(row, line=0)


_SHAPES: Final[dict[str, Callable[[Any], Hashable]]] = {
    "classes": _class_shape,
    "imports": _line_apart,
    "assignments": _line_apart,
}


@dataclass(slots=True, eq=False)
class _Whole:
    arguments: tuple[Any, ...]
    value: Any
    read: set[File | Name]
    asked: dict[Maker, tuple[Any, ...]]
    """What it was made of: parts and other wholes."""
    changed: int
    """When it was made."""
    checked: int
    """When it was last known to hold."""


@dataclass(slots=True, eq=False)
class _Parts:
    arguments: tuple[Any, ...]
    changed: int
    values: dict[File, Any] = field(default_factory=dict)
    read: dict[File, set[File | Name]] = field(default_factory=dict)
    stale: set[File] = field(default_factory=set)


class _Rows:
    def __init__(
        self, trace: _Trace, rows: Callable[[File], Iterable[tuple[Hashable, Any]]], files: Iterable[File]
    ) -> None:
        self._trace = trace
        self._make = rows
        self._of: dict[File, dict[Hashable, list[Any]]] = {}
        self._named: dict[Hashable, dict[File, list[Any]]] = defaultdict(dict)
        self._several: dict[Hashable, None] = {}
        for file in files:
            self.update(file)

    def get(self, name: Hashable) -> Sequence[tuple[File, Any]]:
        if (reading := self._trace.reading) is not None:
            reading.add((self._make, name))
        return self._rows(name)

    def shared(self) -> Iterator[Sequence[tuple[File, Any]]]:
        if (reading := self._trace.reading) is not None:
            reading.add((self._make, _SHARED))
        return map(self._rows, self._several)

    def _rows(self, name: Hashable) -> Sequence[tuple[File, Any]]:
        by_file = self._named.get(name)
        if not by_file:
            return ()
        files = sorted(by_file, key=lambda file: file.path) if len(by_file) > 1 else by_file
        return [(file, row) for file in files for row in by_file[file]]

    def update(self, file: File) -> set[Name]:
        """Take the rows of a file; the names whose rows are others now."""
        rows: dict[Hashable, list[Any]] = defaultdict(list)
        reading, self._trace.reading = self._trace.reading, None
        for name, row in self._make(file):
            rows[name].append(row)
        self._trace.reading = reading
        before = self._of.get(file, {})
        self._of[file] = rows
        changed = {name for name in {*before, *rows} if before.get(name) != rows.get(name)}
        shared = False
        for name in changed:
            named = self._named[name]
            if name in rows:
                named[file] = rows[name]
            else:
                del named[file]
            several = len(named) > 1 or any(len(each) > 1 for each in named.values())
            shared = shared or several or name in self._several
            if several:
                self._several[name] = None
            else:
                self._several.pop(name, None)
        names: set[Name] = {(self._make, name) for name in changed}
        return {*names, (self._make, _SHARED)} if shared else names


class WatchSession(Memory):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._trace = _Trace()
        self._frame: object = None
        self._project: Project | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._now = 1
        self._just_changed: set[File | Name] = set()
        self._changed: dict[File | Name, int] = {}
        self._wholes: dict[Maker, _Whole] = {}
        self._parts: dict[Maker, _Parts] = {}
        self._tables: dict[Maker, _Rows] = {}
        self._readers: dict[File | Name, set[tuple[_Parts, File]]] = defaultdict(set)

    def project(
        self, read: Sequence[tuple[str, FileFacts]], frame: tuple[Any, ...], make: Callable[[], Project]
    ) -> Project:
        """The project of some facts: the one before, where only facts changed.

        Args:
            frame: what else it is made of; where that differs, everything is made again.
            make: makes it.
        """
        frame = ([path for path, _ in read], *frame)
        if self._project is None or self._frame != frame:
            self._project = None
            self._begin_anew()
            self._project, self._frame = make(), frame
            return self._project
        changed = [
            (file, facts)
            for file, (_, facts) in zip(self._project.files, read, strict=True)
            if file.facts is not facts and file.facts != facts
        ]
        names: set[Name] = set()
        for file, facts in changed:
            assert isinstance(file, _SeenFile)
            names |= file.take(facts)
        self._step([file for file, _ in changed], names)
        self._project = self._project.renewed()
        return self._project

    def _step(self, files: Sequence[File], names: set[Name]) -> None:
        self._now += 1
        just: set[File | Name] = {*files, *names}
        for table in self._tables.values():
            for file in files:
                just |= table.update(file)
        self._just_changed = just
        for each in just:
            self._changed[each] = self._now
            for parts, file in self._readers.get(each, ()):
                parts.stale.add(file)

    def file(self, path: str, facts: FileFacts, package_root: str, module: str, is_package: bool) -> File:
        """A file that says when it is read."""
        file = _SeenFile(path, facts, package_root, module, is_package)
        file.trace = self._trace
        return file

    def names(self, file: File) -> Names:
        """Names that say which of them are looked up."""
        assert isinstance(file, _SeenFile)
        return _SeenNames(file)

    def once(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> Any:
        """See `Project.once`."""
        self._trace.asked[make] = arguments
        return self._whole(project, make, arguments).value

    def by_file(self, project: Project, look: Maker, arguments: tuple[Any, ...]) -> Iterator[tuple[File, Any]]:
        """See `Project.by_file`."""
        self._trace.asked[look] = arguments
        return iter(self._updated(project, look, arguments).values.items())

    def expect(self, looks: Iterable[Maker]) -> None:
        """Nothing: what a watcher makes of a file depends on what was read for that alone."""

    def done(self, rows: Maker) -> None:
        """Nothing: the next change asks for it again."""

    def table(self, project: Project, rows: Callable[[File], Iterable[tuple[Hashable, T]]]) -> Table[T]:
        """See `Project.table`."""
        known = self._tables.get(rows)
        if known is None:
            known = self._tables[rows] = _Rows(self._trace, rows, project.files)
        return known

    def _whole(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> _Whole:
        known = self._wholes.get(make)
        if known is not None and known.arguments == arguments and self._holds(project, known):
            known.checked = self._now
            return known
        value, read, asked = self._traced(project, make, (project, *arguments))
        known = self._wholes[make] = _Whole(arguments, value, read, asked, self._now, self._now)
        return known

    def _holds(self, project: Project, known: _Whole) -> bool:
        since = known.checked
        if since == self._now:
            return True
        if since == self._now - 1:
            if not known.read.isdisjoint(self._just_changed):
                return False
        elif any(self._changed.get(each, 0) > since for each in known.read):
            return False
        for make, arguments in known.asked.items():
            part = make in self._parts
            made = self._updated(project, make, arguments) if part else self._whole(project, make, arguments)
            if made.changed > since:
                return False
        return True

    def _updated(self, project: Project, look: Maker, arguments: tuple[Any, ...]) -> _Parts:
        """The parts by file, with those made again that read something else before."""
        known = self._parts.get(look)
        if known is None or known.arguments != arguments:
            known = self._parts[look] = _Parts(arguments, self._now, stale=set(project.files))
            known.values = dict.fromkeys(project.files)
        for file in tuple(known.stale):
            value, read, asked = self._traced(project, look, (project, file, *arguments))
            if asked:
                raise TypeError(f"{look.__qualname__} looks at one file and asks for the whole: {[*asked]}")
            before = known.read.get(file, set())
            for each in before - read:
                self._readers[each].discard((known, file))
            for each in read - before:
                self._readers[each].add((known, file))
            if file not in known.read or value != known.values[file]:
                known.values[file] = value
                known.changed = self._now
            known.read[file] = read
            known.stale.discard(file)
        return known

    def _traced(
        self, project: Project, make: Maker, arguments: tuple[Any, ...]
    ) -> tuple[Any, set[File | Name], dict[Maker, tuple[Any, ...]]]:
        trace = self._trace
        before = trace.reading, trace.asked
        read: set[File | Name] = set()
        asked: dict[Maker, tuple[Any, ...]] = {}
        trace.reading, trace.asked = read, asked
        # What the project remembers was read for something else; nobody would write it down again.
        project.forget()
        try:
            return make(*arguments), read, asked
        finally:
            trace.reading, trace.asked = before
            project.forget()
