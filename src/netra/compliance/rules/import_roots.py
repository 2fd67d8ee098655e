"""Two modules under one name, and one module under two (SSOT205 and SSOT206).

SSOT205: a file is imported as `a.b.c` and as `b.c`. Python loads it twice: two classes of each name, two of each
singleton, and `isinstance` is false between them. SSOT206: a package or module of the code base has the name of another
distribution or of a module of the standard library that the code base uses; which one is imported depends on the path.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from netra.compliance.config import Config
from netra.compliance.facts import How, Import
from netra.compliance.project import File, Project
from netra.compliance.rule import Finding, Place, Rule, Severity

_MOST_PLACES = 5
_ROOTS = frozenset({"", "src", "lib", "python"})
"""Directories that are on the path of a program, besides configured ones."""
_UNSHADOWED = frozenset(sys.builtin_module_names) | {"test", "tests", "this", "site", "sitecustomize", "usercustomize"}
"""Modules that cannot be shadowed, or whose names everybody may use."""


def _twice(project: Project, config: Config) -> Iterable[Finding]:
    spelled: dict[str, set[str]] = defaultdict(set)
    users: dict[str, list[File]] = defaultdict(list)
    for file, found in project.by_file(_spelled):
        for path, name in found:
            spelled[path].add(name)
            users[path].append(file)
    several = {path for path, called in spelled.items() if len(called) > 1}
    names: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted({file for path in several for file in users[path]}, key=lambda file: file.path):
        for path, row in _named(project, file):
            if path in several:
                names[path][row.module].append(Place(file.path, row.line, f"imports {row.module}"))
    # One finding for two roots, not one for each file below them.
    pairs: dict[tuple[str, str], list[tuple[File, list[Place]]]] = defaultdict(list)
    for path, used in names.items():
        if len(used) > 1:
            long, short = max(used, key=lambda name: (len(name), name)), min(used, key=lambda name: (len(name), name))
            prefix = long[: len(long) - len(short)].rstrip(".")
            if prefix and long.endswith(f".{short}"):
                rare = min(used.values(), key=len)
                pairs[prefix, short.partition(".")[0]].append((project.by_path[path], rare))
    for (prefix, top), files in pairs.items():
        files.sort(key=lambda each: each[0].path)
        file = files[0][0]
        long = f"{prefix}.{top}"
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        every = list(dict.fromkeys(place for _, found in files for place in found))
        yield Finding(
            "SSOT205",
            Severity.ERROR,
            every[0],
            f"{file.path}{more} is imported both below {long} and below {top}, so it is loaded twice",
            (long, top),
            (Place(file.path, 1, "is loaded twice"), *every[1:_MOST_PLACES]),
            tuple(dict.fromkeys([*(place.path for place in every), *(each.path for each, _ in files)])),
            None,
            (f"{len(every)} imports use the rarer name of a module",),
            f"Import it under one name everywhere, and take {prefix.replace('.', '/')} or what it is in off the path.",
        )


def _heads(project: Project, file: File) -> list[tuple[str, int, bool]]:
    """The first components of what a file imports by a whole name: line, and whether there is no more to the name."""
    return [
        (row.module.partition(".")[0], row.line, "." not in row.module) for row in file.facts.imports if not row.level
    ]


def _spelled(project: Project, file: File) -> set[tuple[str, str]]:
    return {(path, row.module) for path, row in _named(project, file)}


def _named(project: Project, file: File) -> Iterator[tuple[str, Import]]:
    """The modules that a file imports by a whole name, where it is deployed with them."""
    for row, module in project.sources(file):
        if row.level or row.how & How.TYPE_CHECKING:
            continue
        if module.kind != "module" or module.file is None or module.file.is_package or module.file is file:
            continue
        if module.file.scope == file.scope and module.file.service == file.service:
            yield module.file.path, row


def _shadows(project: Project, config: Config) -> Iterable[Finding]:
    roots = _ROOTS | {each.strip("/") for each in config.source_roots}
    tops: dict[str, list[File]] = defaultdict(list)
    for file in project.files:
        top = file.module.partition(".")[0]
        if (top in project.declared or top in sys.stdlib_module_names) and top not in _UNSHADOWED:
            tops[top].append(file)
    if not tops:
        return
    users: dict[str, list[tuple[File, int]]] = defaultdict(list)
    heads: set[str] = set()
    for file, found in project.by_file(_heads):
        for head, line, is_whole in found:
            if not is_whole:
                heads.add(head)
            if head in tops:
                users[head].append((file, line))
    for top, files in sorted(tops.items()):
        by_root: dict[str, list[File]] = defaultdict(list)
        for file in files:
            by_root[file.package_root].append(file)
        for root, own in sorted(by_root.items()):
            if root not in roots and root.rpartition("/")[2] in heads:
                continue  # a namespace: what is in it is imported by its longer name
            own.sort(key=lambda each: (not each.is_package, each.path))
            mine = {each.path for each in own}
            # A directory that is not a root is on the path of what is started there.
            beside = [
                (file, line)
                for file, line in users[top]
                if file.path not in mine and (root in roots or file.directory == root)
            ]
            if not beside or own[0].scope != "core" or all(file.scope != "core" for file, _ in beside):
                continue
            whose = "a module of the standard library" if top in sys.stdlib_module_names else "a dependency"
            yield Finding(
                "SSOT206",
                Severity.WARNING,
                Place(own[0].path, 1),
                f"{own[0].path} has the name of {whose} that is imported: the path decides which one `{top}` is",
                (top, root),
                tuple(Place(file.path, line, f"imports {top}") for file, line in beside[:_MOST_PLACES]),
                (own[0].path,),
                None,
                (),
                "Rename it.",
            )


RULES = (
    Rule(
        "SSOT205",
        "dual-root-import",
        Severity.ERROR,
        "A module is imported under two names, so it is loaded twice.",
        _twice,
        exposure="imports",
    ),
    Rule(
        "SSOT206",
        "shadowed-third-party",
        Severity.WARNING,
        "A module of the code base has the name of a dependency or of the standard library.",
        _shadows,
        exposure="modules",
    ),
)
