"""SSOT124: a class with many names, or with one that has nothing to do with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT12"]}


def tree(*aliases: str, name: str = "UserExecutionContext") -> dict[str, str]:
    lines = "".join(f"{each} = {name}\n" for each in aliases)
    return {
        "app/__init__.py": "",
        "app/context.py": f"class {name}:\n    user_id = 1\n",
        "app/names.py": f"from app.context import {name}\n\n{lines}",
    }


MANY = tree("UserContext", "ExecutionContext", "RunContext")


def test_three_further_names_are_too_many(tmp_path: Path) -> None:
    finding = one(check(tmp_path, MANY, ONLY), "SSOT124")
    assert finding.severity is Severity.WARNING
    assert finding.message == "UserExecutionContext has 3 further names: ExecutionContext, RunContext, UserContext."
    assert (finding.place.path, finding.place.line) == ("app/names.py", 3)


def test_names_of_several_modules_are_counted_together(tmp_path: Path) -> None:
    files = {
        **tree("UserContext"),
        "app/b.py": "from app import context\n\nRunContext = context.UserExecutionContext\n",
    }
    files["app/c.py"] = "from app.names import UserContext\n\nExecutionContext = UserContext\n"
    finding = one(check(tmp_path, files, ONLY), "SSOT124")
    assert {each.path for each in (finding.place, *finding.related)} == {
        "app/b.py", "app/c.py", "app/context.py", "app/names.py",
    }  # fmt: skip


def test_one_name_without_a_word_in_common_is_enough(tmp_path: Path) -> None:
    finding = one(check(tmp_path, tree("RequestScope"), ONLY), "SSOT124")
    assert finding.message == "RequestScope is UserExecutionContext: the names have no word in common."
    assert finding.severity is Severity.INFO


def test_it_is_a_warning_once_other_modules_take_the_class_by_that_name(tmp_path: Path) -> None:
    files = {**tree("RequestScope"), "app/use.py": "from app.names import RequestScope\n"}
    assert one(check(tmp_path, files, ONLY), "SSOT124").severity is Severity.WARNING


NOT_OVERLOAD = {
    "two names": tree("UserContext", "ExecutionContext"),
    "initials": tree("UEC"),
    "a shortened name": tree("Context"),
    "a setting": tree("DEFAULT_SCOPE"),
    "a private name": tree("_Scope"),
    "a type for annotations": tree("ScopeType", "ScopeLike"),
    "of a function": {
        **tree(),
        "app/f.py": "def f():\n    from app.context import UserExecutionContext\n    Scope = 1\n",
    },
    "a fallback": {
        **tree(),
        "app/f.py": "from app.context import UserExecutionContext\ntry:\n    from x import Scope\n"
        "except ImportError:\n    Scope = UserExecutionContext\n",
    },
    "of another distribution": {"app/__init__.py": "", "app/a.py": "from x import Thing\n\nScope = Thing\n"},
    "tests": {
        **tree(),
        "tests/names.py": "from app.context import UserExecutionContext\n\nScope = UserExecutionContext\n",
    },
}


@pytest.mark.parametrize("case", NOT_OVERLOAD)
def test_is_no_overload(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_OVERLOAD[case], ONLY)) == []


def test_aliases_that_the_configuration_allows_are_not_counted(tmp_path: Path) -> None:
    canonical = [{"name": "UserExecutionContext", "path": "app.context", "aliases": ["RunContext", "UserContext"]}]
    assert ids(check(tmp_path, MANY, {**ONLY, "canonical": canonical})) == []


def test_the_fingerprint_is_that_of_the_class_and_its_names(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", MANY, ONLY), "SSOT124").fingerprint
    moved = {
        **MANY,
        "app/names.py": "import os\n" + MANY["app/names.py"],
        "app/context.py": "\n\n" + MANY["app/context.py"],
    }
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT124").fingerprint == before
    more = tree("UserContext", "ExecutionContext", "RunContext", "AgentContext")
    assert one(check(tmp_path / "c", more, ONLY), "SSOT124").fingerprint != before
