"""Which module imports which: one graph for the rules about architecture, the layer picture and `netra ssot graph`.

`graph(project)` builds it once, in time linear in the imports. A link goes to the module whose import statement names:
`from a.b import c` leads to `a.b.c` where that is a module and `a.b` does not bind the name itself, else to `a.b`. That
Python also runs the packages above a module is left out, as every other tool leaves it out. What only type checkers see
is kept and marked, and counts for nothing.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property

from msgspec import Struct

from .facts import How, Import
from .project import File, Project, Symbol
from .rule import Place

MOST_STARTS = 64
"""Modules of a component from which its shortest cycle is looked for; the shortest cycle of all of a large one costs
time that is quadratic in its size, and any short one explains it."""


class Link(Struct, frozen=True):
    """An import of one module by another.

    Args:
        imported: None for a module of another distribution.
        name: dotted, of what is imported.
        row: of the importer's imports.
        how: of the import statement, see `facts.How`.
    """

    importer: File
    imported: File | None
    name: str
    row: int
    how: int

    @property
    def line(self) -> int:
        """Of the import statement."""
        return self.importer.facts.imports[self.row].line

    @property
    def typing(self) -> bool:
        """Only type checkers see it."""
        return bool(self.how & How.TYPE_CHECKING)

    @property
    def deferred(self) -> bool:
        """It stands in a function, and happens when that is called."""
        return bool(self.how & How.IN_FUNCTION)

    @property
    def always(self) -> bool:
        """It happens whenever the importer is imported, and not only under an `if`."""
        return not self.how & (How.IN_FUNCTION | How.TYPE_CHECKING | How.BRANCHED) and (
            not self.how & How.CONDITIONAL or bool(self.how & How.GUARDED)
        )


@dataclass(eq=False)
class Graph:
    """See the module.

    Args:
        links: by importer; to each imported module the most immediate import only, the first of them by line.
    """

    files: tuple[File, ...]
    links: dict[File, tuple[Link, ...]]
    _expanded: dict[str, tuple[File, ...]] = field(default_factory=dict)

    def of(self, importer: File) -> tuple[Link, ...]:
        """What a module imports."""
        return self.links.get(importer, ())

    def __iter__(self) -> Iterator[Link]:
        for links in self.links.values():
            yield from links

    @cached_property
    def importers(self) -> dict[File, tuple[Link, ...]]:
        """The imports of each module by others."""
        found: dict[File, list[Link]] = {}
        for link in self:
            if link.imported is not None:
                found.setdefault(link.imported, []).append(link)
        return {file: tuple(links) for file, links in found.items()}

    def modules(self, pattern: str) -> tuple[File, ...]:
        """The modules a name or pattern stands for, and everything below them. In a pattern `*` is one component of a
        name and `**` any number, but one."""
        known = self._expanded.get(pattern)
        if known is None:
            matches = below(pattern)
            known = self._expanded[pattern] = tuple(file for file in self.files if matches(file.module))
        return known

    @cached_property
    def cycles(self) -> tuple[Cycle, ...]:
        """The strongly connected components of what is imported at import time, the largest first."""
        found = [_cycle(self, members) for members in components(self.files, self._immediate)]
        return tuple(sorted(found, key=lambda each: (-len(each.members), each.members[0].path)))

    def _immediate(self, file: File) -> Iterator[File]:
        return (link.imported for link in self.of(file) if link.imported is not None and link.always)

    def chain(
        self,
        sources: Iterable[File],
        is_target: Callable[[Link], bool],
        passes: Callable[[File], bool],
        *,
        ignored: Callable[[Link], bool] = lambda link: False,
        deferred: bool = False,
    ) -> tuple[Link, ...]:
        """The shortest chain of imports from one of `sources` to a target, through modules that `passes` lets pass;
        empty when there is none.

        Args:
            deferred: follow imports inside functions as well.
        """
        queue = deque(sources)
        came: dict[File, Link | None] = dict.fromkeys(queue)
        while queue:
            file = queue.popleft()
            for link in self.of(file):
                if link.typing or (link.deferred and not deferred) or ignored(link):
                    continue
                if is_target(link):
                    return _back(came, link)
                if link.imported is not None and link.imported not in came and passes(link.imported):
                    came[link.imported] = link
                    queue.append(link.imported)
        return ()


@dataclass(frozen=True, slots=True)
class Cycle:
    """Modules each of which imports each other, directly or through others.

    Args:
        members: by module name.
        example: a short closed chain among them.
    """

    members: tuple[File, ...]
    example: tuple[Link, ...]


def graph(project: Project) -> Graph:
    """The graph of a project, built once."""
    return project.once(_build)


def _build(project: Project) -> Graph:
    found = sorted(project.by_file(_links), key=lambda each: (each[0].module, each[0].path))
    return Graph(tuple(file for file, _ in found), {file: links for file, links in found if links})


def _links(project: Project, file: File) -> tuple[Link, ...]:
    best: dict[File | str, Link] = {}
    for index, (row, module) in enumerate(project.sources(file)):
        target = _target(project, file, row, module)
        if target is None or target is file:
            continue
        imported = target if isinstance(target, File) else None
        link = Link(file, imported, imported.module if imported else str(target), index, row.how)
        known = best.get(target)
        if known is None or _delay(link) < _delay(known):
            best[target] = link
    return tuple(best.values())


def _delay(link: Link) -> int:
    return 3 if link.typing else 2 if link.deferred else 0 if link.always else 1


def _target(project: Project, file: File, row: Import, module: Symbol) -> File | str | None:
    """The module an import leads to, the name of an external one, or None."""
    if module.kind == "external":
        return module.name
    if module.kind != "module":
        return None
    if not row.name or row.name == "*":
        return module.file
    if module.file is None:
        inner = project.imported(file, row, module=module).symbol
        return inner.file if inner.kind == "module" else None
    if module.file.is_package:
        directory = module.file.directory
        below_it = project.by_path.get(f"{directory}/{row.name}.py") or project.by_path.get(
            f"{directory}/{row.name}/__init__.py"
        )
        if below_it is not None:
            own = [
                each
                for each in module.file.names.get(row.name, ())
                if not each.how & How.TYPE_CHECKING and not _is_of_itself(project, module.file, each)
            ]
            if not own or module.file is file or project.member(module.file, row.name).symbol.kind == "module":
                return below_it
        elif row.name not in module.file.names:
            compiled = project.member(module.file, row.name).symbol
            if compiled.kind == "external":
                return compiled.name
    return module.file


def _is_of_itself(project: Project, package: File, symbol: Symbol) -> bool:
    """Whether a name of a package is one that it takes from itself, which only one of its modules can be."""
    if symbol.kind != "import":
        return False
    row = package.import_shape(symbol.index)
    return project.module(package, row.module, row.level).file is package


def _back(came: dict[File, Link | None], last: Link) -> tuple[Link, ...]:
    links = [last]
    while (link := came[links[-1].importer]) is not None:
        links.append(link)
    return tuple(reversed(links))


def _cycle(graph: Graph, members: list[File]) -> Cycle:
    inside = set(members)
    members.sort(key=lambda file: (file.module, file.path))
    shortest: tuple[Link, ...] = ()
    for start in members[:MOST_STARTS]:
        found = _around(graph, start, inside)
        if found and (not shortest or len(found) < len(shortest)):
            shortest = found
        if len(shortest) == 2:
            break
    return Cycle(tuple(members), shortest)


def _around(graph: Graph, start: File, inside: set[File]) -> tuple[Link, ...]:
    queue = deque([start])
    came: dict[File, Link | None] = {start: None}
    while queue:
        file = queue.popleft()
        for link in graph.of(file):
            if link.imported is None or not link.always or link.imported not in inside:
                continue
            if link.imported is start:
                return _back(came, link)
            if link.imported not in came:
                came[link.imported] = link
                queue.append(link.imported)
    return ()


def components(files: Iterable[File], successors: Callable[[File], Iterable[File]]) -> list[list[File]]:
    """Strongly connected components of more than one member (Tarjan 1972, without recursion)."""
    number: dict[File, int] = {}
    low: dict[File, int] = {}
    open_: list[File] = []
    is_open: set[File] = set()
    found: list[list[File]] = []
    for root in files:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_.append(root)
        is_open.add(root)
        work = [(root, iter(successors(root)))]
        while work:
            file, rest = work[-1]
            for other in rest:
                if other not in number:
                    number[other] = low[other] = len(number)
                    open_.append(other)
                    is_open.add(other)
                    work.append((other, iter(successors(other))))
                    break
                if other in is_open:
                    low[file] = min(low[file], number[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[file])
                if low[file] == number[file]:
                    members = []
                    while True:
                        member = open_.pop()
                        is_open.discard(member)
                        members.append(member)
                        if member is file:
                            break
                    if len(members) > 1:
                        found.append(members)
    return found


@cache
def exactly(pattern: str) -> Callable[[str], bool]:
    """Whether a module is what a pattern names, as import-linter understands it."""
    if "*" not in pattern:
        return lambda name: name == pattern
    regex = _regex(pattern, "")
    return lambda name: regex.fullmatch(name) is not None


@cache
def below(pattern: str) -> Callable[[str], bool]:
    """Whether a module is what a pattern names, or below it."""
    if "*" not in pattern:
        prefix = f"{pattern}."
        return lambda name: name == pattern or name.startswith(prefix)
    regex = _regex(pattern, r"(\..+)?")
    return lambda name: regex.fullmatch(name) is not None


def _regex(pattern: str, end: str) -> re.Pattern[str]:
    parts = [".+" if part == "**" else re.escape(part).replace(r"\*", r"[^.]+") for part in pattern.split(".")]
    return re.compile(r"\.".join(parts) + end)


def places(chain: Iterable[Link]) -> list[Place]:
    """A chain for people: where each import stands, and of what."""
    return [
        Place(link.importer.path, link.line, f"imports {link.name}{', inside a function' if link.deferred else ''}")
        for link in chain
    ]
