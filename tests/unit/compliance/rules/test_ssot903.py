"""SSOT903 unused-suppression: comments that allow nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.code_base import check, ids, one

RULES = {"select": ["SSOT202", "SSOT903"]}
CLOCK = {"app/__init__.py": "", "app/clock.py": "class Clock:\n    pass\n"}
WRONG = "from app.clock import Watch"


def test_a_comment_with_a_reason_allows_the_finding_of_its_line_or_the_next(tmp_path: Path) -> None:
    for name, text in (
        ("same", f"{WRONG}  # ssot: allow[SSOT202] made by the build\n"),
        ("above", f"# ssot: allow[SSOT202] made by the build\n{WRONG}\n"),
    ):
        report = check(tmp_path / name, {**CLOCK, "app/a.py": text}, RULES)
        assert ids(report) == []
        assert [(each.finding.rule, each.reason) for each in report.waived] == [("SSOT202", "made by the build")]


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        pytest.param({"per-file": {"app/*": ["SSOT202"]}}, "per-file: app/*", id="per file"),
        pytest.param({"per-scope": {"core": ["SSOT2"]}}, "per-scope: core", id="per scope"),
    ],
)
def test_what_the_configuration_allows_is_waived_under_its_key(
    tmp_path: Path, allowed: dict[str, Any], reason: str
) -> None:
    report = check(tmp_path, {**CLOCK, "app/a.py": f"{WRONG}\n"}, {**RULES, **allowed})
    assert ids(report) == []
    assert [(each.finding.rule, each.reason) for each in report.waived] == [("SSOT202", reason)]


def test_a_comment_where_nothing_is_found_is_reported_and_can_be_removed(tmp_path: Path) -> None:
    text = "import os\n\nfrom app.clock import Clock  # ssot: allow[SSOT202] once it was not there\n"
    found = one(check(tmp_path, {**CLOCK, "app/a.py": text}, RULES), "SSOT903")
    assert (found.place.path, found.place.line, found.severity) == ("app/a.py", 3, "warning")
    assert "SSOT202 finds nothing here to allow" in found.message
    assert found.fix is not None
    assert [each.text for each in found.fix.edits] == ["from app.clock import Clock\n"]


def test_of_several_rules_only_the_idle_one_is_removed(tmp_path: Path) -> None:
    text = f"{WRONG}  # ssot: allow[SSOT202, SSOT204] made by the build\n"
    config = {"select": ["SSOT202", "SSOT204", "SSOT903"]}
    found = one(check(tmp_path, {**CLOCK, "app/a.py": text}, config), "SSOT903")
    assert found.message.startswith("SSOT204 finds nothing here")
    assert found.fix is not None
    assert [each.text for each in found.fix.edits] == [f"{WRONG}  # ssot: allow[SSOT202] made by the build\n"]


def test_a_comment_without_a_reason_allows_nothing_and_is_left_to_its_author(tmp_path: Path) -> None:
    report = check(tmp_path, {**CLOCK, "app/a.py": f"{WRONG}  # ssot: allow[SSOT202]\n"}, RULES)
    assert sorted(ids(report)) == ["SSOT202", "SSOT903"]
    found = one(report, "SSOT903")
    assert "gives no reason" in found.message
    assert found.fix is None


def test_a_rule_that_there_is_not_is_named(tmp_path: Path) -> None:
    text = "x = 1  # ssot: allow[SSOT999] whatever\n"
    assert "There is no rule SSOT999" in one(check(tmp_path, {**CLOCK, "app/a.py": text}, RULES), "SSOT903").message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x = 1  # ssot: allow[SSOT101] speaks of a rule that is not asked for\n", id="another rule"),
        pytest.param('TEXT = "# ssot: allow[SSOT202] a reason"\n', id="in a string"),
        pytest.param('"""\n# ssot: allow[SSOT202] a reason\n"""\n', id="in a docstring"),
        pytest.param("x = 1  # ssot is a tool\n", id="prose"),
    ],
)
def test_is_no_unused_comment(tmp_path: Path, text: str) -> None:
    assert ids(check(tmp_path, {**CLOCK, "app/a.py": text}, RULES)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_comment_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**CLOCK, "app/a.py": text}, RULES), "SSOT903").fingerprint

    text = "x = 1  # ssot: allow[SSOT202] a reason\n"
    first = fingerprint("a", text)
    assert fingerprint("b", "import os\n\n\n" + text.replace("x = 1", "y = os")) == first
    assert fingerprint("c", text.replace("a reason", "another reason")) != first
