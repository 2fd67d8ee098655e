"""All files together: which module a file is, what an import reaches, what a dotted name means, what a class has.

Rules ask here and see nothing else. Every question has the answer "not known", and rules are silent then.
"""

from __future__ import annotations

import builtins
import copy
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from msgspec import Struct

from .config import ScopeName
from .facts import MODULE, Assignment, Class, FileFacts, Function, How, Import, Member
from .memory import Memory, Table
from .outside import OF_DATACLASSES, OF_EVERY_OBJECT, is_known, is_known_decorator, is_known_keyword, members_of

if TYPE_CHECKING:
    from .bindings import Names

_Value = TypeVar("_Value")
_Arguments = ParamSpec("_Arguments")

_NO_CIRCLE: Final = sys.maxsize
_NATIVE: Final = (".pyx", ".c", ".cc", ".cpp", ".rs")
"""Ends of files that extension modules are built of."""
MOST_HOPS = 30
"""Imports that are followed from name to name; more is a circle."""
MOST_CLASSES: Final = 100_000
"""Whose members are kept by name."""


@dataclass(slots=True, eq=False)
class File:
    """One source file.

    Args:
        path: relative to the root of the code base.
        package_root: the directory its module name begins in, relative to the root; empty for the root itself.
        module: its dotted name.
    """

    path: str
    facts: FileFacts
    package_root: str
    module: str
    is_package: bool
    scope: ScopeName = "core"
    service: str = ""
    names: Names = field(init=False, repr=False)
    seen: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list), repr=False)
    """What glances have said of its facts; see `glance`."""
    directory: str = field(init=False)
    package: str = field(init=False)
    """The dotted name relative imports begin at."""

    def __post_init__(self) -> None:
        # All files of a directory share the strings.
        self.directory = sys.intern(self.path.rpartition("/")[0])
        self.package = sys.intern(self.module if self.is_package else self.module.rpartition(".")[0])
        self.package_root = sys.intern(self.package_root)

    def __repr__(self) -> str:
        return f"File({self.path})"

    def class_shape(self, index: int) -> Class:
        """See `Symbol.shape`."""
        return self.facts.classes[index]

    def import_shape(self, index: int) -> Import:
        """An import for who does not want to know where it stands."""
        return self.facts.imports[index]

    def value_shape(self, index: int) -> Assignment:
        """An assignment for who does not want to know where it stands."""
        return self.facts.assignments[index]


class Symbol(Struct, frozen=True):
    """What a name means. A struct, because millions are made.

    Args:
        kind: class, function, module (`file` is None for a namespace package), value (an assignment), import (not
            followed), external (of another distribution), missing (of ours, and not there), unknown.
        index: of the row in the file's table of classes, functions, assignments or imports.
        name: the dotted name, of what is external or missing.
    """

    kind: Literal["class", "function", "module", "value", "import", "external", "missing", "unknown"]
    file: File | None = None
    index: int = -1
    name: str = ""
    how: int = 0

    @property
    def line(self) -> int:
        """Where it is defined; 0 for what has no row."""
        if self.file is None or self.kind not in _TABLES:
            return 0
        rows: list[Class | Function | Assignment | Import] = getattr(self.file.facts, _TABLES[self.kind])
        return rows[self.index].line

    @property
    def class_(self) -> Class:
        """The row of a class."""
        assert self.kind == "class" and self.file is not None
        return self.file.facts.classes[self.index]

    @property
    def shape(self) -> Class:
        """The row of a class for who does not want to know where it stands, nor its text."""
        assert self.kind == "class" and self.file is not None
        return self.file.class_shape(self.index)

    @property
    def function(self) -> Function:
        """The row of a function."""
        assert self.kind == "function" and self.file is not None
        return self.file.facts.functions[self.index]

    @property
    def home(self) -> File:
        """The file that defines it: for symbols that are known to be defined in one."""
        assert self.file is not None
        return self.file

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all others of its kind: the path, and the row."""
        return self.home.path, self.index

    @property
    def qualified(self) -> str:
        """The dotted name where it is defined."""
        if self.file is None:
            return self.name
        if self.kind == "class":
            return f"{self.file.module}.{self.class_.qualname}"
        if self.kind == "function":
            return f"{self.file.module}.{self.function.qualname}"
        if self.kind == "value":
            return f"{self.file.module}.{self.file.facts.assignments[self.index].name}"
        return self.file.module


UNKNOWN = Symbol("unknown")
_TABLES: Final = {"class": "classes", "function": "functions", "value": "assignments", "import": "imports"}


class Reached(Struct, frozen=True):
    """A symbol, and the modules a name was taken from on the way to it, the importer's own first."""

    symbol: Symbol
    path: tuple[str, ...] = ()


class Ancestry(Struct, frozen=True):
    """A class and what it inherits from, nearest first.

    Args:
        complete: whether every base is known; otherwise it may have more than is seen here.
        outside: builtin classes among the bases.
        owns: members of each of the classes, by name.
    """

    classes: tuple[Symbol, ...]
    complete: bool
    outside: tuple[str, ...] = ()
    owns: tuple[dict[str, Member], ...] = ()


class Project:
    """See the module.

    Args:
        files: path and facts of each.
        others: importable files that are not Python source (see `walk.Tree`).
        source_roots: directories where module names begin; found out when empty.
        memory: of what is found out; that of one check when omitted.
    """

    def __init__(
        self,
        files: Iterable[tuple[str, FileFacts]],
        others: Iterable[str] = (),
        source_roots: Sequence[str] = (),
        memory: Memory | None = None,
    ) -> None:
        found = list(files)
        self._memory = Memory() if memory is None else memory
        self._forgotten: list[dict[Any, Any]] = []
        self._companions: dict[Any, Any] = {}
        self._packages = {path.rpartition("/")[0] for path, _ in found if path.rpartition("/")[2] == "__init__.py"}
        self._source_roots = tuple(root.strip("/") for root in source_roots)
        self.files: list[File] = [self._file(path, facts) for path, facts in found]
        self.by_path: dict[str, File] = {file.path: file for file in self.files}
        self._by_tail: dict[str, list[File]] = defaultdict(list)
        self._directories: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            self._by_tail[file.module.rpartition(".")[2]].append(file)
        self._with_files = {file.directory for file in self.files}
        for directory in self._with_files:
            while directory:
                name = directory.rpartition("/")[2]
                if directory in self._directories[name]:
                    break
                self._directories[name].append(directory)
                directory = directory.rpartition("/")[0]
        self._native: dict[str, set[str]] = defaultdict(set)
        """By package, the stems of sources of extension modules that lie in it, and below it in no further package."""
        self._native_directories: set[str] = set()
        for path in others:
            if path.endswith(_NATIVE):
                directory, _, stem = _stem(path).rpartition("/")
                self._native[self._package_above(directory)].add(stem.strip("_"))
                self._native_directories.update(directory.split("/"))
        self._other_stems = {_stem(path).removesuffix("/__init__") for path in others}
        self._other_tails: dict[str, list[str]] = defaultdict(list)
        for stem in self._other_stems:
            self._other_tails[stem.rpartition("/")[2]].append(f"/{stem}")
        self.declared: frozenset[str] = frozenset()
        """Top-level modules of the distributions that the code base says it depends on (see `declared`)."""
        self.built: frozenset[str] = frozenset()
        """Modules that the scripts speak of which build the code base or pack it (see `declared.built`)."""
        self.services: tuple[str, ...] = ()
        """Directories that are deployed by themselves, as their manifests say (see `services`)."""
        self._modules: dict[tuple[str, str], Symbol] = {}
        self._beside: dict[tuple[str, str, str, int], Symbol] = {}
        """What relative imports reach, by the directory and the package they begin at."""
        self._sources: dict[File, tuple[list[Import], list[Symbol]]] = {}
        self._named: dict[str, list[File]] = {}
        """Files by the dotted names that lead to them, as far as those were asked for."""
        self._ancestry: dict[tuple[str, int], Ancestry] = self.knows("ancestry")
        self._taken: dict[tuple[File, str], Reached] = self.knows("taken")
        """What names give that are taken from a module."""
        self._own: dict[int, tuple[Class, dict[str, Member]]] = {}
        """Members by name, by the identity of the class's row: copies of a file share it."""
        self._open: dict[tuple[str, int], int] = {}
        """Classes whose ancestry is being looked up, and how deep."""
        self._circle = _NO_CIRCLE
        for file in self.files:
            file.names = self._memory.names(file)

    # What is found out, and kept

    def once(
        self,
        make: Callable[Concatenate[Project, _Arguments], _Value],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> _Value:
        """What a function of a module makes of the project: made when first asked for, and kept while it holds."""
        assert not keywords
        made: _Value = self._memory.once(self, make, arguments)
        return made

    def by_file(
        self,
        look: Callable[Concatenate[Project, File, _Arguments], _Value],
        *arguments: _Arguments.args,
        **keywords: _Arguments.kwargs,
    ) -> Iterator[tuple[File, _Value]]:
        """What a function of a module makes of each file, one after the other. It may read other files, but asks for
        nothing that is made of all; its value can be compared, and is not changed."""
        assert not keywords
        return self._memory.by_file(self, look, arguments)

    def by_name(self, make: Callable[[Project, str], _Value], name: str) -> _Value:
        """What a function of a module makes of a name; see `by_file`. A single check does not keep it."""
        made: _Value = self._memory.by_name(self, make, name)
        return made

    def expect(self, looks: Iterable[Callable[[Project, File], Any]]) -> None:
        """Say what will be asked of `by_file`, so that it can be made together."""
        self._memory.expect(looks)

    def table(self, rows: Callable[[File], Iterable[tuple[Hashable, _Value]]]) -> Table[_Value]:
        """Rows of all files by name, as far as a file alone says them."""
        return self._memory.table(self, rows)

    def done(self, rows: Callable[[File], Any]) -> None:
        """Say that a table of which nothing is kept is not asked for again, for a while at least."""
        self._memory.done(rows)

    def companion(self, kind: Callable[[Project], _Value]) -> _Value:
        """The one object of a kind that answers further questions about the project."""
        known: _Value | None = self._companions.get(kind)
        if known is None:
            known = self._companions[kind] = kind(self)
        return known

    def knows(self, what: str) -> dict[Any, Any]:
        """An empty dict for what is found out of facts on the way, whoever asks. What is missing in it when it is
        asked for is found out then, and put into it, or popped from it when it is not to be kept."""
        return self._memory.known(what)

    def forgets(self, remembered: dict[Any, Any]) -> None:
        """Empty a dict whenever another file is looked at: what is found out for one alone, which nothing asks for that
        goes into a dict of `knows`."""
        self._forgotten.append(remembered)

    def forget(self) -> None:
        """Know nothing of the file that was looked at."""
        for each in self._forgotten:
            each.clear()

    def renewed(self) -> Project:
        """The same files, of which some have other facts. This one is not asked again."""
        for known in (self._companions, self._ancestry, self._taken):
            known.clear()
        other = copy.copy(self)
        other._forgotten = []
        other._companions = {}
        other._ancestry = other.knows("ancestry")
        other._taken = other.knows("taken")
        return other

    def _file(self, path: str, facts: FileFacts) -> File:
        parts = path[:-3].split("/")
        is_package = parts[-1] == "__init__"
        if is_package:
            parts.pop()
        directory = path.rpartition("/")[0]
        root = directory
        for configured in self._source_roots:
            if configured in ("", ".") or path.startswith(f"{configured}/"):
                root = "" if configured == "." else configured
                break
        else:
            # A directory without `__init__.py` inside a package is a part of it, as Python sees it.
            above = directory
            while above:
                if above in self._packages:
                    root = above.rpartition("/")[0]
                above = above.rpartition("/")[0]
        begin = len(root.split("/")) if root else 0
        return self._memory.file(path, facts, root, ".".join(parts[begin:]) or parts[-1], is_package)

    # Modules

    @cached_property
    def tops(self) -> frozenset[str]:
        """First components of names that are ours: packages, and modules beside packages."""
        found = {file.module.partition(".")[0] for file in self.files if "." in file.module or file.is_package}
        return frozenset(found - sys.stdlib_module_names)

    def module(self, importer: File, module: str, level: int = 0) -> Symbol:
        """What `import module` reaches from a file: a module, `external`, or `missing`."""
        if level:
            place = (importer.directory, importer.package, module, level)
            reached = self._beside.get(place)
            if reached is None:
                reached = self._beside[place] = self._relative_to(importer, module, level)
            return reached
        key = (importer.directory, module)
        known = self._modules.get(key)
        if known is None:
            known = self._modules[key] = self._absolute(importer, module)
        return known

    def sources(self, file: File) -> list[tuple[Import, Symbol]]:
        """The imports of a file, each with the module that it names."""
        rows = file.facts.imports
        known = self._sources.get(file)
        if known is None or known[0] is not rows:
            known = self._sources[file] = (rows, [self.module(file, row.module, row.level) for row in rows])
        return [*zip(rows, known[1], strict=True)]

    def _relative_to(self, importer: File, module: str, level: int) -> Symbol:
        base = importer.package.split(".") if importer.package else []
        outside = level - 1 > len(base) or (level > 1 and level - 1 == len(base) and importer.package_root == "")
        if outside and (base or level - 1 > importer.path.count("/")):
            return Symbol("missing", name="." * level + module)
        kept = base[: max(0, len(base) - (level - 1))]
        directory = importer.directory
        for _ in range(level - 1):
            directory = directory.rpartition("/")[0]
        return self._relative(directory, module, ".".join([*kept, *([module] if module else [])]))

    def _relative(self, directory: str, module: str, name: str) -> Symbol:
        path = f"{directory}/{module.replace('.', '/')}".strip("/") if module else directory
        for candidate in (f"{path}.py", f"{path}/__init__.py".lstrip("/")):
            if (file := self.by_path.get(candidate)) is not None:
                return Symbol("module", file)
        if path in self._other_stems:
            return Symbol("external", name=name)
        if path in self._directories.get(path.rpartition("/")[2], ()):
            return Symbol("module", None, name=name)
        return Symbol("missing", name=name)

    def _absolute(self, importer: File, module: str) -> Symbol:
        parts = module.split(".")
        if parts[0] in sys.stdlib_module_names and parts[0] not in ("test", "tests"):
            return Symbol("external", name=module)
        # A script finds the modules beside it before all others.
        if not self.is_in_package(importer.directory):
            beside = self._relative(importer.directory, module, module)
            if beside.kind == "module" and beside.file is not None:
                return beside
        tail = "/" + "/".join(parts)
        named = self._named.get(module)
        if named is None:
            named = self._named[module] = [
                file
                for file in self._by_tail.get(parts[-1], ())
                if f"/{_module_path(file.path)}".endswith(tail) and len(parts) >= file.module.count(".") + 1
            ]
        candidates = [file for file in named if self._visible(importer, file, len(parts))]
        if candidates:
            return Symbol("module", _nearest(importer, candidates))
        if parts[0] not in self.tops:
            return Symbol("external", name=module)
        if any(stem.endswith(tail) for stem in self._other_tails.get(parts[-1], ())):
            return Symbol("external", name=module)
        if any(f"/{directory}".endswith(tail) for directory in self._directories.get(parts[-1], ())):
            return Symbol("module", None, name=module)
        return Symbol("missing", name=module)

    def is_in_package(self, directory: str) -> bool:
        """Whether a directory, or one above it, has an `__init__.py`."""
        above = self._package_above(directory)
        return bool(above) or "" in self._packages

    def _package_above(self, directory: str) -> str:
        """The nearest directory, from one upwards, that is a package; empty when there is none."""
        while directory and directory not in self._packages:
            directory = directory.rpartition("/")[0]
        return directory

    def may_build(self, package: File, name: str) -> bool:
        """Whether a build may put an extension module into a package: there is source of such that is named like it,
        or in a directory of its name."""
        if not package.is_package:
            return False
        stems = self._native.get(package.directory, ())
        plain = name.strip("_")
        return name in self._native_directories or any(plain in stem or stem in plain for stem in stems if stem)

    @property
    def last_names(self) -> Iterable[str]:
        """The last components of all modules' names."""
        return self._by_tail.keys()

    def modules_named(self, last: str) -> Sequence[File]:
        """The modules whose names have this last component."""
        return self._by_tail.get(last, ())

    def has_files(self, folder: str) -> bool:
        """Whether a folder without `__init__.py`, by its dotted name, has modules of ours in it, not only below it."""
        tail = "/" + folder.replace(".", "/")
        found = [each for each in self._directories.get(folder.rpartition(".")[2], ()) if f"/{each}".endswith(tail)]
        return any(each in self._with_files for each in found)

    def _visible(self, importer: File, file: File, length: int) -> bool:
        """A module that is in no package is seen from its own directory only, unless a directory name leads to it."""
        return (
            length > 1
            or file.is_package
            or file.directory == importer.directory
            or file.package_root in self._source_roots
        )

    # Names

    def lookup(self, file: File, name: str, function: int = MODULE, hops: int = MOST_HOPS) -> Reached:
        """What a dotted name, written in a function of a file or at its top, means."""
        head, _, rest = name.partition(".")
        symbol = self._bound(file, head, function)
        if symbol is None:
            if hasattr(builtins, head):
                return Reached(Symbol("external", name=f"builtins.{name}"))
            return Reached(self._starred(file, head, hops), (file.module,)) if not rest else Reached(UNKNOWN)
        reached = self._follow(file, symbol, hops)
        return self._member_of(reached, rest, hops) if rest else reached

    def member(self, file: File, name: str, hops: int = MOST_HOPS) -> Reached:
        """What `from file import name` gives."""
        key = (file, name)
        reached = self._taken.get(key)
        if reached is None:
            reached = self._take(file, name, hops)
            # What is not known may be known to who has fewer hops behind him.
            if reached.symbol.kind != "unknown":
                self._taken[key] = reached
            else:
                self._taken.pop(key, None)
        return reached

    def _take(self, file: File, name: str, hops: int) -> Reached:
        symbol = self._top(file, name)
        if symbol is not None:
            return self._follow(file, symbol, hops)
        if file.is_package:
            inner = self._relative(file.directory, name, f"{file.module}.{name}")
            if inner.kind != "missing":
                return Reached(inner, (file.module,))
        starred = self._starred(file, name, hops)
        if starred.kind != "missing":
            return Reached(starred, (file.module,))
        if file.facts.dynamic or file.facts.trouble or name in file.facts.names or name.startswith("__"):
            return Reached(UNKNOWN)
        return Reached(Symbol("missing", file, name=f"{file.module}.{name}"), (file.module,))

    def _bound(self, file: File, name: str, function: int) -> Symbol | None:
        """A name as seen from a function: imports made in it or around it come first."""
        while function != MODULE and file.names.any_local:
            if (symbol := file.names.local(function, name)) is not None:
                return symbol
            function = file.facts.functions[function].outer
        return self._top(file, name)

    @staticmethod
    def _top(file: File, name: str) -> Symbol | None:
        """The one meaning of a name at the top of a file; `unknown` when there are several that differ."""
        bound = file.names.get(name)
        if not bound:
            return None
        if len(bound) == 1:
            return bound[0]
        # What only type checkers see, and what stands in for a failed import, give way to the real thing.
        real = [each for each in bound if not each.how & (How.TYPE_CHECKING | How.FALLBACK)]
        if len(real) == 1:
            return real[0]
        kinds = {each.kind for each in bound}
        if kinds == {"function"}:
            return bound[-1]  # overloads, and definitions by platform: the same name for the same thing
        return UNKNOWN

    def _follow(self, file: File, symbol: Symbol, hops: int) -> Reached:
        if symbol.kind == "value":
            assert symbol.file is not None
            row = symbol.file.value_shape(symbol.index)
            if row.kind == "alias" and hops > 0:
                reached = self.lookup(symbol.file, row.value, hops=hops - 1)
                if reached.symbol.kind in ("class", "function", "module", "external"):
                    return Reached(reached.symbol, (file.module, *reached.path))
            return Reached(symbol, (file.module,))
        if symbol.kind != "import":
            return Reached(symbol, (file.module,))
        if hops <= 0:
            return Reached(UNKNOWN)
        row_ = file.import_shape(symbol.index)
        reached = self.imported(file, row_, hops - 1)
        return Reached(reached.symbol, (file.module, *reached.path))

    def imported(self, file: File, row: Import, hops: int = MOST_HOPS, module: Symbol | None = None) -> Reached:
        """What one row of imports binds.

        Args:
            module: that it names, where the caller knows (see `sources`).
        """
        if module is None:
            module = self.module(file, row.module, row.level)
        if not row.name:
            if row.bound != row.module and "." in row.module and row.bound == row.module.partition(".")[0]:
                return Reached(self.module(file, row.bound))  # `import a.b` binds a
            return Reached(module)
        if module.kind == "module" and module.file is not None:
            if module.file is file and row.name in file.names and hops < MOST_HOPS:
                return Reached(UNKNOWN)
            return self.member(module.file, row.name, hops - 1) if hops > 0 else Reached(UNKNOWN)
        if module.kind == "module":
            return Reached(self.module(file, f"{module.name}.{row.name}"))
        if module.kind == "external":
            return Reached(Symbol("external", name=f"{module.name}.{row.name}"))
        return Reached(module)

    def _member_of(self, reached: Reached, rest: str, hops: int) -> Reached:
        symbol = reached.symbol
        head, _, further = rest.partition(".")
        if symbol.kind == "external":
            return Reached(Symbol("external", name=f"{symbol.name}.{rest}"), reached.path)
        if symbol.kind == "module" and symbol.file is not None and hops > 0:
            inner = self.member(symbol.file, head, hops - 1)
        elif symbol.kind == "module" and symbol.file is None:
            candidates = [file for file in self._by_tail.get(head, ()) if file.module == f"{symbol.name}.{head}"]
            inner = Reached(Symbol("module", candidates[0])) if len(candidates) == 1 else Reached(UNKNOWN)
        elif symbol.kind == "class" and symbol.file is not None:
            nested = [
                index
                for index, each in enumerate(symbol.file.facts.classes)
                if each.outer == symbol.index and each.name == head
            ]
            inner = Reached(Symbol("class", symbol.file, nested[0])) if nested else Reached(UNKNOWN)
        else:
            return Reached(UNKNOWN)
        inner = Reached(inner.symbol, (*reached.path, *inner.path))
        return self._member_of(inner, further, hops - 1) if further else inner

    def _starred(self, file: File, name: str, hops: int) -> Symbol:
        """What `from x import *` may have brought."""
        stars = [row for row in file.facts.imports if row.name == "*" and row.function == MODULE]
        if not stars:
            return Symbol("missing", file, name=f"{file.module}.{name}")
        for row in reversed(stars):
            module = self.module(file, row.module, row.level)
            if module.kind != "module" or module.file is None or hops <= 0:
                return UNKNOWN
            if module.file is file:
                continue
            exports = module.file.facts.exports
            if exports is not None and name not in exports:
                continue
            found = self.member(module.file, name, hops - 1).symbol
            if found.kind != "missing":
                return found
            if name in module.file.names:
                return UNKNOWN  # it is lost further on, which is said there
        return Symbol("missing", file, name=f"{file.module}.{name}")

    # Classes

    def classes(self) -> Iterator[Symbol]:
        """Every class of every file."""
        for file in self.files:
            for index, row in enumerate(file.facts.classes):
                yield Symbol("class", file, index, how=row.how)

    def functions(self) -> Iterator[Symbol]:
        """Every function and method of every file."""
        for file in self.files:
            for index, row in enumerate(file.facts.functions):
                yield Symbol("function", file, index, how=row.how)

    def ancestry(self, symbol: Symbol) -> Ancestry:
        """A class and its bases."""
        assert symbol.file is not None
        key = (symbol.file.path, symbol.index)
        if key in self._open:
            self._circle = min(self._circle, self._open[key])
            return Ancestry((symbol,), False, (), (self.own(symbol),))  # a circle ends here
        known = self._ancestry.get(key)
        if known is not None:
            return known
        depth = self._open[key] = len(self._open)
        around, self._circle = self._circle, _NO_CIRCLE
        try:
            known = self._look_up(symbol)
            # What was cut short by a class further out looks otherwise from its own side.
            if self._circle >= depth:
                self._ancestry[key] = known
                self._circle = _NO_CIRCLE
            else:
                self._ancestry.pop(key, None)
        finally:
            del self._open[key]
            self._circle = min(around, self._circle)
        return known

    def _look_up(self, symbol: Symbol) -> Ancestry:
        row, file = symbol.shape, symbol.file
        assert file is not None
        classes: dict[tuple[str, int], Symbol] = {(file.path, symbol.index): symbol}
        complete = not row.dynamic and all(is_known_keyword(each) for each in row.keywords)
        complete = complete and all(is_known_decorator(each) for each in row.decorators)
        outside: dict[str, None] = {}
        for base in row.bases:
            found = self.lookup(file, base, row.function).symbol if base != "?" else UNKNOWN
            if found.kind == "class" and found.file is not None:
                above = self.ancestry(found)
                complete = complete and above.complete
                outside.update(dict.fromkeys(above.outside))
                for each in above.classes:
                    assert each.file is not None
                    classes.setdefault((each.file.path, each.index), each)
            elif found.kind == "external" and is_known(found.name):
                outside[found.name] = None
            else:
                complete = False
        every = tuple(classes.values())
        return Ancestry(every, complete, tuple(outside), tuple(map(self.own, every)))

    def own(self, symbol: Symbol) -> dict[str, Member]:
        """What a class itself has, by name."""
        row = symbol.shape
        known = self._own.get(id(row))
        if known is None or known[0] is not row:
            if len(self._own) > MOST_CLASSES:
                self._own.clear()
            known = self._own[id(row)] = (row, {each.name: each for each in row.members})
        return known[1]

    def members(self, symbol: Symbol) -> dict[str, Symbol]:
        """Names of everything a class and its known bases have, with the class that has it first."""
        found: dict[str, Symbol] = {}
        ancestry = self.ancestry(symbol)
        for each, own in zip(ancestry.classes, ancestry.owns, strict=True):
            for name in own:
                found.setdefault(name, each)
        return found

    def has(self, symbol: Symbol, attribute: str) -> bool | None:
        """Whether instances of a class have an attribute; None when that cannot be known."""
        ancestry = self.ancestry(symbol)
        for own in ancestry.owns:
            if attribute in own:
                return True
        if attribute in OF_EVERY_OBJECT or any(attribute in members_of(each) for each in ancestry.outside):
            return True
        if attribute in OF_DATACLASSES and any(each.shape.decorators for each in ancestry.classes):
            return True
        return False if ancestry.complete else None


def _stem(path: str) -> str:
    directory, _, name = path.rpartition("/")
    stem = name.partition(".")[0]
    return f"{directory}/{stem}" if directory else stem


def _module_path(path: str) -> str:
    return path[: -len("/__init__.py")] if path.endswith("/__init__.py") else path[:-3]


def _nearest(importer: File, candidates: list[File]) -> File:
    """The candidate that shares most of its path with the importer; of several, the shortest path."""

    def shared(file: File) -> int:
        count = 0
        for ours, theirs in zip(importer.path.split("/"), file.path.split("/"), strict=False):
            if ours != theirs:
                break
            count += 1
        return count

    return min(candidates, key=lambda file: (-shared(file), len(file.path), file.path))
