"""SSOT402: two factories of one class."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT402"]}
KEEPS = """
from app.pool import Pool

_pool = None


def {name}():
    global _pool
    if _pool is None:
        _pool = Pool()
    return _pool
"""
TREE = {
    "app/__init__.py": "",
    "app/pool.py": "class Pool:\n    def open(self): ...\n",
    "app/a.py": KEEPS.format(name="get_pool"),
    "app/b.py": KEEPS.format(name="get_pool"),
}


def test_one_name_in_two_modules_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT402")
    assert finding.severity is Severity.WARNING
    assert finding.message == "`get_pool` makes `Pool` in 2 modules: `app.a`, `app.b`."
    assert (finding.place.path, finding.place.line) == ("app/a.py", 6)
    assert [(each.path, each.line) for each in finding.related] == [("app/b.py", 6)]


def test_two_that_each_keep_an_object_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    files = {**TREE, "app/b.py": KEEPS.format(name="shared_pool")}
    finding = one(check(tmp_path, files, ONLY), "SSOT402")
    assert finding.message == "`app.a.get_pool` and `app.b.shared_pool` each keep an own object of `Pool`."


def test_one_that_keeps_and_one_that_makes_anew_under_one_name_are_found(tmp_path: Path) -> None:
    files = {**TREE, "app/b.py": "from app.pool import Pool\n\n\ndef get_pool():\n    return Pool()\n"}
    assert ids(check(tmp_path, files, ONLY)) == ["SSOT402"]


MAKES = "from app.pool import Pool\n\n\ndef {name}({parameters}):\n    return Pool({arguments})\n"
NO_TWINS = {
    "one factory": {**TREE, "app/b.py": ""},
    "a convention of many modules": {
        "app/__init__.py": "",
        "app/pool.py": TREE["app/pool.py"],
        **{f"app/{at}.py": MAKES.format(name="make_pool", parameters="x", arguments="x") for at in "abcde"},
    },
    "another name that makes a new one": {
        **TREE, "app/b.py": MAKES.format(name="make_pool", parameters="", arguments=""),
    },
    "each with what its own module needs": {
        **TREE,
        "app/a.py": MAKES.format(name="get_pool", parameters="", arguments="'a'"),
        "app/b.py": MAKES.format(name="get_pool", parameters="", arguments="'b'"),
    },
    "with other parameters": {
        **TREE,
        "app/a.py": MAKES.format(name="get_pool", parameters="name", arguments="name"),
        "app/b.py": MAKES.format(name="get_pool", parameters="size", arguments="size"),
    },
    "methods": {
        **TREE,
        "app/a.py": "from app.pool import Pool\nclass A:\n    def get_pool(self):\n        return Pool()\n",
        "app/b.py": "from app.pool import Pool\nclass B:\n    def get_pool(self):\n        return Pool()\n",
    },
    "fixtures": {
        **TREE,
        "app/a.py": "import x\n"
        + MAKES.format(name="get_pool", parameters="", arguments="").replace("def", "@x.fix\ndef"),
        "app/b.py": MAKES.format(name="get_pool", parameters="", arguments=""),
    },
    "tests": {**TREE, "app/b.py": "", "tests/b.py": TREE["app/b.py"]},
    "factories of different classes": {
        **TREE,
        "app/b.py": TREE["app/b.py"].replace("Pool", "Lake"),
        "app/pool.py": "class Pool: ...\nclass Lake: ...\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", NO_TWINS)
def test_are_no_twins(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NO_TWINS[case], ONLY)) == []


def test_services_that_are_deployed_apart_each_have_one(tmp_path: Path) -> None:
    files = {
        "shared/__init__.py": "",
        "shared/pool.py": TREE["app/pool.py"],
        "one/__init__.py": "",
        "one/a.py": TREE["app/a.py"].replace("app.pool", "shared.pool"),
        "two/__init__.py": "",
        "two/a.py": TREE["app/a.py"].replace("app.pool", "shared.pool"),
    }
    assert ids(check(tmp_path / "a", files, {**ONLY, "services": ["one", "two"]})) == []
    assert ids(check(tmp_path / "b", files, ONLY)) == ["SSOT402"]


def test_the_fingerprint_is_that_of_the_class_and_the_factories(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT402").fingerprint
    moved = {**TREE, "app/a.py": "import os\n" + TREE["app/a.py"]}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT402").fingerprint == before
    other = {name: text.replace("get_pool", "get_lake") for name, text in TREE.items()}
    assert one(check(tmp_path / "c", other, ONLY), "SSOT402").fingerprint != before
