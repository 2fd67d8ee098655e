"""Imports of the code base's own modules that cannot succeed (SSOT201 to SSOT203).

One pass over the imports serves the three. What stands in a `try` that catches ImportError is SSOT203: it does not
crash, its fallback runs for ever. A broken import is reported where the name was lost, not again where it is passed on.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, How, Import
from netra.compliance.graph import exactly
from netra.compliance.inputs_of_tests import inputs_of_tests
from netra.compliance.naming import is_shown, is_test_data, is_vendored
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity

AGAIN = "is imported here too"
"""Said of further lines of a file that ask for the same missing thing."""
_MOST_PLACES = 3
_LEAST_NAME = 4
"""Letters of a name that is recognized in a longer one."""
_GENERATED = (
    "_pb2",
    "_pb2_grpc",
    "_version",
    "_generated",
    "_buildinfo",
    "_build_info",
    "_syspaths",
    "_rust",
    "_native",
    "rustext",
    "_cext",
    "_cffi",
    "_c",
)
"""Ends of names of modules that a build writes."""
_PLACED = ("local", "local_settings", "settings_local", "localsettings", "secrets", "private", "config_local", "site")
"""Names of modules that whoever installs the program may add."""
_FOR_MORE = frozenset({"addons", "ee", "enterprise", "extensions", "hooks", "overrides", "plugins"})
"""Names of packages that may get further modules so."""

_NAMED_BROKEN = re.compile(
    r"(?:^|[_.])(?:invalid|broken|failing|missing|erroneous)_?(?:import|module|package)s?(?=$|[_.\d])"
    r"|(?:^|[_.])(?:no_such|non_?existent|non_?existing|not_existing|does_?nt_exist|does_not_exist)(?=$|[_.])",
    re.IGNORECASE,
)
"""Names, of an importing module among tests or of what it asks for, that say that the import is to fail."""
_TESTING = re.compile(r"(?:^|[/_])(?:tests?|testing|fixtures?|examples?)(?=[/_])")
_EXPECTED = ("xfail", "expectedfailure", "expected_failure", "skip")
"""In the name of a decorator of a test that is known to fail."""


@dataclass(frozen=True, slots=True)
class _Broken:
    """An import that cannot succeed.

    Args:
        missing: the dotted name that does not exist.
        module: the module that exists and lacks the name; None when the module itself is missing.
    """

    file: File
    row: Import
    missing: str
    module: File | None


def _defined(file: File) -> Iterator[tuple[str, int]]:
    return file.names.defined()


def _puts(file: File) -> Iterator[tuple[str, bool]]:
    return ((name, True) for name in file.facts.puts)


class _Index:
    """Where names and modules are, to say where something lives now."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._defined = project.table(_defined)

    def homes(self, name: str, scope: str) -> list[Symbol]:
        """Where a name is defined: in the product when asked from the product."""
        found = [file.names.symbol(code) for file, code in self._defined.get(name)]
        product = [each for each in found if each.file is not None and each.file.scope == "core"]
        return product if product or scope == "core" else found

    def renamed(self, module: str) -> list[str]:
        """Modules that a missing one may have become: of the same last name, then of a similar name beside it."""
        head, _, last = module.rpartition(".")
        same = sorted({each.module for each in self._project.modules_named(last) if "." in each.module})
        if same:
            return sorted(same, key=lambda name: -difflib.SequenceMatcher(None, name, module).ratio())[:_MOST_PLACES]
        near = _near(last, frozenset(self._project.last_names))
        return [
            each.module
            for name in near
            for each in self._project.modules_named(name)
            if each.module.rpartition(".")[0] == head
        ]


@lru_cache(maxsize=1024)
def _near(last: str, names: frozenset[str]) -> list[str]:
    return difflib.get_close_matches(last, sorted(names - {last}), _MOST_PLACES, 0.75)


def _broken(project: Project, config: Config) -> Iterator[_Broken]:
    roots = {"", "src", "lib", *(root.strip("/") for root in config.source_roots)}
    tops = {file.module.partition(".")[0]: file.package_root for file in project.files if file.is_package}
    doubtful = {top for top, root in tops.items() if root not in roots}
    every = [found for _, found in project.by_file(_broken_in, config)]
    doubtful.difference_update(*(heads for _, heads in every))
    for broken, _ in every:
        # A package below a folder that is no known root may lie in a namespace, and another distribution have its short
        # name. That nobody imports it by that name says so.
        for each in broken:
            if each.module is not None or each.row.level or each.row.module.partition(".")[0] not in doubtful:
                yield each


def _broken_in(project: Project, file: File, config: Config) -> tuple[list[_Broken], set[str]]:
    """The broken imports of a file, and the first components of names by which it reaches modules."""
    served = [exactly(pattern) for row in config.served_modules for pattern in row.modules]
    found: list[_Broken] = []
    heads: set[str] = set()
    if is_vendored(file.path) or is_test_data(file.path):
        return found, heads  # who copies a distribution takes what is needed of it
    for row, module in project.sources(file):
        if module.kind == "missing":
            expected = any(each(module.name) for each in served) or _is_to_fail(file, row)
            if not expected and not _may_appear(project, file, row, module.name):
                found.append(_Broken(file, row, module.name, None))
            continue
        if not row.level and module.file is not None:
            heads.add(row.module.partition(".")[0])
        if module.kind == "module" and module.file is not None and row.name not in ("", "*"):
            symbol = project.imported(file, row, module=module).symbol
            # A name that the module itself fails to import is reported there.
            lost = symbol.kind == "missing" and symbol.file is module.file and row.name not in module.file.names
            if lost and not (
                _is_open(module.file)
                or _is_generated(row.name)
                or _may_be_made(module.file, row.name)
                or _may_be_compiled(project, module.file, row.name)
                or _is_to_fail(file, row)
            ):
                found.append(_Broken(file, row, f"{module.file.module}.{row.name}", module.file))
    return found, heads


def _is_to_fail(file: File, row: Import) -> bool:
    """Whether an import is broken on purpose: a test of what happens then, or one that is known to fail."""
    if row.how & How.GUARDED and row.guard < 0:
        return True
    if _NAMED_BROKEN.search(f"{row.module}.{row.name}"):
        return True
    if _TESTING.search(file.path) and _NAMED_BROKEN.search(file.module.rpartition(".")[2]):
        return True
    if row.function == MODULE or file.scope == "core":
        return False
    decorators = file.facts.functions[row.function].decorators
    return any(word in each.lower() for each in decorators for word in _EXPECTED)


def _may_appear(project: Project, file: File, row: Import, name: str) -> bool:
    """Whether a module that is not among the files can be there when the program runs."""
    last = name.rpartition(".")[2]
    if last == "__init__" or _is_generated(last):
        return True
    if row.level and (not row.module or name.startswith(".") or not project.is_in_package(file.directory)):
        return True  # what is above, or beside a file that is in no package, is put there by whoever runs it
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        above = project.module(file, ".".join(parts[:length]))
        if above.kind != "module":
            continue
        if above.file is not None:
            return _is_open(above.file) or project.may_build(above.file, parts[length])
        if project.has_files(above.name):
            return False
        # Other distributions may add to a folder without `__init__` and modules.
    return not row.level


def _is_open(file: File) -> bool:
    """Whether a module finds its parts in places of its own; one that is no package and has `__getattr__` may give any
    `__path__`."""
    stands_for_another = not file.is_package and "__getattr__" in file.names
    return stands_for_another or "__path__" in (*file.names, *file.facts.names) or bool(file.facts.trouble)


def _may_be_made(file: File, name: str) -> bool:
    """Whether a decorator may put a name into its module: one that is made of the name of what it decorates."""
    return any(
        each.decorators and len(each.name) >= _LEAST_NAME and each.name in name for each in file.facts.classes
    ) or any(each.decorators and len(each.name) >= _LEAST_NAME and each.name in name for each in file.facts.functions)


def _may_be_compiled(project: Project, file: File, name: str) -> bool:
    """Whether what a package is asked for may be an extension module that a build puts there: `_speedups`."""
    return file.is_package and ((name.startswith("_") and name.islower()) or project.may_build(file, name))


def _is_put_there(project: Project, broken: _Broken) -> bool:
    """Whether what is missing is there when it is asked for: a test has put it there, a module has, or a build has by
    what its script says (or leaves it out together with who asks)."""
    if broken.file.path in inputs_of_tests(project) or project.table(_puts).get(broken.missing):
        return True
    parts = broken.missing.split(".")
    if f".{parts[-1]}" in project.built:
        return True
    named = (".".join(parts[:length]) for length in range(2, len(parts) + 1))
    return any(each in project.built and project.module(broken.file, each).kind == "missing" for each in named)


def _is_generated(name: str) -> bool:
    return name.lower().endswith(_GENERATED) or name in ("version", "__version__")


def _look(project: Project, config: Config) -> Iterator[Finding]:
    index: _Index | None = None
    guarded: dict[tuple[str, int], list[_Broken]] = defaultdict(list)
    crashing: dict[tuple[str, str], list[_Broken]] = defaultdict(list)
    for each in _broken(project, config):
        if _is_put_there(project, each):
            continue
        index = index or _Index(project)
        if each.row.how & How.GUARDED and each.row.guard >= 0:
            guarded[each.file.path, each.row.guard].append(each)
        else:
            crashing[each.file.path, each.missing].append(each)
    for broken in crashing.values():
        if index is not None:
            yield _crash(project, index, broken)
    for broken in guarded.values():
        if index is not None and not _is_optional(broken[0]):
            yield _fallback(index, broken)


def _is_optional(broken: _Broken) -> bool:
    """Whether a module is one that users may add."""
    *above, last = broken.missing.split(".")
    return broken.module is None and (last in _PLACED or last.startswith("_") or not _FOR_MORE.isdisjoint(above))


def _may_be_written(project: Project, file: File, every: list[_Broken]) -> bool:
    """Whether a test may have written the module that it imports: in a function, below a package that is not there."""
    above = every[0].missing.rpartition(".")[0]
    return (
        file.scope == "tests"
        and all(each.row.function != MODULE for each in every)
        and project.module(file, above).kind == "missing"
    )


def _crash(project: Project, index: _Index, every: list[_Broken]) -> Finding:
    """One finding for what a file lacks, however many of its lines or names ask for it."""
    broken = min(every, key=lambda each: (bool(each.row.how & How.TYPE_CHECKING), each.row.line))
    file, row = broken.file, broken.row
    related, details, hint = _homes(index, every)
    if broken.module is None:
        renamed = index.renamed(broken.missing)
        message = f"there is no module {broken.missing}"
        if renamed:
            details.append(f"there is {_listed(renamed)}")
            hint = hint or f"Did you mean {renamed[0]}?"
    else:
        message = f"{broken.module.module} has no {row.name}"
        near = difflib.get_close_matches(row.name, list(broken.module.names), 1, 0.75)
        if near:
            hint = hint or f"Did you mean {near[0]}?"
        related.insert(0, Place(broken.module.path, 1, "where it is looked for"))
    doubtful = is_shown(file.path) or (broken.module is None and _may_be_written(project, file, every))
    only_typed = bool(row.how & How.TYPE_CHECKING)
    if only_typed:
        message += " (for type checkers only)"
    others = sorted({each.row.line for each in every} - {row.line})
    return Finding(
        "SSOT201" if broken.module is None else "SSOT202",
        Severity.WARNING if only_typed or doubtful else Severity.ERROR,
        Place(file.path, row.line, _written(row)),
        message,
        (file.module, broken.missing),
        (*related[: _MOST_PLACES + 1], *(Place(file.path, line, AGAIN) for line in others)),
        (file.path,),
        None,
        tuple(details),
        hint or "Remove the import and what uses it, or bring back what it names.",
    )


def _homes(index: _Index, every: list[_Broken]) -> tuple[list[Place], list[str], str]:
    """Where the names of a broken import are defined: places, lines for people, and what to do."""
    file = every[0].file
    related: list[Place] = []
    details: list[str] = []
    hint = ""
    for name in dict.fromkeys(each.row.name for each in every if each.row.name not in ("", "*")):
        homes = [each for each in index.homes(name, file.scope) if each.file is not None and each.file is not file]
        if not homes:
            continue
        related += [Place(each.file.path, each.line, f"defines {name}") for each in homes if each.file]
        modules = [each.file.module for each in homes if each.file]
        if len(details) < _MOST_PLACES:
            details.append(f"{name} is defined in {_listed(modules)}")
        hint = hint or (f"Import it from {modules[0]}." if len(homes) == 1 else "Choose one of those.")
    return related, details, hint


def _fallback(index: _Index, all_broken: list[_Broken]) -> Finding:
    broken = all_broken[0]
    file, row = broken.file, broken.row
    guard = file.facts.guards[row.guard]
    real = [name for name, kind, _ in guard.defines if kind in ("class", "function", "constant")]
    hollow = [name for name, kind, _ in guard.defines if kind == "constant"]
    why = f"{broken.module.module} has no {row.name}" if broken.module is not None else f"there is no {broken.missing}"
    message = f"`{_written(row)}` never succeeds, since {why}; its fallback always runs"
    if hollow:
        message += f", so {_listed(hollow)} only ever gives constants"
    elif real:
        message += f" and defines {_listed(real)}"
    homes = index.homes(row.name, file.scope) if row.name not in ("", "*") else []
    homes = [each for each in homes if each.file is not file]
    related = [Place(each.file.path, each.line, f"defines {row.name}") for each in homes[:_MOST_PLACES] if each.file]
    hint = "Import it from where it is, or remove the attempt and keep the fallback under its own name."
    if len(homes) == 1 and homes[0].file is not None:
        hint = f"Import it from {homes[0].file.module}, and remove the fallback."
    return Finding(
        "SSOT203",
        Severity.ERROR if hollow and row.function == MODULE else Severity.WARNING,
        Place(file.path, row.line, _written(row)),
        message,
        (file.module, *sorted({each.missing for each in all_broken})),
        (*related, *(Place(file.path, line, f"fallback {name}") for name, _, line in guard.defines[:_MOST_PLACES])),
        (file.path,),
        None,
        (),
        hint,
    )


def _written(row: Import) -> str:
    module = "." * row.level + row.module
    return f"from {module} import {row.name}" if row.name else f"import {module}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_PLACES} more" if len(names) > _MOST_PLACES else ""
    return ", ".join(names[:_MOST_PLACES]) + more


def _found(project: Project, config: Config) -> list[Finding]:
    found = list(_look(project, config))
    project.done(_defined)
    project.done(_puts)
    return found


def _only(rule: str) -> Callable[[Project, Config], Iterable[Finding]]:
    def find(project: Project, config: Config) -> Iterable[Finding]:
        return [each for each in project.once(_found, config) if each.rule == rule]

    return find


RULES = (
    Rule(
        "SSOT201",
        "missing-module",
        Severity.ERROR,
        "A module of the code base is imported that does not exist.",
        _only("SSOT201"),
        exposure="imports",
    ),
    Rule(
        "SSOT202",
        "missing-name",
        Severity.ERROR,
        "A name is imported from a module of the code base that does not define it.",
        _only("SSOT202"),
        fix="auto",
        exposure="imports",
    ),
    Rule(
        "SSOT203",
        "always-fallback",
        Severity.ERROR,
        "A guarded import of the code base's own can never succeed, so its fallback always runs.",
        _only("SSOT203"),
        exposure="imports",
    ),
)
