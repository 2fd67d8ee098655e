"""Twins: one public class name, defined in several modules of one deployable. SSOT101 to SSOT105.

One finding for each family: the worst that can be said of it. See docs/rules/SSOT101.md for how families are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netra.compliance.config import Config
from netra.compliance.facts import Member
from netra.compliance.project import Project
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.twins import Family, Nearness, Twin, families, own

DRIFTED = 0.8
"""Common member names of all, from which on twins are copies that have drifted apart."""
HALF = 0.5
MOST_ROWS = 20
"""Members in a table; further ones are counted."""
MOST_USERS = 3
"""Files that are named of those that use a definition."""


def classify(family: Family) -> tuple[str, Severity] | None:
    """The rule a family falls under and how bad it is; None when its name alone is no reason to speak."""
    if family.several_deployables:
        return ("SSOT104", Severity.INFO) if family.alike and (family.is_specific or family.likeness >= HALF) else None
    if family.identical or (family.is_enum and _have_the_same_members(family)):
        empty = not own(family.canonical.row)
        if empty and not (family.is_specific and family.nearness >= Nearness.TREE):
            return None
        met = family.nearness >= Nearness.TREE and any(each.users for each in family.twins)
        return "SSOT102", Severity.WARNING if met else Severity.INFO
    if not family.alike:
        return ("SSOT101", Severity.INFO) if family.is_specific and family.nearness >= Nearness.FILE else None
    rule = "SSOT105" if family.is_enum else "SSOT103" if family.likeness >= DRIFTED else "SSOT101"
    dangerous = _is_dangerous(family) and not (family.parallel and rule == "SSOT101")
    return rule, Severity.ERROR if dangerous else Severity.INFO


def _have_the_same_members(family: Family) -> bool:
    """Whether enumerations differ in how they are written only."""
    return len({frozenset((each.name, each.value) for each in own(twin.row).values()) for twin in family.twins}) == 1


def _is_dangerous(family: Family) -> bool:
    """Whether somebody can hold one and mean the other."""
    if not any(each.users for each in family.twins):
        return False
    if family.nearness >= Nearness.PACKAGE:
        # A name that says little, and means nothing in common elsewhere, is a convention: each part has its `Mode`.
        return family.is_specific or (family.likeness >= HALF and not family.homonyms)
    return family.nearness >= Nearness.TREE and family.is_specific and family.likeness >= HALF


def _of(rule: str, project: Project, config: Config) -> Iterator[Finding]:
    for family in families(project, config):
        judged = classify(family)
        if judged is not None and judged[0] == rule:
            yield _finding(family, *judged)


def _finding(family: Family, rule: str, severity: Severity) -> Finding:
    canonical, first = family.canonical, family.twins[1]
    role = "canonical as configured, " if family.configured else "canonical candidate, "
    paths = tuple(each.file.path for each in family.twins)
    return Finding(
        rule,
        severity,
        Place(first.file.path, first.row.line, _used(first)),
        _message(family, rule),
        (family.name, *sorted(each.symbol.qualified for each in family.twins)),
        related=tuple(
            Place(each.file.path, each.row.line, f"{role}{_used(each)}" if each is canonical else _used(each))
            for each in family.twins
            if each is not first
        ),
        paths=paths,
        canonical=canonical.file.path,
        details=tuple(_details(family)),
        hint=_hint(family, rule),
    )


def _message(family: Family, rule: str) -> str:
    count = len(family.twins)
    where = f"{count} modules define {family.name}"
    if rule == "SSOT102":
        return f"{where}, and all are copies."
    if rule == "SSOT103":
        return f"{where}: copies that have drifted apart."
    if rule == "SSOT104":
        return f"{count} services or packages that do not import each other define {family.name}."
    if rule == "SSOT105":
        return f"{where}, an enumeration, with other members or values."
    return f"{where} with different members."


def _hint(family: Family, rule: str) -> str:
    home = family.canonical.symbol.qualified
    if rule == "SSOT104":
        return f"Move {family.name} to what they share, or say in [tool.ssot] that they are services of their own."
    if rule == "SSOT102":
        return f"Import {home} instead of repeating it."
    if rule == "SSOT105":
        return f"Keep {home}, bring the missing members there, and import it elsewhere."
    if family.alike:
        return f"Merge into {home} and import it elsewhere; if they are different things, give them different names."
    return f"Give all but {home} a name that says what is different."


def _details(family: Family) -> Iterator[str]:
    if not family.identical:
        yield from table([own(each.row) for each in family.twins], _titles([each.file.path for each in family.twins]))
        if len({tuple(each.row.bases) for each in family.twins}) > 1:
            yield f"bases: {' | '.join(', '.join(each.row.bases) or 'none' for each in family.twins)}"
    for each in family.homonyms:
        yield f"also of this name, with nothing in common: {each.file.path}:{each.row.line}"


def _titles(paths: list[str]) -> list[str]:
    """Paths without the directories that all of them begin with: a table has to fit a screen."""
    shared = 0
    for parts in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(path.split("/")[shared:]) for path in paths]


def _used(twin: Twin) -> str:
    if not twin.users:
        return "no other file imports it"
    named = ", ".join(twin.users[:MOST_USERS]) + (", …" if len(twin.users) > MOST_USERS else "")
    return f"used by {len(twin.users)} {'file' if len(twin.users) == 1 else 'files'} ({named})"


def table(columns: list[dict[str, Member]], titles: list[str]) -> Iterator[str]:
    """Members that differ, side by side: one row for each, one column for each definition."""
    names = sorted({name for column in columns for name in column})
    rows = [(name, [_text(column.get(name)) for column in columns]) for name in names]
    differing = [(name, cells) for name, cells in rows if len(set(cells)) > 1]
    same = len(rows) - len(differing)
    if differing:
        lines = [["member", *titles], *([name, *cells] for name, cells in differing[:MOST_ROWS])]
        widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
        for line in lines:
            yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        if len(differing) > MOST_ROWS:
            yield f"… and {len(differing) - MOST_ROWS} more that differ"
    yield f"{same} of {len(rows)} members are the same"


def _text(member: Member | None) -> str:
    if member is None:
        return "-"
    if member.kind == "method":
        return f"({member.signature})"
    source = member.type.partition(":")[2]
    text = f"{member.kind}{f' {source}' if source else ''}"
    return f"{text} = {member.value}" if member.value else text


def _rule(id_: str, name: str, severity: Severity, summary: str) -> Rule:
    def find(project: Project, config: Config) -> Iterable[Finding]:
        return _of(id_, project, config)

    return Rule(id_, name, severity, summary, find, fix="auto" if id_ == "SSOT102" else "hint", exposure="classes")


RULES = (
    _rule(
        "SSOT101",
        "twin-class-diverging",
        Severity.ERROR,
        "Several modules define a public class of one name with different members.",
    ),
    _rule(
        "SSOT102",
        "twin-class-identical",
        Severity.WARNING,
        "Several modules define the same class; the definitions are copies.",
    ),
    _rule(
        "SSOT103",
        "twin-class-drifted",
        Severity.ERROR,
        "Several modules define the same class; the copies have drifted apart.",
    ),
    _rule(
        "SSOT104",
        "twin-across-services",
        Severity.INFO,
        "Services that are deployed apart each define a class of one name.",
    ),
    _rule(
        "SSOT105",
        "enum-twin-values",
        Severity.ERROR,
        "Several modules define an enumeration of one name with different members or values.",
    ),
)
