"""The baseline: what it knows, what is new, what is gone; and how its file reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netra.compliance.baseline import Baseline, compare, made_of, pruned, read, text_of, write
from netra.compliance.config import ConfigError
from netra.compliance.rule import Finding, Place, Severity
from netra.compliance.running import Request, check
from support.code_base import write as write_files


def finding(path: str, subject: str, line: int = 1, rule: str = "SSOT101") -> Finding:
    return Finding(rule, Severity.ERROR, Place(path, line), "message", (subject,))


def test_its_file_is_sorted_with_an_entry_on_each_line(tmp_path: Path) -> None:
    found = [finding("b.py", "b.X"), finding("a.py", "a.Y"), finding("a.py", "a.Y", line=9), finding("a\nb.py", "é")]
    path = tmp_path / "baseline.jsonl"
    write(path, made_of(found, 91.5, "12345678"))
    rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert rows[0] == {"baseline": 1, "score": 91.5, "rules": "12345678"}
    assert [(row["path"], row.get("count", 1)) for row in rows[1:]] == [("a\nb.py", 1), ("a.py", 2), ("b.py", 1)]
    assert text_of(read(path)) == path.read_text("ascii")
    write(path, made_of(reversed(found), 91.5, "12345678"))
    assert [json.loads(line) for line in path.read_text("ascii").splitlines()] == rows


def test_moved_lines_stay_known_and_a_second_finding_of_the_same_kind_is_new(tmp_path: Path) -> None:
    known = made_of([finding("a.py", "a.X", 10)])
    moved = compare([finding("a.py", "a.X", 99)], known, rules=["SSOT101"], is_checked=["a.py"], root=tmp_path)
    assert (moved.new, moved.stale) == ((), ())
    two = [finding("a.py", "a.X", 10), finding("a.py", "a.X", 20)]
    assert compare(two, known, rules=["SSOT101"], is_checked=["a.py"], root=tmp_path).new == (two[1],)
    elsewhere = finding("b.py", "a.X", 10)
    compared = compare([elsewhere], known, rules=["SSOT101"], is_checked=["a.py", "b.py"], root=tmp_path)
    assert compared.new == (elsewhere,)
    assert [entry.path for entry in compared.stale] == ["a.py"]


def test_an_entry_is_stale_only_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "other.py").touch()
    known = made_of(
        [
            finding("a.py", "a.X"),
            finding("a.py", "a.Z", rule="SSOT701"),
            finding("other.py", "other.X"),
            finding("deleted.py", "deleted.X"),
        ]
    )
    compared = compare([], known, rules=["SSOT101"], is_checked=["a.py"], root=tmp_path)
    assert [(entry.path, entry.rule) for entry in compared.stale] == [("a.py", "SSOT101"), ("deleted.py", "SSOT101")]
    left = pruned(known, compared)
    assert [(entry.path, entry.rule) for entry in left.entries] == [("a.py", "SSOT701"), ("other.py", "SSOT101")]


def test_a_count_goes_down_by_what_is_gone(tmp_path: Path) -> None:
    known = made_of([finding("a.py", "a.X"), finding("a.py", "a.X", 5), finding("a.py", "a.X", 6)])
    compared = compare([finding("a.py", "a.X")], known, rules=["SSOT101"], is_checked=["a.py"], root=tmp_path)
    assert [entry.missing for entry in compared.stale] == [2]
    assert [entry.count for entry in pruned(known, compared).entries] == [1]


def test_scores_are_compared_under_the_same_rules_only(tmp_path: Path) -> None:
    known = Baseline((), 90.0, "aaaa")
    assert compare([], known, rules=[], is_checked=[], root=tmp_path, rule_hash="aaaa").before == 90.0
    assert compare([], known, rules=[], is_checked=[], root=tmp_path, rule_hash="bbbb").before is None


@pytest.mark.parametrize(
    "text", ["{", "[]\n", '{"path": "a.py"}\n', '{"baseline": 9}\n', '{"path":"a","rule":"b","id":"c","count":"x"}']
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match="baseline"):
        read(path)


def test_a_code_base_passes_with_the_baseline_just_written_of_it_whatever_is_to_fail(tmp_path: Path) -> None:
    files = {
        "a.py": "class Clock: ...\n",
        "b.py": "from a import nothing\n",
        "c.py": "x = (\n",
        "d.py": "import a  # ssot: allow[SSOT202] gone since\n",
    }
    write_files(tmp_path, files)
    request = Request((tmp_path,), fail_on="warning,new,stale", baseline=tmp_path / "known", cache=False)
    found = check(Request((tmp_path,), fail_on="never", cache=False)).report.findings
    assert {each.rule for each in found} == {"SSOT202", "SSOT901", "SSOT903"}
    write(tmp_path / "known", made_of(found))
    assert check(request).failures == ()
    write_files(tmp_path, {"b.py": "x = 1  # ssot: allow[SSOT101] nothing here\n"})
    assert check(request).failures == (
        "1 new finding of severity warning or worse",
        "1 finding that the baseline does not know",
        "1 entry of the baseline without a finding",
    )
