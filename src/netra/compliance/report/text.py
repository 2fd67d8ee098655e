"""The format for people in a terminal: one block for each concept, and a last line that says how things stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from netra.compliance.figures import facts_of, gains, heaviest
from netra.compliance.housekeeping import HOUSEKEEPING
from netra.compliance.outcome import Outcome
from netra.compliance.rule import Finding, Severity

RELATED = 12
"""Places of one family that are printed; the rest is counted."""
SERVICES = 8
"""That are named."""
MANY = 50
"""Findings of a first check from which on it says what to do with so many."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_COLOURS = {Severity.ERROR: "31;1", Severity.WARNING: "33", Severity.INFO: "36"}


def as_text(outcome: Outcome, *, colour: bool = False) -> str:
    """The whole output, with a line feed at the end."""
    paint = _Paint(colour)
    parts: list[str] = []
    before: Finding | None = None
    for each in outcome.printed:
        if before is not None and not _continues(each, before):
            parts.append("\n")
        parts.append(block(each, outcome, paint, before))
        before = each
    left = outcome.shown[len(outcome.printed) :]
    if left:
        counts = ", ".join(f"{number} {rule}" for rule, number in sorted(Counter(each.rule for each in left).items()))
        parts.append(f"\n{len(left)} more not printed (--max {outcome.most}): {counts}\n")
    return f"{''.join(parts)}{chr(10) if parts else ''}{summary(outcome, paint)}"


def _continues(finding: Finding, before: Finding) -> bool:
    """Whether a finding says of another place what the one before said: then neither is a block of its own."""
    return finding.rule == before.rule and (finding.related, finding.details) == (before.related, before.details)


def block(finding: Finding, outcome: Outcome, paint: _Paint | None = None, before: Finding | None = None) -> str:
    """One finding: where, what, where else, the differences, and the way to mend it.

    Args:
        before: the finding above it; what that one said already is not repeated.
    """
    paint = paint or _Paint(False)
    said = before if before is not None and _continues(finding, before) else None
    names = {rule.id: rule.name for rule in outcome.report.rules}
    head = f"{clean(outcome.path(finding.place.path))}:{finding.place.line}"
    kind = paint(f"{finding.severity.value} {finding.rule}", _COLOURS[finding.severity])
    new = paint(" new", "35") if outcome.is_new(finding) else ""
    lines = [f"{paint(head, '1')}: {kind} {names.get(finding.rule, '')}{new}"]
    if said is None or said.message != finding.message:
        lines.append(f"  {clean(finding.message)}")
    if finding.place.note:
        lines.append(f"    here{paint(f'  {clean(finding.place.note)}', '2')}")
    for place in finding.related[:RELATED] if said is None else ():
        note = f"  {clean(place.note)}" if place.note else ""
        lines.append(f"    {clean(outcome.path(place.path))}:{place.line}{paint(note, '2')}")
    if said is None and len(finding.related) > RELATED:
        lines.append(f"    and {len(finding.related) - RELATED} more places (--format json has them all)")
    if said is None:
        lines += [f"    {clean(each)}" for each in finding.details]
    if finding.hint and (said is None or said.hint != finding.hint):
        lines.append(f"  {paint('fix:', '32')} {clean(finding.hint)}")
    if finding.fix is not None and (said is None or said.fix is None or said.fix.title != finding.fix.title):
        flags = "--fix" if finding.fix.safe else "--fix --unsafe"
        lines.append(f"  {paint(flags, '32')}: {clean(finding.fix.title)}")
    return "\n".join(lines) + "\n"


def summary(outcome: Outcome, paint: _Paint | None = None) -> str:
    """What stands below the findings; its last line is the score."""
    paint = paint or _Paint(False)
    lines: list[str] = []
    report = outcome.report
    concerned = [each for each in outcome.compliances if each.findings or outcome.statistics]
    if concerned:
        lines += table(
            ("rule", "", "findings", "of", "compliance"),
            [
                (
                    each.rule.id,
                    each.rule.name,
                    str(each.findings),
                    f"{each.exposure} {each.rule.exposure}",
                    f"{each.percent:.1f} %",
                )
                for each in concerned
            ],
        )
    quiet = sum(not each.findings for each in outcome.compliances)
    if quiet and concerned and not outcome.statistics:
        lines.append(f"{quiet} other {'rule finds' if quiet == 1 else 'rules find'} nothing.")
    if concerned:
        lines.append("")
    for path, reason in report.unreadable:
        lines.append(f"not read: {clean(path)}: {clean(reason)}")
    if outcome.explain:
        lines += explained(outcome)
    if outcome.statistics:
        lines += statistics(outcome)
    if report.services and report.config.services is None:
        named = ", ".join(map(clean, report.services[:SERVICES]))
        more = f" and {left} more" if (left := len(report.services) - SERVICES) > 0 else ""
        lines.append(f"Services, by their manifests: {named}{more}. `services` in [tool.ssot] says otherwise.")
    if report.waived:
        lines.append(f"{len(report.waived)} allowed by comments and the configuration.")
    if outcome.failures and outcome.comparison is None and len(outcome.printed) > MANY:
        most = [f"{clean(outcome.path(path))} ({_plural(count, 'finding')})" for path, count in heaviest(report)]
        if most:
            lines.append(f"Begin where it costs most: {', '.join(most)}.")
        lines += [
            "`netra check FILE` shows what involves a file, `--explain-score` what raises the score most.",
            "Too much at once? `--max 20` prints the worst; `netra ssot baseline write` lets what is known wait.",
        ]
    for failure in outcome.failures:
        lines.append(paint(f"Does not pass: {failure}.", "31;1"))
    lines.append(last_line(outcome, paint))
    return "\n".join(lines) + "\n"


def last_line(outcome: Outcome, paint: _Paint | None = None) -> str:
    """Score, debt, change against the baseline, coverage, and under which rules."""
    paint = paint or _Paint(False)
    score = outcome.report.score
    scopes = ", ".join(f"{each.scope} {each.score:.1f}" for each in score.scopes if each.score is not None)
    parts = [paint(f"score {score.value:.1f}", "1") + (f" ({scopes})" if scopes else "")]
    parts.append(f"debt {score.debt:g}")
    counted = Counter(each.severity for each in outcome.report.findings)
    parts.append(", ".join(_plural(counted[each], each.value) for each in Severity if each is not Severity.INFO))
    if outcome.change:
        parts.append(outcome.change)
    parts.append(outcome.coverage.text)
    parts.append(f"rules {outcome.rule_hash}")
    return " · ".join(parts)


def explained(outcome: Outcome) -> list[str]:
    """What would raise the score most."""
    if not any(each.rule not in HOUSEKEEPING for each in outcome.report.findings):
        return ["Nothing lowers the score.", ""]
    lines = []
    found = gains(outcome.report)
    for key, title in (
        ("rules", "What mending all findings of a rule would add, in points of the scope:"),
        ("modules", "What mending everything in one module would add:"),
        ("findings", "What mending a single finding would add:"),
    ):
        lines.append(title)
        for gain in found[key]:
            where = f"{clean(outcome.path(gain.place))}  " if key == "findings" else ""
            count = f" ({_plural(gain.findings, 'finding')})" if key != "findings" else ""
            lines.append(f"  {gain.points:+7.3f} {gain.scope:7}  {where}{clean(gain.what)}{count}")
        lines.append("")
    return lines


def statistics(outcome: Outcome) -> list[str]:
    """Where the time went, and over how much."""
    seconds = outcome.report.seconds
    rows = [(name, f"{value * 1000:.1f} ms") for name, value in seconds.items() if not name.startswith("rule ")]
    slow = sorted(((value, name) for name, value in seconds.items() if name.startswith("rule ")), reverse=True)
    rows += [(f"  {name[5:]}", f"{value * 1000:.1f} ms") for value, name in slow]
    rows += [(name, str(number)) for name, number in facts_of(outcome.report.project).items()]
    return [*table(("", ""), rows)[1:], ""]


def table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines of a table; figures stand right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    right = [all(re.match(r"^[+-]?\d", row[index]) for row in rows) and bool(rows) for index in range(len(columns))]
    lines = []
    for row in (columns, *rows):
        cells = zip(row, widths, right, strict=True)
        lines.append(
            "  ".join(cell.rjust(width) if flag else cell.ljust(width) for cell, width, flag in cells).rstrip()
        )
    return lines


def clean(text: str) -> str:
    """A text without characters that would act on a terminal, break a line, or turn the direction of reading."""
    return _CONTROL.sub(lambda match: ascii(match.group())[1:-1], text.encode("utf-8", "backslashreplace").decode())


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


class _Paint:
    """Wraps text in a colour where colours are wanted."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text
