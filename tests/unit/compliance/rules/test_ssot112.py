"""SSOT112: functions of other names that differ in a few lines."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT11"]}


def function(name: str, changed: int = 0) -> str:
    lines = [f"    step_{number} = text.replace('{number}', 'x') + str({number})\n" for number in range(24)]
    for number in range(changed):
        lines[number] = f"    step_{number} = other({number})\n"
    return f"def {name}(text):\n{''.join(lines)}    return step_9\n"


TREE = {"app/__init__.py": "", "app/a.py": function("wash"), "app/b.py": "x = 1\n" + function("rinse", changed=1)}


def test_a_copy_of_another_name_with_one_other_line_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT112")
    assert finding.severity is Severity.INFO
    assert finding.message == "rinse, wash are nearly the same."
    assert {finding.place.path, *(each.path for each in finding.related)} == {"app/a.py", "app/b.py"}


def test_a_group_is_one_finding(tmp_path: Path) -> None:
    files = {**TREE, "app/c.py": "y = 2\n" + function("dry", changed=2)}
    assert len(one(check(tmp_path, files, ONLY), "SSOT112").related) == 2


def test_with_half_of_the_lines_changed_they_are_different(tmp_path: Path) -> None:
    assert ids(check(tmp_path, {**TREE, "app/b.py": function("rinse", changed=12)}, ONLY)) == []


def test_the_same_name_is_the_same_method_of_another_class(tmp_path: Path) -> None:
    assert ids(check(tmp_path, {**TREE, "app/b.py": function("wash", changed=1)}, ONLY)) == []


def test_both_styles_of_calling_may_look_alike(tmp_path: Path) -> None:
    files = {**TREE, "app/b.py": TREE["app/b.py"].replace("def rinse", "async def rinse")}
    assert ids(check(tmp_path, files, ONLY)) == []


def test_short_functions_are_left_alone(tmp_path: Path) -> None:
    short = "def {}(text):\n    a = 1\n    b = 2\n    return a + b\n"
    files = {"app/__init__.py": "", "app/a.py": short.format("wash"), "app/b.py": short.format("rinse")}
    assert ids(check(tmp_path, files, ONLY)) == []


def test_tests_may_repeat_themselves(tmp_path: Path) -> None:
    files = {"tests/test_a.py": TREE["app/a.py"], "tests/test_b.py": TREE["app/b.py"]}
    assert ids(check(tmp_path, files, ONLY)) == []


def test_an_idiom_of_many_functions_costs_no_time_and_says_nothing(tmp_path: Path) -> None:
    files = {f"app/m{number}.py": function(f"wash_{number}") for number in range(60)}
    assert "SSOT112" not in ids(check(tmp_path, {"app/__init__.py": "", **files}, {"select": ["SSOT112"]}))


def test_the_fingerprint_is_that_of_the_names(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT112").fingerprint
    moved = {**TREE, "app/a.py": "import os\n\n\n" + TREE["app/a.py"]}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT112").fingerprint == before
    renamed = {**TREE, "app/b.py": function("scrub", changed=1)}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT112").fingerprint != before
