"""What `--fix` may do: apply whole fixes, keep files parsing, leave alone what changed or overlaps."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from netra.compliance.fixes import diff_of, mend, plan, write
from netra.compliance.outcome import Outcome
from netra.compliance.rule import Edit, Finding, Fix, Place, Severity
from support.code_base import check

CODE = {"pkg/__init__.py": "", "pkg/a.py": "x = 1\ny = 2\nz = 3\n", "pkg/b.py": "p = 1\nq = 2\n"}


def finding(*edits: Edit, safe: bool = True) -> Finding:
    return Finding("SSOT131", Severity.WARNING, Place(edits[0].path, 1), "m", ("s",), fix=Fix("mend", edits, safe))


def outcome(tmp_path: Path, *findings: Finding) -> Outcome:
    report = check(tmp_path, CODE, {"select": ["SSOT901"]})
    return Outcome(replace(report, findings=findings), findings)


def text(tmp_path: Path, name: str) -> str:
    return (tmp_path / "pkg" / name).read_bytes().decode()


def test_edits_are_applied_by_the_lines_of_the_original(tmp_path: Path) -> None:
    shown = outcome(
        tmp_path,
        finding(Edit("pkg/a.py", 1, 1, "one = 1\nmore = 1\n")),
        finding(Edit("pkg/a.py", 3, 2, "inserted = 0\n")),
        finding(Edit("pkg/a.py", 3, 3, "")),
        finding(Edit("pkg/a.py", 4, 3, "last = 9\n")),
    )
    made = plan(shown, unsafe=False)
    assert len(made.mended) == 4
    write(made)
    assert text(tmp_path, "a.py") == "one = 1\nmore = 1\ny = 2\ninserted = 0\nlast = 9\n"


def test_a_fix_after_which_a_file_does_not_parse_is_taken_back_in_all_its_files(tmp_path: Path) -> None:
    breaking = finding(Edit("pkg/a.py", 1, 1, "x = (\n"), Edit("pkg/b.py", 1, 1, "p = 9\n"))
    good = finding(Edit("pkg/b.py", 2, 2, "q = 3\n"))
    made = plan(outcome(tmp_path, breaking, good), unsafe=False)
    write(made)
    assert (text(tmp_path, "a.py"), text(tmp_path, "b.py")) == (CODE["pkg/a.py"], "p = 1\nq = 3\n")
    assert [(each.finding, each.reason) for each in made.refused] == [(breaking, "the file would not parse after it")]


def test_a_fix_that_breaks_a_file_does_not_take_the_others_of_the_file_with_it(tmp_path: Path) -> None:
    breaking, good = finding(Edit("pkg/a.py", 1, 1, "x = (\n")), finding(Edit("pkg/a.py", 3, 3, "z = 9\n"))
    made = plan(outcome(tmp_path, breaking, good), unsafe=False)
    write(made)
    assert text(tmp_path, "a.py") == "x = 1\ny = 2\nz = 9\n"
    assert (made.mended, [each.finding for each in made.refused]) == ([good], [breaking])


def test_overlapping_fixes_are_refused_and_equal_edits_are_one(tmp_path: Path) -> None:
    first = finding(Edit("pkg/a.py", 1, 2, "x = y = 0\n"))
    second = finding(Edit("pkg/a.py", 2, 3, "z = 0\n"), Edit("pkg/b.py", 1, 1, "p = 0\n"))
    same = finding(Edit("pkg/a.py", 1, 2, "x = y = 0\n"))
    made = plan(outcome(tmp_path, first, second, same), unsafe=False)
    assert made.mended == [first, same]
    assert [each.finding for each in made.refused] == [second]
    write(made)
    assert (text(tmp_path, "a.py"), text(tmp_path, "b.py")) == ("x = y = 0\nz = 3\n", CODE["pkg/b.py"])


def test_unsafe_fixes_are_asked_for(tmp_path: Path) -> None:
    shown = outcome(tmp_path, finding(Edit("pkg/a.py", 1, 1, "x = 9\n"), safe=False))
    assert not plan(shown, unsafe=False).texts
    assert plan(shown, unsafe=True).texts


def test_a_file_that_changed_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    shown = outcome(tmp_path, finding(Edit("pkg/a.py", 1, 1, "x = 9\n")))
    (tmp_path / "pkg/a.py").write_text("import os\nx = 1\ny = 2\nz = 3\n")
    made = plan(shown, unsafe=False)
    assert not made.texts
    assert "changed meanwhile" in made.refused[0].reason


def test_a_file_that_does_not_parse_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    shown = outcome(tmp_path, finding(Edit("pkg/c.py", 1, 1, "x = 9\n")))
    (tmp_path / "pkg/c.py").write_text("print 'x'\n")
    assert "does not parse" in plan(shown, unsafe=False).refused[0].reason


@pytest.mark.parametrize(
    "data", [b"x = 1\r\ny = 2\r\n", "\ufeffx = 1\ny = 'é'\n".encode(), "# coding: latin-1\ny = 'é'\n".encode("latin-1")]
)
def test_line_ends_marks_and_encodings_are_kept(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/c.py").write_bytes(data)
    (tmp_path / "pkg/c.py").chmod(0o755)
    write(plan(outcome(tmp_path, finding(Edit("pkg/c.py", 3, 2, "z = 3\n"))), unsafe=False))
    end = b"\r\n" if b"\r" in data else b"\n"
    assert (tmp_path / "pkg/c.py").read_bytes() == data + b"z = 3" + end
    assert (tmp_path / "pkg/c.py").stat().st_mode & 0o777 == 0o755


def test_a_link_to_a_file_outside_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("x = 1\n")
    root = tmp_path / "root"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/c.py").symlink_to(outside)
    made = plan(outcome(root, finding(Edit("pkg/c.py", 1, 1, "x = 9\n"))), unsafe=False)
    assert not made.texts
    assert "link" in made.refused[0].reason


def test_a_diff_changes_nothing(tmp_path: Path) -> None:
    shown = outcome(tmp_path, finding(Edit("pkg/a.py", 2, 2, "y = 5\n")))
    assert "-y = 2\n+y = 5\n" in diff_of(plan(shown, unsafe=False))
    assert text(tmp_path, "a.py") == CODE["pkg/a.py"]


def test_mending_ends_though_a_rule_keeps_proposing(tmp_path: Path) -> None:
    count = 0

    def again() -> Outcome:
        nonlocal count
        count += 1
        report = check(tmp_path, {}, {"select": ["SSOT901"]})
        each = finding(Edit("pkg/a.py", 1, 1, f"x = {count}0\n"))
        return Outcome(replace(report, findings=(each,)), (each,))

    told, _ = mend(outcome(tmp_path, finding(Edit("pkg/a.py", 1, 1, "x = 9\n"))), again, unsafe=False)
    assert count <= 5
    assert "findings mended" in told
