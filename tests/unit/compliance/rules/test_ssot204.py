"""SSOT204 relative-import: files that leave the style of their package."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT2"], "ignore": ["SSOT201"]}
APP = {
    "app/__init__.py": "from .a import A\n",
    "app/a.py": "class A:\n    pass\n",
    **{f"app/user{number}.py": "from app.a import A\n" for number in range(8)},
}
ODD = "import os\n\nfrom ..a import A as B\nfrom . import odd\n"
MIXED = {**APP, "app/deep/__init__.py": "", "app/deep/odd.py": ODD}


def test_the_file_that_differs_from_its_package_is_reported_once(tmp_path: Path) -> None:
    found = one(check(tmp_path, MIXED, RULE), "SSOT204")
    assert (found.place.path, found.place.line) == ("app/deep/odd.py", 3)
    assert "8 of 10 imports of app's own modules are absolute" in found.message
    assert found.severity == "warning"


def test_the_fix_writes_whole_names_and_leaves_the_rest_of_the_statement(tmp_path: Path) -> None:
    fix = one(check(tmp_path, MIXED, RULE), "SSOT204").fix
    assert fix is not None
    assert fix.safe
    assert [(each.first, each.expects, each.text) for each in fix.edits] == [
        (3, "from ..a import", "from app.a import"),
        (4, "from . import", "from app.deep import"),
    ]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(APP, id="in __init__"),
        pytest.param({**APP, "app/_vendored/a.py": "", "app/_vendored/odd.py": "from . import a\n"}, id="vendored"),
        pytest.param({**APP, "app/odd_pb2.py": "from . import a\n"}, id="generated"),
        pytest.param({"app/__init__.py": "", "app/a.py": "", "app/b.py": "from . import a\n"}, id="the only style"),
    ],
)
def test_is_no_odd_one(tmp_path: Path, files: dict[str, str]) -> None:
    assert ids(check(tmp_path, files, RULE)) == []


def test_selected_by_its_name_it_forbids_relative_imports_everywhere(tmp_path: Path) -> None:
    files = {"app/__init__.py": "", "app/a.py": "", "app/b.py": "from . import a\n"}
    assert ids(check(tmp_path, files, {"select": ["SSOT204"]})) == ["SSOT204"]


def test_moving_lines_keeps_the_fingerprint_and_another_file_changes_it(tmp_path: Path) -> None:
    first = one(check(tmp_path / "a", MIXED, RULE), "SSOT204").fingerprint
    assert one(check(tmp_path / "b", {**MIXED, "app/deep/odd.py": "\n\n" + ODD}, RULE), "SSOT204").fingerprint == first
    moved = {**APP, "app/deep/__init__.py": "", "app/deep/even.py": ODD.replace("odd", "even")}
    assert one(check(tmp_path / "c", moved, RULE), "SSOT204").fingerprint != first


def test_a_finding_in_tests_counts_the_imports_of_tests_and_says_so(tmp_path: Path) -> None:
    files = {path.replace("app/", "app/tests/", 1): text for path, text in MIXED.items()} | {"app/__init__.py": ""}
    files = {path: text.replace("from app.", "from app.tests.") for path, text in files.items()}
    assert (
        "imports of app's own modules in its tests are absolute" in one(check(tmp_path, files, RULE), "SSOT204").message
    )
