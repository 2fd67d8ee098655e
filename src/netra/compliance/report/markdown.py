"""Markdown, for a comment on a pull request or a job's summary."""

from __future__ import annotations

import re

from netra.compliance.figures import gains
from netra.compliance.outcome import Outcome
from netra.compliance.rule import Finding

from .text import clean

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@$])")


def as_markdown(outcome: Outcome) -> str:
    """The score, a table of rules, what to mend first, and each finding to unfold."""
    report = outcome.report
    lines = [f"## One source of truth: {report.score.value:.1f}", ""]
    lines += [f"**Does not pass:** {_plain(each)}." for each in outcome.failures]
    lines += [""] if outcome.failures else []
    change = f", {outcome.change}" if outcome.change else ""
    lines += [f"Debt {report.score.debt:g}{change}. {outcome.coverage.text}. Rule set `{outcome.rule_hash}`.", ""]
    scopes = [each for each in report.score.scopes if each.score is not None]
    if scopes:
        lines += ["| scope | score | modules | debt |", "|---|--:|--:|--:|"]
        lines += [f"| {each.scope} | {each.score:.1f} | {each.units} | {each.debt:g} |" for each in scopes]
        lines.append("")
    concerned = [each for each in outcome.compliances if each.findings]
    if concerned:
        lines += ["| rule | findings | of | compliance |", "|---|--:|--:|--:|"]
        lines += [
            f"| {each.rule.id} {each.rule.name} | {each.findings} | {each.exposure} {each.rule.exposure}"
            f" | {each.percent:.1f} % |"
            for each in concerned
        ]
        lines.append("")
    if outcome.explain:
        lines += ["### What would raise the score most", "", "| points | scope | what |", "|--:|---|---|"]
        lines += [f"| {each.points:+.3f} | {each.scope} | {_plain(each.what)} |" for each in gains(report)["findings"]]
        lines.append("")
    for finding in outcome.printed:
        lines += _finding(finding, outcome)
    if left := len(outcome.shown) - len(outcome.printed):
        lines += [f"{left} more findings are not printed (`--max {outcome.most}`).", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _finding(finding: Finding, outcome: Outcome) -> list[str]:
    new = ", new" if outcome.is_new(finding) else ""
    place = _code(f"{outcome.path(finding.place.path)}:{finding.place.line}")
    lines = [f"- **{finding.rule}** ({finding.severity.value}{new}) {place} {_plain(finding.message)}"]
    more = [
        f"{_code(f'{outcome.path(each.path)}:{each.line}')}{f' {_plain(each.note)}' if each.note else ''}"
        for each in finding.related
    ]
    if finding.place.note:
        more.insert(0, f"here: {_plain(finding.place.note)}")
    lines += [f"  - {each}" for each in more]
    if finding.details:
        # A fence longer than any in the text: what stands in it cannot end it.
        runs = [len(run) for each in finding.details for run in re.findall("`+", each)]
        fence = "`" * max(3, 1 + max(runs, default=0))
        lines += ["", f"  {fence}text", *(f"  {clean(each)}" for each in finding.details), f"  {fence}"]
    if finding.hint:
        lines += ["", f"  {_plain(finding.hint)}"]
    return [*lines, ""]


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", clean(text))


def _code(text: str) -> str:
    text = clean(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"
