"""The weekly report: a week's figures against those of the week before, from what the server wrote down each day.

`weekly` computes it from the stored days, without a database; `as_json`, `as_text` and `as_page` show it. A figure of
a week in which no server ran is None and shown as such; so is the compliance score without a history of checks.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from .daily import Figure, Figures, merged, percentile

DAYS = 7
STATUSES = ("succeeded", "failed", "cancelled", "timed_out", "stalled", "died")
NOT_RUN = "not run yet"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the report. Values are None when nothing is known; the unit is empty, `ms` or `%`."""

    name: str
    label: str
    unit: str
    this_week: float | None
    week_before: float | None
    more_is_worse: bool = True

    @property
    def change(self) -> float | None:
        """This week's value less the one before."""
        if self.this_week is None or self.week_before is None:
            return None
        return self.this_week - self.week_before


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """A week, from `first` to `last`, both included, in UTC."""

    first: date
    last: date
    lines: tuple[Line, ...]
    days: tuple[tuple[date, float | None, float | None], ...]
    """Each day of both weeks, with the p99 of event and request latency in ms."""


def weekly(stored: Mapping[date, Figures], last: date, compliance: tuple[float | None, float | None]) -> WeeklyReport:
    """The report of the seven days up to `last`.

    Args:
        stored: the days that have figures; at least the fourteen up to `last` are looked at.
        compliance: the score in per cent at the end of this week and of the one before; None where there is none.
    """
    first = last - timedelta(days=DAYS - 1)
    this, before = _week(stored, first), _week(stored, first - timedelta(days=DAYS))

    def count(name: str, label: str, more_is_worse: bool = True) -> Line:
        return Line(name, label, "", _count(this, name), _count(before, name), more_is_worse)

    def latency(name: str, label: str, share: float) -> Line:
        full = f"{name}_p{share * 100:.0f}_ms"
        return Line(
            full, f"{label}, p{share * 100:.0f}", "ms", _latency(this, name, share), _latency(before, name, share)
        )

    lines = (
        Line("compliance_score", "Compliance score", "%", *compliance, more_is_worse=False),
        count("blocked_constructions", "Blocked direct constructions"),
        count("refused_accesses", "Refused cross-user accesses"),
        latency("event_latency", "Event latency", 0.5),
        latency("event_latency", "Event latency", 0.99),
        latency("request_latency", "Request latency", 0.5),
        latency("request_latency", "Request latency", 0.99),
        Line("session_success", "Database sessions that could be opened", "%", _success(this), _success(before), False),
        count("session_creations", "Database sessions asked for", more_is_worse=False),
        count("pool_exhaustions", "Waits for a connection in vain"),
        count("session_leaks", "Database sessions held too long"),
        *(
            count(f"runs_{status}", f"Runs {status.replace('_', ' ')}", more_is_worse=status != "succeeded")
            for status in STATUSES
        ),
        count("sign_in_failures", "Refused sign-ins"),
    )
    days = [first + timedelta(days=n) for n in range(-DAYS, DAYS)]
    chart = tuple(
        (day, _latency(stored.get(day), "event_latency", 0.99), _latency(stored.get(day), "request_latency", 0.99))
        for day in days
    )
    return WeeklyReport(first, last, lines, chart)


def _week(stored: Mapping[date, Figures], first: date) -> Figures | None:
    """The figures of a week together; None when none of its days has any: no server ran."""
    days = [stored[day] for n in range(DAYS) if (day := first + timedelta(days=n)) in stored]
    return merged(days) if days else None


def _count(week: Figures | None, name: str) -> float | None:
    # A server that ran and wrote no such row has seen nothing of the kind: that zero is known.
    return None if week is None else float(week.get(name, Figure()).count)


def _latency(figures: Figures | None, name: str, share: float) -> float | None:
    seconds = None if figures is None else percentile(figures.get(name, Figure()).buckets, share)
    return None if seconds is None else seconds * 1000


def _success(week: Figures | None) -> float | None:
    asked = _count(week, "session_creations")
    failed = _count(week, "session_creation_failures")
    return (1 - failed / asked) * 100 if asked and failed is not None else None


def as_json(report: WeeklyReport) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "from": report.first.isoformat(),
        "until": report.last.isoformat(),
        "figures": {
            line.name: {
                "label": line.label,
                "unit": line.unit,
                "this_week": line.this_week,
                "week_before": line.week_before,
                "change": line.change,
                **({"note": NOT_RUN} if line.name == "compliance_score" and line.this_week is None else {}),
            }
            for line in report.lines
        },
        "days": [
            {"day": day.isoformat(), "event_latency_p99_ms": events, "request_latency_p99_ms": requests}
            for day, events, requests in report.days
        ],
    }


def as_rows(report: WeeklyReport) -> list[tuple[str, str, str, str]]:
    """The report as cells: figure, this week, the week before, change."""
    return [
        (
            line.label,
            _shown(line, line.this_week),
            _shown(line, line.week_before),
            "" if line.change is None else _shown(line, line.change, sign=True),
        )
        for line in report.lines
    ]


def as_text(report: WeeklyReport) -> str:
    """The report for a message: one figure a line."""
    lines = [title(report), ""]
    for label, this, before, _ in as_rows(report):
        lines.append(f"{label}: {this} (week before: {before})")
    return "\n".join(lines)


def title(report: WeeklyReport) -> str:
    """What the report is called."""
    return f"Netra, week from {report.first} to {report.last}"


def _shown(line: Line, value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return NOT_RUN if line.name == "compliance_score" else "not known"
    plus = "+" if sign else ""
    if line.unit == "ms":
        return f"{value:{plus}.1f} ms"
    if line.unit == "%":
        return f"{value:{plus}.2f} %"
    return f"{value:{plus},.0f}"


STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#14171c;--line:#d0d4da;--soft:#5b6470}
:root{--bad:#b3261e;--good:#1b6e3c;--bar:#3b6fd4}
@media (prefers-color-scheme:dark){
:root{--page:#121316;--ink:#eceef2;--line:#3a4048;--soft:#a5adb8;--bad:#ff8a80;--good:#7bd69b;--bar:#8ab0ff}
}
body{background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:right;padding:.4rem .6rem;border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}thead th{color:var(--soft);font-weight:600}
tbody th{font-weight:400}.worse{color:var(--bad)}.better{color:var(--good)}
td.bars{text-align:left}.bar{fill:var(--bar)}p{color:var(--soft)}
"""
"""Of the page; who serves it allows this and no other."""


def as_page(report: WeeklyReport) -> str:
    """The report as one HTML page that loads nothing: no script, no font, no picture."""
    rows = []
    for line, (label, this, before, change) in zip(report.lines, as_rows(report), strict=True):
        kind = ""
        if line.change:
            kind = ' class="worse"' if (line.change > 0) == line.more_is_worse else ' class="better"'
        cells = "".join(
            f"<td{kind if text is change else ''}>{html.escape(text)}</td>" for text in (this, before, change)
        )
        rows.append(f'<tr><th scope="row">{html.escape(label)}</th>{cells}</tr>')
    heading = html.escape(title(report))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{heading}</title><style>{STYLE}</style></head><body><main>
<h1>{heading}</h1>
<p>Days end at midnight UTC. "Not known" means that no server ran, or that nothing of the kind happened to measure.</p>
<div class="wide" tabindex="0" role="region" aria-label="Figures"><table>
{_heads("Figure", "This week", "Week before", "Change")}
<tbody>{"".join(rows)}</tbody></table></div>
<h2>Latency by day, p99</h2>
<div class="wide" tabindex="0" role="region" aria-label="Latency by day"><table>
{_heads("Day", "Events", "", "Requests", "")}
<tbody>{_chart(report.days)}</tbody></table></div>
</main></body></html>
"""


def _heads(*names: str) -> str:
    cells = (f'<th scope="col">{name}</th>' if name else "<td></td>" for name in names)
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _chart(days: Sequence[tuple[date, float | None, float | None]]) -> str:
    largest = max((value for _, *values in days for value in values if value is not None), default=1.0)
    rows = []
    for day, *values in days:
        cells = ""
        for value in values:
            if value is None:
                cells += "<td>not known</td><td></td>"
                continue
            width = max(1.0, 120 * value / largest)
            bar = f'<rect class="bar" width="{width:.1f}" height="10"/>'
            drawn = f'<svg width="120" height="10" aria-hidden="true">{bar}</svg>'
            cells += f'<td>{value:.1f} ms</td><td class="bars">{drawn}</td>'
        rows.append(f'<tr><th scope="row">{day}</th>{cells}</tr>')
    return "".join(rows)
