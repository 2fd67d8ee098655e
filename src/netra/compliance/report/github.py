"""Workflow commands, which GitHub Actions shows as annotations beside the lines of a pull request."""

from __future__ import annotations

from netra.compliance.outcome import Outcome
from netra.compliance.rule import Severity

from .text import clean, last_line

PLACES = 5
"""Places of one finding that are named; the rest is counted."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def as_github(outcome: Outcome) -> str:
    """A command for each finding, and the last line of the text format."""
    names = {rule.id: rule.name for rule in outcome.report.rules}
    lines = []
    for finding in outcome.printed:
        places = [f"{outcome.path(each.path)}:{each.line} {each.note}".strip() for each in finding.related[:PLACES]]
        if more := len(finding.related) - len(places):
            places.append(f"and {more} more places")
        if finding.place.note:
            places.insert(0, f"here: {finding.place.note}")
        message = "\n".join(clean(each) for each in (finding.message, *places, *finding.details, finding.hint) if each)
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
