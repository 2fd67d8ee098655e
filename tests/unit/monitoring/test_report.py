"""The weekly report: what is known, what is not, and nothing invented."""

from __future__ import annotations

from datetime import date, timedelta
from html.parser import HTMLParser

import pytest

from netra.monitoring.daily import Daily, Figure
from netra.monitoring.report import WeeklyReport, as_json, as_page, as_rows, as_text, weekly

LAST = date(2026, 3, 15)
UNKNOWN = (None, None)


def timed(seconds: float, number: int = 100) -> Figure:
    daily = Daily()
    for _ in range(number):
        daily.observe("event_latency", seconds)
    return daily.since_start("event_latency")


def two_weeks() -> WeeklyReport:
    stored = {}
    for n in range(14):
        slow = n >= 7  # the week before
        stored[LAST - timedelta(days=n)] = {
            "event_latency": timed(0.2 if slow else 0.1),
            "request_latency": timed(0.004),
            "session_creations": Figure(100),
            "session_creation_failures": Figure(0 if slow else 1),
            "refused_accesses": Figure(3 if slow else 1),
            "runs_succeeded": Figure(10),
        }
    return weekly(stored, LAST, UNKNOWN)


@pytest.mark.spec("report.weekly")
def test_a_week_is_compared_with_the_week_before() -> None:
    figures = as_json(two_weeks())["figures"]
    assert figures["refused_accesses"]["this_week"] == 7
    assert figures["refused_accesses"]["week_before"] == 21
    assert figures["refused_accesses"]["change"] == -14
    assert figures["event_latency_p99_ms"]["this_week"] == pytest.approx(100, rel=0.05)
    assert figures["event_latency_p99_ms"]["week_before"] == pytest.approx(200, rel=0.05)
    assert figures["request_latency_p50_ms"]["this_week"] == pytest.approx(4, rel=0.05)
    assert figures["session_success"]["this_week"] == pytest.approx(99)
    assert figures["session_success"]["week_before"] == pytest.approx(100)
    assert figures["blocked_constructions"]["this_week"] == 0  # the server ran, and saw none


@pytest.mark.spec("report.weekly")
def test_days_outside_the_week_do_not_count() -> None:
    stored = {LAST + timedelta(days=1): {"refused_accesses": Figure(9)}, LAST: {"refused_accesses": Figure(1)}}
    line = as_json(weekly(stored, LAST, UNKNOWN))["figures"]["refused_accesses"]
    assert (line["this_week"], line["week_before"], line["change"]) == (1, None, None)


@pytest.mark.spec("report.weekly")
def test_what_nobody_knows_is_not_invented() -> None:
    report = weekly({}, LAST, UNKNOWN)
    assert {line.this_week for line in report.lines} == {None}
    assert {row[1] for row in as_rows(report)} == {"not known", "not run yet"}
    assert "Compliance score: not run yet" in as_text(report)


@pytest.mark.spec("report.compliance-trend")
def test_the_compliance_score_and_its_trend_are_shown_once_there_are_any() -> None:
    line = as_json(weekly({}, LAST, (99.5, 98.0)))["figures"]["compliance_score"]
    assert (line["this_week"], line["change"]) == (99.5, 1.5)
    missing = as_json(weekly({}, LAST, UNKNOWN))["figures"]["compliance_score"]
    assert missing["this_week"] is None and missing["note"] == "not run yet"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href", "srcset", "onclick")]
        if tag in ("script", "link", "iframe", "img"):
            self.loads.append(tag)


@pytest.mark.spec("report.weekly")
def test_the_page_shows_every_figure_and_loads_nothing() -> None:
    report = two_weeks()
    page = _Page()
    page.feed(as_page(report))
    assert page.loads == []
    assert page.rows == 2 + len(report.lines) + 14
