"""What a watcher sees of a code base, which says when it is read: files, the names in them, tables of their rows, and
what the project finds out of those on the way. `session` gives it to the project and writes down what was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, ItemsView, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from msgspec import structs

from .bindings import Names, codes
from .facts import Assignment, Class, FileFacts, Import
from .memory import Maker, Rows, T
from .project import File, Symbol

Note = int
"""The hash of something that is known: a file; a table and a name in it, or all that have several rows; a file and a
name that is bound there; a file, a table of its facts and a row there, apart from where that stands; something that the
project found out."""
_SHARED: Final = object()


class ReadTrace:
    """What is read: by the innermost of what is being made."""

    __slots__ = ("asked", "derived", "open", "reading")

    def __init__(self) -> None:
        self.reading: set[Note] | None = None
        self.asked: dict[Maker, tuple[Any, ...]] = {}
        self.open: list[tuple[Note, set[Note]]] = []
        """What the project is finding out, and what was being read around it."""
        self.derived: Callable[[Note, set[Note]], None] = lambda note, read: None

    def begin(self, note: Note) -> None:
        """Something is being found out."""
        if (reading := self.reading) is not None:
            self.open.append((note, reading))
            self.reading = set()

    def end(self, note: Note, *, kept: bool) -> None:
        """It is found out, and was read itself; what is not kept was read for what is around it."""
        if (read := self.reading) is not None:
            began, around = self.open.pop()
            assert began == note
            self.reading = around
            if kept:
                self.derived(note, read)
                around.add(note)
            else:
                around |= read


class Known(dict[Any, Any]):
    """What the project finds out, and keeps as long as a check: who asks reads what was read for it."""

    __slots__ = ("_trace", "_what")

    def __init__(self, trace: ReadTrace, what: str) -> None:
        super().__init__()
        self._trace = trace
        self._what = what

    def get(self, key: Any, default: Any = None, /) -> Any:
        known = key in self
        return self[key] if known else default

    def __contains__(self, key: object) -> bool:
        known = super().__contains__(key)
        note = hash((self._what, key))
        if not known:
            self._trace.begin(note)
        elif (reading := self._trace.reading) is not None:
            reading.add(note)
        return known

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self._trace.end(hash((self._what, key)), kept=True)

    def pop(self, key: Any, default: Any = None, /) -> Any:
        """What was missing is found out, and not kept."""
        self._trace.end(hash((self._what, key)), kept=False)
        return default


class SeenFile(File):
    """A file that says when it is read."""

    __slots__ = ("_facts", "_names", "note", "number", "trace")
    trace: ReadTrace
    number: int
    """Its place among the files."""
    note: Note
    _facts: FileFacts
    _names: Names

    def _get_facts(self) -> FileFacts:
        if (reading := self.trace.reading) is not None:
            reading.add(self.note)
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
            reading.add(hash((self, table, index)))
        return rows[index]

    def take(self, facts: FileFacts) -> set[Note]:
        """Take other facts. Which parts of what was known of the file are others now, itself among them."""
        before, bound = self._facts, self._names.codes()
        self._facts = facts
        self.seen = defaultdict(list)  # copies of the file share the one before
        self._names = SeenNames(self)
        now = self._names.codes()
        changed = {hash((self, name)) for name in {*bound, *now} if bound.get(name) != now.get(name)}
        changed.add(self.note)
        for table, shape in _SHAPES.items():
            rows = zip_longest(getattr(before, table), getattr(facts, table))
            changed |= {hash((self, table, at)) for at, (old, new) in enumerate(rows) if shape(old) != shape(new)}
        return changed

    facts = property(_get_facts, _set_facts)
    names = property(_get_names, _set_names)


class SeenNames(Names):
    """Names that say which of them are looked up."""

    __slots__ = ("_trace", "_whole")

    def __init__(self, file: SeenFile) -> None:
        super().__init__(file)
        self._trace = file.trace
        self._whole = file.note
        self._bound = codes(file)  # now, so that it is not taken for something that is read

    def __getitem__(self, name: str) -> list[Symbol]:
        self._note(hash((self._file, name)))
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None, /) -> Any:
        self._note(hash((self._file, name)))
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._note(hash((self._file, name)))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self._note(self._whole)
        return super().__iter__()

    def __len__(self) -> int:
        self._note(self._whole)
        return super().__len__()

    def items(self) -> ItemsView[str, list[Symbol]]:
        self._note(self._whole)
        return super().items()

    def defined(self) -> Iterator[tuple[str, int]]:
        self._note(self._whole)
        return super().defined()

    def several(self) -> Iterator[tuple[str, list[Symbol]]]:
        self._note(self._whole)
        return super().several()

    def _locals(self) -> dict[tuple[int, str], Symbol]:
        self._note(self._whole)
        return super()._locals()

    def _note(self, what: Note) -> None:
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


class SeenRows(Rows):
    """Rows that say which of them are asked for."""

    def __init__(
        self, trace: ReadTrace, rows: Callable[[File], Iterable[tuple[Hashable, Any]]], files: Iterable[File]
    ) -> None:
        self._trace = trace
        self._make = rows
        reading, trace.reading = trace.reading, None
        super().__init__(files, rows)
        trace.reading = reading

    def get(self, name: Hashable) -> Sequence[tuple[File, Any]]:
        if (reading := self._trace.reading) is not None:
            reading.add(hash((self._make, name)))
        return super().get(name)

    def shared(self) -> Iterator[Sequence[tuple[File, Any]]]:
        if (reading := self._trace.reading) is not None:
            reading.add(hash((self._make, _SHARED)))
        return super().shared()

    def of(self, file: File) -> dict[Hashable, list[Any]]:
        """The rows of a file, by name."""
        rows: dict[Hashable, list[Any]] = defaultdict(list)
        for name, row in self._make(file):
            rows[name].append(row)
        return rows

    def update(self, file: File, before: dict[Hashable, list[Any]]) -> set[Note]:
        """Take the rows of a file that had others before; what is known otherwise now."""
        now = self.of(file)
        changed: set[Note] = set()
        for name in {*before, *now}:
            if before.get(name) != now.get(name):
                changed.add(hash((self._make, name)))
                known = super().get(name)
                pairs = [pair for pair in known if pair[0] is not file]
                pairs += [(file, row) for row in now.get(name, ())]
                pairs.sort(key=lambda pair: pair[0].path)
                self.put(name, pairs)
                if len(known) > 1 or len(pairs) > 1:
                    changed.add(hash((self._make, _SHARED)))
        return changed
