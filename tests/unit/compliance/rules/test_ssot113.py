"""SSOT113: whole files that are copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT113"]}
TEXT = "import os\n\n\n" + "".join(f"def f{number}(x):\n    return x + {number}\n\n\n" for number in range(8))
TREE = {"app/__init__.py": "", "app/wash.py": TEXT, "app/wash_backup.py": TEXT}


def test_a_backup_beside_its_original_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT113")
    assert finding.severity is Severity.WARNING
    assert finding.place.path == "app/wash_backup.py"
    assert finding.canonical == "app/wash.py"


def test_comments_and_blank_lines_make_no_difference(tmp_path: Path) -> None:
    said = {**TREE, "app/wash_backup.py": "# what this is\n" + TEXT.replace("\n\n\n", "\n\n")}
    assert ids(check(tmp_path, said, ONLY)) == ["SSOT113"]


def test_three_copies_are_one_finding(tmp_path: Path) -> None:
    finding = one(check(tmp_path, {**TREE, "app/second/wash.py": TEXT}, ONLY), "SSOT113")
    assert [finding.place.path, *(each.path for each in finding.related)] == [
        "app/second/wash.py", "app/wash.py", "app/wash_backup.py",
    ]  # fmt: skip


NOT_COPIES = {
    "another line": {**TREE, "app/wash_backup.py": TEXT.replace("+ 3", "- 3")},
    "short files": {"app/__init__.py": "", "app/a.py": "def f(): ...\n", "app/b.py": "def f(): ...\n"},
    "files without definitions": {"app/a.py": "x = 1\n" * 30, "app/b.py": "x = 1\n" * 30},
    "empty packages": {"app/__init__.py": "", "app/a/__init__.py": "", "app/b/__init__.py": ""},
    "tests": {"app/__init__.py": "", "app/wash.py": TEXT, "tests/wash.py": TEXT},
    "revisions of a database": {"app/__init__.py": "", "app/migrations/a.py": TEXT, "app/migrations/b.py": TEXT},
    "vendored": {"app/__init__.py": "", "app/wash.py": TEXT, "app/third_party/wash.py": TEXT},
    "packages that are deployed apart": {
        "a/__init__.py": "", "a/wash.py": TEXT, "b/__init__.py": "", "b/wash.py": TEXT,
    },
    "versions": {"app/__init__.py": "", "app/v1/wash.py": TEXT, "app/v2/wash.py": TEXT},
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_COPIES)
def test_is_no_copy(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_COPIES[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_paths(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT113").fingerprint
    changed = {name: text.replace("+ 3", "+ 33") for name, text in TREE.items()}
    assert one(check(tmp_path / "b", changed, ONLY), "SSOT113").fingerprint == before
    moved = {"app/__init__.py": "", "app/wash.py": TEXT, "app/wash_copy.py": TEXT}
    assert one(check(tmp_path / "c", moved, ONLY), "SSOT113").fingerprint != before
