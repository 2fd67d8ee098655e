"""SSOT102: the same class in several modules, copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT10"]}
KEEPER = """
class PoolKeeper:
    '''Keeps connections.'''

    limit = 10

    def open(self, name): return name
    def close(self, name): return name
"""
OTHER_WORDS = KEEPER.replace("Keeps connections.", "Looks after connections.") + "    # to be moved\n"
COPIES = {
    "app/__init__.py": "",
    "app/a.py": KEEPER,
    "app/b.py": OTHER_WORDS,
    "app/use.py": "from .a import PoolKeeper\n",
    "app/more.py": "from .b import PoolKeeper\n",
    "app/most.py": "from .a import PoolKeeper\n",
}


def test_copies_are_one_finding_whatever_their_docstrings_and_comments_say(tmp_path: Path) -> None:
    finding = one(check(tmp_path, COPIES, ONLY), "SSOT102")
    assert finding.severity is Severity.WARNING
    assert finding.place.path == "app/b.py"
    assert finding.canonical == "app/a.py"
    assert finding.involved == ("app/b.py",)


def test_the_hint_names_the_definition_to_import(tmp_path: Path) -> None:
    assert "app.a.PoolKeeper" in one(check(tmp_path, COPIES, ONLY), "SSOT102").hint


def test_copies_in_parts_that_never_meet_are_only_a_remark(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": "",
        "app/left/__init__.py": "",
        "app/left/pool.py": KEEPER,
        "app/right/__init__.py": "",
        "app/right/pool.py": KEEPER,
    }
    assert one(check(tmp_path, files, ONLY), "SSOT102").severity is Severity.INFO


def test_a_copy_with_one_more_member_is_no_copy(tmp_path: Path) -> None:
    files = {**COPIES, "app/b.py": KEEPER + "    def drain(self): ...\n"}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT101"]


NOT_COPIES = {
    "empty classes of a common name": {
        "app/__init__.py": "",
        "app/a.py": "class Config: ...\n",
        "app/b.py": "class Config: ...\n",
    },
    "empty data classes that two modules derive": {
        "app/__init__.py": "",
        "app/a.py": "from x import UserBase\nclass UserCreate(UserBase): ...\n",
        "app/b.py": "class UserUpdate: ...\n",
    },
    "nested classes": {
        "app/__init__.py": "",
        "app/a.py": "class A:\n    class Meta:\n        ordering = ['name']\n        abstract = True\n",
        "app/b.py": "class B:\n    class Meta:\n        ordering = ['name']\n        abstract = True\n",
    },
    "a copy in tests": {"app/__init__.py": "", "app/a.py": KEEPER, "tests/fakes.py": KEEPER},
    "vendored": {"app/__init__.py": "", "app/a.py": KEEPER, "app/_vendor/a.py": KEEPER},
    "revisions of a database": {"app/__init__.py": "", "app/migrations/a.py": KEEPER, "app/migrations/b.py": KEEPER},
}


@pytest.mark.parametrize("case", NOT_COPIES)
def test_is_no_copy(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_COPIES[case], ONLY)) == []


def test_the_fingerprint_stays_when_the_copies_change_together(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", COPIES, ONLY), "SSOT102").fingerprint
    changed = {name: "\n\n" + text.replace("limit = 10", "limit = 20") for name, text in COPIES.items()}
    assert one(check(tmp_path / "b", changed, ONLY), "SSOT102").fingerprint == before
    renamed = {name: text.replace("PoolKeeper", "LineKeeper") for name, text in COPIES.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT102").fingerprint != before
