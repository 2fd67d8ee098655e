"""The memory of a watcher: what was found out holds until something that was read for it changes.

While something is made, every file whose facts are read is written down, and every name that is looked up in a table.
After a change only what read the changed file, or a name whose rows changed, is made again: parts (`by_file`), and of
the whole (`once`) also what was made of parts that came out otherwise. Other files or another configuration begin anew:
modules may then mean something else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .facts import FileFacts
from .memory import Maker, Memory, T, Table
from .project import File, Names, Project

Name = tuple[Maker, Hashable]
"""A name in a table, or all that have several rows."""
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
        if (reading := self.trace.reading) is not None:
            reading.add(self)
        return self._names

    def _set_names(self, names: Names) -> None:
        self._names = names

    facts = property(_get_facts, _set_facts)
    names = property(_get_names, _set_names)


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


class Session(Memory):
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
        for file, facts in changed:
            file.facts = facts
            file.names = Names(file)
        self._step(file for file, _ in changed)
        self._project = self._project.renewed()
        return self._project

    def _step(self, changed: Iterable[File]) -> None:
        self._now += 1
        files = list(changed)
        just: set[File | Name] = set(files)
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

    def once(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> Any:
        """See `Project.once`."""
        self._trace.asked[make] = arguments
        return self._whole(project, make, arguments).value

    def by_file(self, project: Project, look: Maker, arguments: tuple[Any, ...]) -> Iterator[tuple[File, Any]]:
        """See `Project.by_file`."""
        self._trace.asked[look] = arguments
        return iter(self._updated(project, look, arguments).values.items())

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
