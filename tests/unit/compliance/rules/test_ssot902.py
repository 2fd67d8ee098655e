"""SSOT902 stale-baseline: entries whose findings are gone. What a check does with them is tested with the command."""

from __future__ import annotations

from pathlib import Path

from netra.compliance import baseline
from netra.compliance.housekeeping import stale_entries
from netra.compliance.outcome import Report
from netra.compliance.rule import Finding
from support.code_base import check

RULE = {"select": ["SSOT202"]}
CLOCK = {"app/__init__.py": "", "app/clock.py": "class Clock:\n    pass\n"}
TWO = {**CLOCK, "app/a.py": "from app.clock import Watch, Wall\n"}


def stale(tmp_path: Path, then: Report, now: Report) -> list[Finding]:
    """What a check says of a baseline that was written at another time."""
    path = tmp_path / "baseline.jsonl"
    baseline.write(path, baseline.made_of(then.findings))
    kept = baseline.read(path)
    checked = [file.path for file in now.project.files]
    compared = baseline.compare(now.findings, kept, rules=["SSOT202"], is_checked=checked, root=now.root)
    return stale_entries("baseline.jsonl", compared.stale)


def test_an_entry_whose_finding_is_gone_is_named_at_its_line(tmp_path: Path) -> None:
    then = check(tmp_path / "then", TWO, RULE)
    now = check(tmp_path / "now", {**TWO, "app/a.py": "from app.clock import Clock, Watch\n"}, RULE)
    (found,) = stale(tmp_path, then, now)
    assert (found.rule, found.severity, found.place.path) == ("SSOT902", "warning", "baseline.jsonl")
    line = (tmp_path / "baseline.jsonl").read_text("utf-8").splitlines()[found.place.line - 1]
    assert "app.clock.Wall" in line
    assert "app/a.py" in found.message
    assert found.hint == "Run `netra ssot baseline prune`."


def test_findings_that_only_moved_are_not_stale(tmp_path: Path) -> None:
    then = check(tmp_path / "then", TWO, RULE)
    moved = {**TWO, "app/a.py": "import os\n\n\nother = os\nfrom app.clock import Wall\nfrom app.clock import Watch\n"}
    assert stale(tmp_path, then, check(tmp_path / "now", moved, RULE)) == []


def test_the_fingerprint_is_of_the_entry_and_not_of_its_line(tmp_path: Path) -> None:
    then = check(tmp_path / "then", TWO, RULE)
    more = check(tmp_path / "more", {**TWO, "app/_first.py": "from app.clock import Hour\n"}, RULE)
    now = check(tmp_path / "now", CLOCK, RULE)
    two = {each.message: each.fingerprint for each in stale(tmp_path, then, now)}
    three = {each.message: each.fingerprint for each in stale(tmp_path, more, now)}
    assert len(set(two.values())) == 2
    assert len(set(three.values())) == 3
    assert two.items() <= three.items()
