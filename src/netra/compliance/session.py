"""The memory of a watcher: what was found out holds until something that was read for it changes.

While something is made, every file whose facts are read is written down, and every name that is looked up in a table.
After a change only what read the changed file, or a name whose rows changed, is made again: parts (`by_file`), and of
the whole (`once`) also what was made of parts that came out otherwise. What the project itself finds out on the way
(the ancestry of a class) is found out once a check; what was read for it is written down once too, however many parts
ask for it. Other files or another configuration begin anew: modules may then mean something else.

A large tree has millions of notes, so a note is one number: the hash of what was read. Two things of one hash would
only make something again that holds.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from .bindings import Names
from .facts import FileFacts
from .memory import Maker, Memory, T, Table
from .project import File, Project
from .seen import Known, Note, ReadTrace, SeenFile, SeenNames, SeenRows

_BUCKETS: Final = 1 << 16


@dataclass(slots=True, eq=False)
class _Whole:
    arguments: tuple[Any, ...]
    value: Any
    read: array[Note]
    asked: dict[Maker, tuple[Any, ...]]
    """What it was made of: parts and other wholes."""
    changed: int
    """When it was made."""
    checked: int
    """When it was last known to hold."""
    stale: bool = False


@dataclass(slots=True, eq=False)
class _Parts:
    """What a look makes of each file, by its number.

    Args:
        first: the number as a reader of the first file's part; the others follow.
        last: what was made last.
    """

    arguments: tuple[Any, ...]
    first: int
    changed: int
    values: list[Any]
    stale: set[int]
    last: Any = None


class _Readers:
    """Who read what. Readers are numbers; they are found by the low bits of what they read, and asked."""

    def __init__(self) -> None:
        self._read: list[Note | array[Note]] = []
        self._found: list[array[int]] = [array("I") for _ in range(_BUCKETS)]
        self._derived: dict[Note, int] = {}
        self._note_of: dict[int, Note] = {}

    def more(self, count: int) -> int:
        """The first of new readers."""
        first = len(self._read)
        self._read += [_NOTHING] * count
        return first

    def reads(self, reader: int, read: set[Note]) -> None:
        """What one read, instead of what it read before."""
        is_new = self._read[reader] is _NOTHING
        self._read[reader] = next(iter(read)) if len(read) == 1 else array("q", read)
        for note in read:
            found = self._found[note % _BUCKETS]
            if not found or (found[-1] != reader if is_new else reader not in found):
                found.append(reader)

    def derive(self, note: Note, read: set[Note]) -> None:
        """What was read for something that is read itself."""
        reader = self._derived.get(note)
        if reader is None:
            reader = self._derived[note] = self.more(1)
            self._note_of[reader] = note
        self.reads(reader, read)

    def of(self, changed: set[Note]) -> set[int]:
        """Who read something that changed. What was derived of it is added to what changed."""
        stale: set[int] = set()
        waiting = [*changed]
        while waiting:
            each = waiting.pop()
            for reader in set(self._found[each % _BUCKETS]) - stale:
                read = self._read[reader]
                if each == read or (not isinstance(read, int) and each in read):
                    stale.add(reader)
                    if (note := self._note_of.get(reader)) is not None and note not in changed:
                        changed.add(note)
                        waiting.append(note)
        return stale


_NOTHING: Final[array[Note]] = array("q")


class WatchSession(Memory):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._trace = ReadTrace()
        self._frame: object = None
        self._project: Project | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._now = 1
        self._wholes: dict[Maker, _Whole] = {}
        self._parts: dict[Maker, _Parts] = {}
        self._named: dict[tuple[Maker, str], Any] = {}
        self._tables: dict[Maker, SeenRows] = {}
        self._readers = _Readers()
        self._trace.derived = self._readers.derive
        self._files = count()
        self._order.clear()

    def end(self) -> None:
        """Know nothing any more."""
        self._project = None
        self._begin_anew()

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
            self.end()
            self._project, self._frame = make(), frame
            self._seen.clear()  # facts that come may have the place in memory of some that went
            return self._project
        self._take(
            [
                (file, facts)
                for file, (_, facts) in zip(self._project.files, read, strict=True)
                if file.facts is not facts and file.facts != facts
            ]
        )
        self._project = self._project.renewed()
        return self._project

    def _take(self, fresh: Sequence[tuple[File, FileFacts]]) -> None:
        self._now += 1
        changed: set[Note] = set()
        for file, facts in fresh:
            assert isinstance(file, SeenFile)
            before = [(table, table.of(file)) for table in self._tables.values()]
            changed |= file.take(facts)
            for table, rows in before:
                changed |= table.update(file, rows)
        stale = self._readers.of(changed)
        for parts in self._parts.values():
            after = parts.first + len(parts.values)
            parts.stale |= {reader - parts.first for reader in stale if parts.first <= reader < after}
        for key in [key for key in self._named if hash(key) in changed]:
            del self._named[key]
        for whole in self._wholes.values():
            whole.stale = whole.stale or not changed.isdisjoint(whole.read)

    def file(self, path: str, facts: FileFacts, package_root: str, module: str, is_package: bool) -> File:
        """A file that says when it is read."""
        seen = self._seen.setdefault(id(facts), defaultdict(list))
        file = SeenFile(path, facts, package_root, module, is_package, seen=seen)
        file.trace = self._trace
        file.number = next(self._files)
        file.note = hash(file)
        return file

    def names(self, file: File) -> Names:
        """Names that say which of them are looked up."""
        assert isinstance(file, SeenFile)
        return SeenNames(file)

    def known(self, what: str) -> dict[Any, Any]:
        """See `Project.knows`."""
        return Known(self._trace, what)

    def once(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> Any:
        """See `Project.once`."""
        self._trace.asked[make] = arguments
        return self._whole(project, make, arguments).value

    def by_file(self, project: Project, look: Maker, arguments: tuple[Any, ...]) -> Iterator[tuple[File, Any]]:
        """See `Project.by_file`."""
        self._trace.asked[look] = arguments
        return zip(project.files, self._updated(project, look, arguments).values, strict=True)

    def by_name(self, project: Project, make: Maker, name: str) -> Any:
        """See `Project.by_name`."""
        key = make, name
        if (reading := self._trace.reading) is not None:
            reading.add(hash(key))
        if key not in self._named:
            value, read, asked = self._traced(project, make, (project, name))
            _ask_nothing(make, asked)
            self._readers.derive(hash(key), read)
            self._named[key] = value
        return self._named[key]

    def done(self, rows: Maker) -> None:
        """Nothing: the next change asks for it again."""

    def table(self, project: Project, rows: Callable[[File], Iterable[tuple[Hashable, T]]]) -> Table[T]:
        """See `Project.table`."""
        known = self._tables.get(rows)
        if known is None:
            known = self._tables[rows] = SeenRows(self._trace, rows, project.files)
        return known

    def _whole(self, project: Project, make: Maker, arguments: tuple[Any, ...]) -> _Whole:
        known = self._wholes.get(make)
        if known is not None and known.arguments == arguments and self._holds(project, known):
            known.checked = self._now
            return known
        value, read, asked = self._traced(project, make, (project, *arguments))
        known = self._wholes[make] = _Whole(arguments, value, array("q", read), asked, self._now, self._now)
        return known

    def _holds(self, project: Project, known: _Whole) -> bool:
        since = known.checked
        if since == self._now:
            return True
        if known.stale:
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
        if known is not None and known.arguments == arguments:
            for number in sorted(known.stale):
                self._make(project, look, known, number)
            return known
        looks = [look]
        if look in self._expected:
            looks += [each for each in self._expected if each not in self._parts and each is not look]
        files = len(project.files)
        together = {
            each: _Parts(
                arguments if each is look else (), self._readers.more(files), self._now, [None] * files, {*range(files)}
            )
            for each in looks
        }
        self._parts |= together
        for number in self._ordered(project.files):
            for each, parts in together.items():
                self._make(project, each, parts, number)
        return together[look]

    def _make(self, project: Project, look: Maker, parts: _Parts, number: int) -> None:
        value, read, asked = self._traced(project, look, (project, project.files[number], *parts.arguments))
        _ask_nothing(look, asked)
        self._readers.reads(parts.first + number, read)
        if value != parts.values[number]:
            # Most files have nothing of most things, which is in memory once.
            parts.last = parts.last if value == parts.last else value
            parts.values[number] = parts.last
            parts.changed = self._now
        parts.stale.discard(number)

    def _traced(
        self, project: Project, make: Maker, arguments: tuple[Any, ...]
    ) -> tuple[Any, set[Note], dict[Maker, tuple[Any, ...]]]:
        trace = self._trace
        before = trace.reading, trace.asked, trace.open
        read: set[Note] = set()
        asked: dict[Maker, tuple[Any, ...]] = {}
        trace.reading, trace.asked, trace.open = read, asked, []
        # What is remembered for one file was read for something else; nobody would write it down again.
        project.forget()
        try:
            return make(*arguments), read, asked
        finally:
            trace.reading, trace.asked, trace.open = before
            project.forget()


def _ask_nothing(look: Maker, asked: dict[Maker, tuple[Any, ...]]) -> None:
    if asked:
        raise TypeError(f"{look.__qualname__} looks at one file or name and asks for the whole: {[*asked]}")
