"""The parts of the page; each is HTML, or empty when there is nothing to say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape

from netra.compliance.facts import Member
from netra.compliance.figures import Compliance, gains
from netra.compliance.importers import paths, uses
from netra.compliance.outcome import Outcome
from netra.compliance.picture import picture
from netra.compliance.project import Symbol
from netra.compliance.rule import Finding, Severity
from netra.compliance.twins import TWINS, Family, families, own

from . import drawing
from .text import clean

MOST_FAMILIES = 200
MOST_MAPS = 100
OPEN_MAPS = 10
MANY_PATHS = "SSOT131"


def text(value: str) -> str:
    """For HTML, without characters that would act on it."""
    return escape(clean(value))


def tag(name: str, content: str) -> str:
    """An element around HTML."""
    return f"<{name}>{content}</{name}>"


def number(value: int) -> str:
    """A count, with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u2009")


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], figures: frozenset[int] = frozenset()) -> str:
    """A table that scrolls in itself; cells are HTML, `figures` are the columns that stand right. It can be reached
    and scrolled with the keyboard."""

    def cells(row: tuple[str, ...], kind: str) -> str:
        found = []
        for at, cell in enumerate(row):
            classes = ' class="n"' if at in figures else ""
            if cell.startswith("\x00"):
                classes, cell = ' class="differs"', cell[1:]
            found.append(f"<{kind}{classes}>{cell}</{kind}>")
        return "".join(found)

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(columns[0] or "table")}">'
        f"<table><thead><tr>{cells(tuple(map(escape, columns)), 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def first(outcome: Outcome) -> str:
    """What raises the score most, by rule, module and finding."""
    found = gains(outcome.report)
    if not found["findings"]:
        return "<p>Nothing lowers the score.</p>"
    rules = [
        (f"{each.points:+.2f}", each.scope, f"{text(each.what)} <span class='soft'>({number(each.findings)})</span>")
        for each in found["rules"]
    ]
    modules = [
        (f"{each.points:+.2f}", each.scope, f"<code>{text(each.place)}</code>", number(each.findings))
        for each in found["modules"]
    ]
    single = [
        (f"{each.points:+.2f}", each.scope, f"<code>{text(each.place)}</code><br>{text(each.what)}")
        for each in found["findings"]
    ]
    right = frozenset({0})
    return (
        "<p>Points that the score of the scope would gain. The worst scope comes first: its score is that of all.</p>"
        f"<h3>Mend all findings of a rule</h3>{table(('points', 'scope', 'rule'), rules, right)}"
        f"<h3>Mend everything in a module</h3>"
        f"{table(('points', 'scope', 'module', 'findings'), modules, frozenset({0, 3}))}"
        f"<h3>Mend one thing</h3>{table(('points', 'scope', 'finding'), single, right)}"
    )


def trend(outcome: Outcome) -> str:
    """The score over the checks in the history."""
    history = outcome.history
    if len(history) < 2:
        return (
            "<p class='soft'>There is no history yet. <code>netra check --history FILE</code>, in CI for example, adds"
            " a line for each check; from the second on, the trend is here.</p>"
        )
    note = ""
    if len({row.get("rules") for row in history}) > 1:
        note = "<p class='soft'>The rules changed on the way, so not all of these scores compare.</p>"
    rows = [
        (
            text(str(row["at"])[:16].replace("T", " ")),
            f"<code>{text(str(row.get('commit', '')))}</code>",
            f"{float(str(row['score'])):.1f}",
            text(str(row.get("debt", ""))),
        )
        for row in reversed(history[-20:])
    ]
    figures = table(("at (UTC)", "commit", "score", "debt"), rows, frozenset({2, 3}))
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Trend"><div class="wide">{drawing.trend(history)}'
        f"</div></div>{note}<details><summary>The last {len(rows)} checks</summary>"
        f'<div class="in">{figures}</div></details>'
    )


def twins(outcome: Outcome) -> str:
    """Families of classes that share a name, with their members side by side."""
    told = {(finding.place.path, finding.place.line): finding for finding in outcome.printed if finding.rule in TWINS}
    concerned: list[tuple[Finding, Family]] = []
    for family in families(outcome.report.project, outcome.report.config):
        for twin in family.twins:
            finding = told.get((twin.file.path, twin.row.line))
            if finding is not None:
                concerned.append((finding, family))
                break
    if not concerned:
        return ""
    order = list(Severity)
    concerned.sort(key=lambda each: (order.index(each[0].severity), -len(each[1].twins), each[1].name))
    blocks = [_family(finding, family, outcome) for finding, family in concerned[:MOST_FAMILIES]]
    left = len(concerned) - len(blocks)
    more = f"<p>{number(left)} further families are among all findings below.</p>" if left > 0 else ""
    return f"<p>One name, several classes: {number(len(concerned))} families.</p>{''.join(blocks)}{more}"


def _family(finding: Finding, family: Family, outcome: Outcome) -> str:
    members = [own(twin.row) for twin in family.twins]
    names = sorted({name for each in members for name in each})
    rows = []
    for name in names:
        shown = [_member(each.get(name)) for each in members]
        mark = "\x00" if len(set(shown)) > 1 else ""
        rows.append((f"<code>{text(name)}</code>", *(f"{mark}{cell}" for cell in shown)))
    # What differs first: it is why this is a finding.
    rows.sort(key=lambda row: not any(cell.startswith("\x00") for cell in row))
    heads = [f"{twin.file.module}" for twin in family.twins]
    users = "".join(
        f"<li><code>{text(twin.file.path)}:{twin.row.line}</code>"
        f"{' <strong>canonical candidate</strong>' if twin is family.canonical else ''}, imported by"
        f" {number(len(twin.users))} {'file' if len(twin.users) == 1 else 'files'}</li>"
        for twin in family.twins
    )
    compared = table(("member", *heads), rows) if rows else "<p>No members.</p>"
    return (
        f"<details><summary>{_kind(finding, outcome)} <strong>{text(family.name)}</strong> in"
        f" {len(family.twins)} modules</summary>"
        f'<div class="in"><p>{text(finding.message)}</p><ul>{users}</ul>{compared}'
        f"<p>{text(finding.hint)}</p></div></details>"
    )


def _member(member: Member | None) -> str:
    if member is None:
        return "—"
    if member.kind == "method":
        return f"<code>({text(member.signature)})</code>"
    said = [member.kind, member.type.partition(":")[2], f"= {member.value}" if member.value else ""]
    return f"<code>{text(' '.join(each for each in said if each))}</code>"


def import_paths(outcome: Outcome) -> str:
    """Classes of which it is reported that they are imported by more than one path."""
    reported = {finding.subjects[0] for finding in outcome.printed if finding.rule == MANY_PATHS}
    if not reported:
        return ""
    found = []
    for (path, index), each in uses(outcome.report.project).items():
        by_path = paths(each)
        symbol = Symbol("class", outcome.report.project.by_path[path], index)
        if len(by_path) > 1 and symbol.qualified in reported:
            found.append((symbol, by_path))
    found.sort(key=lambda pair: (-len(pair[1]), -sum(map(len, pair[1].values())), pair[0].qualified))
    blocks = []
    for symbol, by_path in found[:MOST_MAPS]:
        home = symbol.home.module
        rows = [
            (
                f"<code>{text(path)}</code>{' <strong>home</strong>' if path == home else ''}",
                number(len(importers)),
                "<br>".join(f"<code>{text(use.file.path)}</code>" for use in importers[:5])
                + (f"<br>and {len(importers) - 5} more" if len(importers) > 5 else ""),
            )
            for path, importers in by_path.items()
        ]
        blocks.append(
            f"<details><summary><code>{text(symbol.qualified)}</code> by {len(by_path)} paths</summary>"
            f'<div class="in">{table(("imported from", "times", "by"), rows, frozenset({1}))}</div></details>'
        )
    left = len(found) - len(blocks)
    more = f"<p>{number(left)} further classes have two paths or more.</p>" if left > 0 else ""
    count = "One class is" if len(found) == 1 else f"{number(len(found))} classes are"
    rest = "".join(blocks[OPEN_MAPS:])
    folded = f"<details><summary>{len(blocks) - OPEN_MAPS} more</summary>{rest}</details>" if rest else ""
    return f"<p>{count} imported by more than one path.</p>{''.join(blocks[:OPEN_MAPS])}{folded}{more}"


def layers(outcome: Outcome) -> str:
    """Who imports whom, drawn so that the fewest imports point up."""
    drawn = picture(outcome.report.project)
    if len(drawn.groups) < 2:
        return ""
    back = [arrow for arrow in drawn.arrows if arrow.backwards]
    rows = [
        (
            f"<code>{text(each.source)}</code>",
            f"<code>{text(each.target)}</code>",
            number(each.imports),
            text(each.example),
        )
        for each in sorted(back, key=lambda each: (each.imports, each.source, each.target))
    ]
    listed = (
        f"<p>{len(back)} {'kind' if len(back) == 1 else 'kinds'} of imports go up, and close a circle; those with the"
        f" fewest imports are the cheapest to turn.</p>"
        f"{table(('from', 'to', 'imports', 'for example'), rows, frozenset({2}))}"
        if back
        else "<p>All imports go down.</p>"
    )
    left = f"<p>{drawn.left_out} small groups are not drawn.</p>" if drawn.left_out else ""
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Layers"><div class="wide">{drawing.layers(drawn)}'
        f"</div></div>{listed}{left}"
    )


def rules(outcome: Outcome) -> str:
    """Every rule, with what it looked at; those that find something first, and the others folded."""
    ordered = sorted(outcome.compliances, key=lambda each: (-each.findings, each.rule.id))
    right = frozenset({2, 3, 4})
    finding, quiet = [[_rule(each) for each in ordered if bool(each.findings) is some] for some in (True, False)]
    columns = ("rule", "name", "findings", "of", "compliance")
    folded = (
        f"<details><summary>{len(quiet)} {'rule finds' if len(quiet) == 1 else 'rules find'} nothing</summary>"
        f'<div class="in">{table(columns, quiet, right)}</div></details>'
    )
    return (table(columns, finding, right) if finding else "") + (folded if quiet else "")


def _rule(each: Compliance) -> tuple[str, ...]:
    return (
        f"<code>{each.rule.id}</code>",
        f"<span title='{escape(each.rule.summary, quote=True)}'>{text(each.rule.name)}</span>",
        number(each.findings),
        f"{number(each.exposure)} {each.rule.exposure}",
        f"{each.percent:.1f} %",
    )


def findings(outcome: Outcome) -> str:
    """Every finding, by rule."""
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in outcome.printed:
        by_rule[finding.rule].append(finding)
    names = {rule.id: rule for rule in outcome.report.rules}
    blocks = []
    for rule, found in sorted(by_rule.items()):
        inner = "".join(_finding(finding, outcome) for finding in found)
        summary = f"<code>{rule}</code> {text(names[rule].name if rule in names else '')}: {number(len(found))}"
        about = f"<p>{text(names[rule].summary)}</p>" if rule in names else ""
        blocks.append(f'<details><summary>{summary}</summary><div class="in">{about}{inner}</div></details>')
    left = len(outcome.shown) - len(outcome.printed)
    more = f"<p>{number(left)} more findings are not on this page (--max {outcome.most}).</p>" if left else ""
    return "".join(blocks) + more if blocks or more else "<p>None.</p>"


def _finding(finding: Finding, outcome: Outcome) -> str:
    places = "".join(
        f"<li><code>{text(each.path)}:{each.line}</code> {text(each.note)}</li>" for each in finding.related
    )
    if finding.place.note:
        places = f"<li>here: {text(finding.place.note)}</li>{places}"
    lines = "\n".join(text(each) for each in finding.details)
    return (
        f"<details><summary>{_kind(finding, outcome)} <code>{text(finding.place.path)}:"
        f"{finding.place.line}</code> {text(finding.message)}</summary><div class='in'>"
        f"{f'<ul>{places}</ul>' if places else ''}"
        f"{f'<pre tabindex=0>{lines}</pre>' if lines else ''}"
        f"{f'<p><strong>Fix:</strong> {text(finding.hint)}</p>' if finding.hint else ''}</div></details>"
    )


def _kind(finding: Finding, outcome: Outcome) -> str:
    new = ' <span class="new">new</span>' if outcome.is_new(finding) else ""
    return f'<span class="{finding.severity.value}">{finding.severity.value}</span>{new}'
