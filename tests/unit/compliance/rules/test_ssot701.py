"""SSOT701 and SSOT702: files and functions that are too long."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

LIMITS = {"select": ["SSOT70"], "max-file-lines": [20, 40], "max-function-lines": [5, 10]}


def lines(count: int) -> str:
    return "".join(f"x{number} = {number}\n" for number in range(count))


def function(name: str, count: int) -> str:
    return f"def {name}():\n" + "    x = 1\n" * (count - 1)


def test_a_file_warns_above_the_first_limit_and_is_an_error_above_the_second(tmp_path: Path) -> None:
    files = {"a.py": lines(20), "b.py": lines(21), "c.py": lines(41)}
    found = {each.place.path: each.severity for each in check(tmp_path, files, LIMITS).findings}
    assert found == {"b.py": Severity.WARNING, "c.py": Severity.ERROR}


def test_a_function_is_measured_without_its_decorators(tmp_path: Path) -> None:
    text = "@one\n@two\n" + function("fits", 5) + function("long", 6)
    found = one(check(tmp_path, {"a.py": text}, LIMITS), "SSOT702")
    assert "`long` has 6 lines, more than 5" in found.message
    assert found.severity is Severity.WARNING
    longer = one(check(tmp_path, {"a.py": function("long", 11)}, LIMITS), "SSOT702")
    assert longer.severity is Severity.ERROR
    assert "more than 10" in longer.message


def test_without_configuration_a_hundred_lines_and_a_thousand_are_allowed(tmp_path: Path) -> None:
    files = {"a.py": lines(1000), "b.py": function("f", 100)}
    assert ids(check(tmp_path, files, {"select": ["SSOT70"]})) == []
    files = {"a.py": lines(1001), "b.py": function("f", 101)}
    assert sorted(ids(check(tmp_path, files, {"select": ["SSOT70"]}))) == ["SSOT701", "SSOT702"]


def test_the_fingerprint_is_of_the_name(tmp_path: Path) -> None:
    def fingerprint(directory: str, text: str) -> str:
        return one(check(tmp_path / directory, {"a.py": text}, LIMITS), "SSOT702").fingerprint

    known = fingerprint("x", function("f", 6))
    assert fingerprint("y", "import os\n" + function("f", 9)) == known
    assert fingerprint("z", function("g", 6)) != known
