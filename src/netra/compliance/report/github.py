"""Workflow commands, which GitHub Actions shows as annotations beside the lines of a pull request."""

from __future__ import annotations

from netra.compliance.outcome import Outcome
from netra.compliance.rule import Severity

from .text import clean, last_line

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_github(outcome: Outcome) -> str:
    """A command for each finding, and the last line of the text format."""
    names = {rule.id: rule.name for rule in outcome.report.rules}
    lines = []
    for finding in outcome.printed:
        where = [f"{clean(outcome.path(each.path))}:{each.line}" for each in finding.related[:5]]
        also = f"Also: {', '.join(where)}" if where else ""
        message = "\n".join(clean(each) for each in (finding.message, also, *finding.details, finding.hint) if each)
        title = f"{finding.rule} {names.get(finding.rule, '')}".strip()
        lines.append(
            f"::{_LEVELS[finding.severity]} file={_value(clean(outcome.path(finding.place.path)))}"
            f",line={max(1, finding.place.line)},title={_value(title)}::{_data(message)}\n"
        )
    if left := len(outcome.shown) - len(outcome.printed):
        lines.append(f"::notice::{left} more findings are not printed (--max {outcome.most}).\n")
    lines += [f"::error::Does not pass: {_data(each)}.\n" for each in outcome.failures]
    return "".join(lines) + last_line(outcome) + "\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
