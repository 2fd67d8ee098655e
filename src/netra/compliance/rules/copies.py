"""Copies that are found by what they say, not by their name: SSOT111 functions, SSOT112 near copies, SSOT113 files.

Digests and sketches are facts of each function, so nothing is compared pair by pair: equal digests fall into one group,
and near copies meet in an index of the smallest hashes of their sketches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from netra.compliance.config import Config
from netra.compliance.deployables import deployable
from netra.compliance.facts import MODULE, SKETCH, FileFacts, Function
from netra.compliance.glance import function_count, glance
from netra.compliance.naming import is_foreign, version, without_variant
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.text import hashes

LIKENESS = 0.85
"""Estimated common lines of all lines, from which on two functions are near copies."""
FEWEST_HASHES = 12
"""Of a near copy: about sixty nodes of a syntax tree."""
MOST_COPIES = 10
"""Modules with one text; more of them were written by a program."""
MOST_ALIKE = 40
"""Functions that share a hash; more of them share an idiom."""
FILE_LINES = 25
LONE_LINES = 40
"""Of a file with a single definition, and of the front of a package: fewer are an entry of a program."""
_PREFIX = SKETCH - math.ceil(LIKENESS * SKETCH) + 2
"""Two sketches that are alike have at least one hash among so many of the smallest in common."""

_Row = tuple[File, int]


class _Sketch(NamedTuple):
    """What is compared of a function."""

    at: int
    name: str
    is_async: bool
    digest: str
    sketch: bytes


def copied_functions(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT111: functions of one text in several modules."""
    for group in project.table(_texts).shared():
        rows = _one_each(group)
        if not 2 <= len(rows) <= MOST_COPIES or _whole_files_are_copies(rows) or _whole_classes_are_copies(rows):
            continue
        name = _function(rows[0]).name
        yield _finding(
            "SSOT111",
            Severity.WARNING,
            rows,
            f"{len(rows)} modules have the same copy of {name}().",
            "Keep one and import it elsewhere.",
        )
    project.done(_texts)


def near_copies(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT112: functions that differ in a few lines."""
    parent: dict[_Row, _Row] = {}

    def root(row: _Row) -> _Row:
        while (above := parent.get(row, row)) != row:
            row = above
        return row

    for file, found in project.by_file(_near):
        for at, other in found:
            if root((file, at)) != root(other):
                parent[root(other)] = root((file, at))
    project.done(_sketches)
    groups: dict[_Row, list[_Row]] = defaultdict(list)
    for row in {*parent, *parent.values()}:
        groups[root(row)].append(row)
    for group in groups.values():
        names = sorted({_function(each).qualname for each in group})
        yield _finding(
            "SSOT112",
            Severity.INFO,
            group,
            f"{', '.join(names[:4])}{', …' if len(names) > 4 else ''} are nearly the same.",
            "Make one of them with a parameter for what differs.",
        )


def _texts(file: File) -> Iterator[tuple[tuple[Hashable, str], int]]:
    """The functions of a file by their text and what they are deployed with."""
    if not _is_ours(file):
        return
    home = _home(file)
    for digest, at in _digests(file):
        yield (home, digest), at


@glance("functions")
def _digests(facts: FileFacts) -> tuple[tuple[str, int], ...]:
    """The functions of a file of which copies are looked for."""
    return tuple(
        (row.digest, at)
        for at, row in enumerate(facts.functions)
        if row.digest and row.sketch and not row.stub and row.outer == MODULE and not _is_accessor(row)
    )


def _is_accessor(row: Function) -> bool:
    """Whether a function is what an assignment to a property calls: those of one type have one text."""
    return any(each.endswith((".setter", ".deleter")) for each in row.decorators)


def _sketches(file: File) -> Iterator[tuple[int, _Sketch]]:
    """The functions of a file that are long enough, by each of their smallest hashes."""
    if _is_ours(file):
        for sketch in _long(file):
            for each in hashes(sketch.sketch[: 4 * _PREFIX]):
                yield each, sketch


@glance("functions")
def _long(facts: FileFacts) -> tuple[_Sketch, ...]:
    return tuple(
        _Sketch(at, row.name, row.is_async, row.digest, row.sketch)
        for at, row in enumerate(facts.functions)
        if len(row.sketch) >= 4 * FEWEST_HASHES and row.outer == MODULE
    )


def _near(project: Project, file: File) -> list[tuple[int, _Row]]:
    """The near copies of the functions of a file, here and in the files behind it."""
    table = project.table(_sketches)
    found: dict[tuple[int, _Row], None] = {}
    seen: set[tuple[int, _Row]] = set()
    for key, one in _sketches(file):
        candidates = table.get(key)
        if not 1 < len(candidates) <= MOST_ALIKE:
            continue
        for other_file, other in candidates:
            pair = (one.at, (other_file, other.at))
            if (other_file.path, other.at) > (file.path, one.at) and pair not in seen:
                seen.add(pair)
                if _are_near(one, other) and _home(file) == _home(other_file):
                    found[pair] = None
    return [*found]


def copied_files(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT113: files of one text."""
    for group in _copied_files(project):
        first, *rest = sorted(group, key=lambda file: (_is_backup(file), file.path.count("/"), file.path))
        yield Finding(
            "SSOT113",
            Severity.WARNING,
            Place(rest[0].path, 1, "copy"),
            f"{len(group)} files of {first.facts.lines:,} lines are copies of each other.",
            tuple(sorted(file.path for file in group)),
            related=(Place(first.path, 1, "canonical"), *(Place(file.path, 1, "copy") for file in rest[1:])),
            paths=tuple(file.path for file in group),
            canonical=first.path,
            hint=f"Import {first.module} instead, and delete the others; `exclude` leaves out copies that must stay.",
        )


def _copied_files(project: Project) -> list[list[File]]:
    groups = [[file for file, _ in rows] for rows in project.table(_whole_texts).shared()]
    project.done(_whole_texts)
    return [group for group in groups if len(_apart(group)) > 1 and not _is_private_to_each(group)]


def _whole_texts(file: File) -> Iterator[tuple[tuple[Hashable, str], None]]:
    """A file by its text and what it is deployed with, when there is enough of it."""
    if not _is_ours(file):
        return
    facts = file.facts
    definitions = len(facts.classes) + function_count(file)
    least = LONE_LINES if definitions < 2 or file.is_package else FILE_LINES
    if facts.digest and facts.lines >= least and definitions:
        yield (_home(file), facts.digest), None


def _is_private_to_each(files: list[File]) -> bool:
    """Whether they are one private module of several packages."""
    names = {file.path.rpartition("/")[2] for file in files}
    return len(names) == 1 and next(iter(names)).startswith("_") and len(files) > 2


def _is_backup(file: File) -> bool:
    name = file.path.rpartition("/")[2].removesuffix(".py").lower()
    return any(word in name for word in ("backup", "copy", "_bak", "_old", "_orig"))


def _is_ours(file: File) -> bool:
    return file.scope == "core" and not file.facts.generated and not is_foreign(file.path)


def _home(file: File) -> Hashable:
    """What a file is deployed with, and the version of the interface it belongs to: copies of others are no matter."""
    return *deployable(file), version(file.path)


def _apart(files: Sequence[File]) -> list[File]:
    """One file of each platform or style of calling."""
    return list({without_variant(file.path): file for file in files}.values())


def _one_each(rows: Sequence[_Row]) -> list[_Row]:
    by_file = {file.path: (file, index) for file, index in reversed(rows)}
    kept = {file.path for file in _apart([file for file, _ in by_file.values()])}
    return sorted((row for path, row in by_file.items() if path in kept), key=lambda row: row[0].path)


def _function(row: _Row) -> Function:
    return row[0].facts.functions[row[1]]


def _whole_files_are_copies(rows: list[_Row]) -> bool:
    return len({file.facts.digest for file, _ in rows}) == 1


def _whole_classes_are_copies(rows: list[_Row]) -> bool:
    owners = {
        file.facts.classes[function.owner].digest if function.owner != MODULE else f"{file.path}:{function.name}"
        for file, function in ((file, file.facts.functions[at]) for file, at in rows)
    }
    return len(owners) == 1


def _are_near(left: _Sketch, right: _Sketch) -> bool:
    """Whether two functions that are deployed together are near copies."""
    if left.digest == right.digest or left.name == right.name:
        return False  # a copy, or the same method of two classes
    if left.is_async != right.is_async:
        return False  # a function in both styles of calling
    return _are_alike(left.sketch, right.sketch)


@lru_cache(maxsize=65536)
def _are_alike(one: bytes, other: bytes) -> bool:
    ours, theirs = set(hashes(one)), set(hashes(other))
    if len(ours & theirs) < LIKENESS * max(len(ours), len(theirs)):
        return False  # the union has at least so many
    smallest = sorted(ours | theirs)[:SKETCH]
    return sum(each in ours and each in theirs for each in smallest) >= LIKENESS * len(smallest)


def _finding(rule: str, severity: Severity, rows: list[_Row], message: str, hint: str) -> Finding:
    rows = sorted(rows, key=lambda row: (row[0].path, _function(row).line))
    first, second, *rest = [
        Place(file.path, file.facts.functions[at].line, file.facts.functions[at].qualname) for file, at in rows
    ]
    names = sorted(Symbol("function", file, at).qualified for file, at in rows)
    return Finding(
        rule,
        severity,
        second,
        message,
        tuple(names),
        related=(first, *rest),
        paths=tuple(dict.fromkeys(file.path for file, _ in rows)),
        canonical=first.path,
        hint=hint,
    )


RULES = (
    Rule(
        "SSOT111",
        "copied-function",
        Severity.WARNING,
        "Several modules have a copy of one function.",
        copied_functions,
        exposure="functions",
    ),
    Rule(
        "SSOT112",
        "near-copied-symbol",
        Severity.INFO,
        "Functions of other names differ in a few lines only.",
        near_copies,
        exposure="functions",
    ),
    Rule(
        "SSOT113",
        "copied-file",
        Severity.WARNING,
        "Several files of one deployable are copies of each other.",
        copied_files,
        exposure="modules",
    ),
)
