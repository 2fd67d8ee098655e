"""SSOT701 file-too-long."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

LIMITS = {"select": ["SSOT701"], "max-file-lines": [20, 40]}


def lines(count: int) -> str:
    return "".join(f"x{number} = {number}\n" for number in range(count))


def test_a_file_warns_above_the_first_limit_and_is_an_error_above_the_second(tmp_path: Path) -> None:
    files = {"a.py": lines(20), "b.py": lines(21), "c.py": lines(41)}
    found = {each.place.path: each.severity for each in check(tmp_path, files, LIMITS).findings}
    assert found == {"b.py": Severity.WARNING, "c.py": Severity.ERROR}


def test_without_configuration_a_thousand_lines_are_allowed(tmp_path: Path) -> None:
    assert ids(check(tmp_path, {"a.py": lines(1000)}, {"select": ["SSOT701"]})) == []
    assert ids(check(tmp_path, {"a.py": lines(1001)}, {"select": ["SSOT701"]})) == ["SSOT701"]


@pytest.mark.parametrize(
    ("path", "head"),
    [
        pytest.param("app/migrations/0001_first.py", "", id="a database revision"),
        pytest.param("app/_vendor/other.py", "", id="what others wrote"),
        pytest.param("app/schema_pb2.py", "", id="generated, by its name"),
        pytest.param("app/schema.py", "# This is a generated file! See the grammar.\n", id="generated, in other words"),
        pytest.param(
            "app/client.py",
            "class A:\n"
            + "".join(
                f"    @schema_property\n    def x{at}(self): ...\n    @x{at}.setter\n    def x{at}(self, x): ...\n"
                for at in range(30)
            ),
            id="generated, as its accessors tell",
        ),
        pytest.param("app/schema.py", "# This file was generated. Do not edit.\n", id="generated, as it says"),
    ],
)
def test_what_nobody_edits_is_not_measured(tmp_path: Path, path: str, head: str) -> None:
    assert ids(check(tmp_path, {"app/__init__.py": "", path: head + lines(50)}, LIMITS)) == []


def test_more_lines_keep_the_fingerprint_and_another_module_changes_it(tmp_path: Path) -> None:
    def fingerprint(directory: str, path: str, count: int) -> str:
        return one(check(tmp_path / directory, {path: lines(count)}, LIMITS), "SSOT701").fingerprint

    known = fingerprint("x", "a.py", 21)
    assert fingerprint("y", "a.py", 45) == known
    assert fingerprint("z", "b.py", 21) != known
