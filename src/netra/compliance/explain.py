"""Answers about names, rules and imports: what `netra ssot twins`, `who`, `explain`, `graph` and `init` print.

Each is a function from a report, or from nothing, to text; the commands are in `netra.compliance.ssot`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path

from .config import ConfigError
from .importers import ClassUse, classes_named, paths, uses
from .outcome import Report
from .picture import picture
from .project import Symbol
from .report.text import clean, table
from .rule import Rule
from .rule import table as rules

MOST_IMPORTERS = 20
_PAGES = (Path(__file__).parent / "pages", Path(__file__).parents[3] / "docs" / "rules")
"""In an installed distribution, and in a checkout."""


def twins(report: Report, name: str) -> str:
    """Every definition of a class name: where, its members side by side, and who imports it.

    Raises:
        ConfigError: nothing of that name is defined.
    """
    found = classes_named(report.project, name)
    if not found:
        raise ConfigError(f"No class {name!r} is defined here.{_meant(name, _class_names(report))}")
    imports = uses(report.project)
    lines = [f"{name} is defined {'once' if len(found) == 1 else f'{len(found)} times'}:"]
    for number, symbol in enumerate(found, 1):
        lines.append(f"  {number}. {_place(symbol)}  {clean(symbol.qualified)}")
        bases = ", ".join(symbol.class_.bases)
        by = _of(imports, symbol)
        lines.append(f"     bases: {clean(bases) or 'none'}; imported {len(by)} {'time' if len(by) == 1 else 'times'}")
    members = [{each.name: each for each in symbol.class_.members} for symbol in found]
    names = sorted({each for own in members for each in own})
    if names:
        rows = []
        for member in names:
            cells = [own[member].kind if member in own else "-" for own in members]
            signatures = {own[member].signature for own in members if member in own}
            mark = " " if all(member in own for own in members) and len(signatures) == 1 else "*"
            rows.append((f"{mark} {clean(member)}", *cells))
        lines += ["", *table(("  member", *(str(number) for number in range(1, len(found) + 1))), rows)]
        if len(found) > 1:
            lines.append("* not the same in all")
    for number, symbol in enumerate(found, 1):
        by = _of(imports, symbol)
        if by:
            lines += ["", f"{number} is imported by:", *_importers(by)]
    return "\n".join(lines) + "\n"


def who(report: Report, wanted: str) -> str:
    """One class: what it is, and every path by which it is imported.

    Args:
        wanted: `path/of/file.py:Class`, `dotted.module:Class` or `dotted.module.Class`.

    Raises:
        ConfigError: there is no such class.
    """
    symbol = _class(report, wanted)
    row = symbol.class_
    ancestry = report.project.ancestry(symbol)
    lines = [f"{clean(symbol.qualified)}  {_place(symbol)}-{row.end}"]
    above = [clean(each.qualified) for each in ancestry.classes[1:]] + list(ancestry.outside)
    lines.append(
        f"inherits from: {', '.join(above) or 'nothing'}{'' if ancestry.complete else ', and from what is not seen'}"
    )
    others = [each for each in classes_named(report.project, row.name) if each != symbol]
    if others:
        lines.append(f"other classes of this name: {', '.join(clean(each.qualified) for each in others)}")
    by_path = paths(_of(uses(report.project), symbol))
    if not by_path:
        lines.append("Nobody imports it by name.")
    for path, by in by_path.items():
        home = " (home)" if path == symbol.home.module else ""
        lines += ["", f"from {clean(path)}{home}: {len(by)} {'import' if len(by) == 1 else 'imports'}"]
        through = max((use.through for use in by), key=len)
        if len(through) > 2:
            lines.append(f"  through {' -> '.join(map(clean, through[1:]))}")
        lines += _importers(by)
    return "\n".join(lines) + "\n"


def rule(name: str) -> str:
    """A rule's page; its summary where the pages were left out.

    Raises:
        ConfigError: there is no such rule.
    """
    known = rules()
    found = known.get(name.upper()) or next((each for each in known.values() if each.name == name.lower()), None)
    if found is None:
        every = [*known, *(each.name for each in known.values())]
        raise ConfigError(f"There is no rule {name!r}.{_meant(name, every)} `netra ssot explain` lists them.")
    for pages in _PAGES:
        if (page := pages / f"{found.id}.md").is_file():
            return page.read_text("utf-8")
    mends = "`--fix` mends it." if found.fix == "auto" else "It says how to mend it."
    return f"# {found.id} {found.name}\n\n{found.summary}\n\nSeverity: {found.severity.value}. {mends}\n"


def all_rules() -> str:
    """The catalogue."""
    rows = [(each.id, each.name, each.severity.value, each.fix, each.summary) for each in rules().values()]
    return "\n".join(table(("rule", "name", "severity", "fix", "what it finds"), rows)) + "\n"


def reference() -> str:
    """The catalogue as a page of Markdown: `docs/rules/README.md`."""

    def row(each: Rule) -> str:
        name = f"[{each.id}]({each.id}.md)"
        mends = "`--fix`" if each.fix == "auto" else "hint"
        summary = each.summary.replace("|", "\\|")
        return f"| {name} | {each.name} | {each.severity.value} | {mends} | {summary} |"

    lines = [
        "# Rules of `netra check`",
        "",
        "`netra ssot explain ID` prints a page in the terminal. [How to use the checker](../guides/checking.md).",
        "",
        "| rule | name | severity | mending | what it finds |",
        "|---|---|---|---|---|",
        *(row(each) for each in rules().values()),
    ]
    return "\n".join(lines) + "\n"


def graph_text(report: Report) -> str:
    """Groups of modules from the top down, and the imports that go up."""
    drawn = picture(report.project)
    lines = []
    for level in sorted({group.level for group in drawn.groups}):
        names = [f"{clean(group.name)} ({group.modules})" for group in drawn.groups if group.level == level]
        lines.append(f"{level:3}  {'  '.join(names)}")
    back = [arrow for arrow in drawn.arrows if arrow.backwards]
    if back:
        lines += ["", "Against this order, and part of a circle:"]
        lines += [
            f"  {clean(each.source)} -> {clean(each.target)}: {each.imports} ({clean(each.example)})" for each in back
        ]
    if drawn.left_out:
        lines.append(f"{drawn.left_out} small groups are left out.")
    return "\n".join(lines) + "\n"


def graph_dot(report: Report) -> str:
    """The same for Graphviz."""
    drawn = picture(report.project)
    lines = ["digraph modules {", "  rankdir=TB; node [shape=box];"]
    lines += [f"  {json.dumps(clean(group.name))};" for group in drawn.groups]
    for arrow in drawn.arrows:
        colour = ' color="red" constraint=false' if arrow.backwards else ""
        ends = f"{json.dumps(clean(arrow.source))} -> {json.dumps(clean(arrow.target))}"
        lines.append(f'  {ends} [label="{arrow.imports}"{colour}];')
    return "\n".join([*lines, "}"]) + "\n"


def graph_json(report: Report) -> str:
    """The same for programs."""
    drawn = picture(report.project)
    document = {
        "groups": [{"name": each.name, "modules": each.modules, "level": each.level} for each in drawn.groups],
        "imports": [
            {"from": each.source, "to": each.target, "count": each.imports, "backwards": each.backwards}
            for each in drawn.arrows
        ],
        "left_out": drawn.left_out,
    }
    return json.dumps(document, indent=2) + "\n"


def configuration(report: Report) -> str:
    """A `[tool.ssot]` table to begin with: what was found out, written down."""
    roots = sorted({file.package_root for file in report.project.files if file.scope == "core" and "." in file.module})
    lines = [
        "[tool.ssot]",
        f"# {len(report.project.files)} files; score {report.score.value} without a baseline.",
        f"# Directories in which module names begin; found out when omitted: {json.dumps(roots)}",
        "# source-roots = []",
        '# exclude = ["generated"]',
        f"# Directories that are deployed apart, found by their manifests when omitted: {json.dumps(report.services)}",
        "# services = []",
        "# Directories that all of them use:",
        "# shared = []",
        f"min-score = {report.score.value}",
        'baseline = ".ssot_baseline.jsonl"',
        "",
        "# [[tool.ssot.layers]]",
        "# The highest first; each may import those below it.",
    ]
    drawn = picture(report.project)
    levels: dict[int, list[str]] = {}
    for group in drawn.groups:
        levels.setdefault(group.level, []).append(group.name)
    order = [" | ".join(names) for _, names in sorted(levels.items())]
    lines.append(f"# layers = {json.dumps(order)}")
    return "\n".join(lines) + "\n"


def _class(report: Report, wanted: str) -> Symbol:
    where, colon, name = wanted.rpartition(":")
    if not colon:
        where, _, name = wanted.rpartition(".")
    named = [each for each in report.project.classes() if name in (each.class_.qualname, each.class_.name)]
    path = where.replace("\\", "/").removeprefix("./")
    exact = [
        each for each in named if each.file is not None and (path in (each.file.path, each.file.module) or not path)
    ]
    ending = [each for each in named if each.file is not None and each.file.path.endswith(f"/{path}")]
    chosen = exact or ending
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        places = ", ".join(f"{each.file.path}:{each.class_.qualname}" for each in chosen if each.file is not None)
        raise ConfigError(f"{wanted!r} may be any of: {clean(places)}.")
    if named:
        places = ", ".join(clean(each.qualified) for each in named[:5])
        raise ConfigError(f"{where} defines no {name}. There is: {places}.")
    raise ConfigError(f"There is no class {name!r}.{_meant(name, _class_names(report))}")


def _class_names(report: Report) -> list[str]:
    return sorted({each.class_.name for each in report.project.classes()})


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _place(symbol: Symbol) -> str:
    return f"{clean(symbol.home.path)}:{symbol.class_.line}"


def _of(imports: dict[tuple[str, int], list[ClassUse]], symbol: Symbol) -> list[ClassUse]:
    return imports.get(symbol.key, [])


def _importers(by: list[ClassUse]) -> list[str]:
    lines = [f"  {clean(use.file.path)}:{use.line}" for use in by[:MOST_IMPORTERS]]
    return [*lines, f"  and {len(by) - MOST_IMPORTERS} more"] if len(by) > MOST_IMPORTERS else lines
