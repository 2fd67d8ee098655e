"""SSOT401: an object made directly although its class has a factory."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT401"]}
POOL = """
class Pool:
    def __init__(self):
        self.open = 0


_pool = None


def get_pool():
    global _pool
    if _pool is None:
        _pool = Pool()
    return _pool
"""
TREE = {
    "app/__init__.py": "",
    "app/pool.py": POOL,
    "app/one.py": "from app.pool import get_pool\n\n\ndef run():\n    return get_pool()\n",
    "app/two.py": "from app.pool import Pool\n\n\ndef walk():\n    return Pool().open\n",
}
CONFIGURED = {**ONLY, "factory": [{"class": "Pool", "factories": ["get_pool"], "allowed": ["app.repair"]}]}


def test_a_call_around_a_factory_that_keeps_its_object_is_found(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT401")
    assert finding.severity is Severity.ERROR
    assert (finding.place.path, finding.place.line) == ("app/two.py", 5)
    assert [(each.path, each.line) for each in finding.related] == [("app/pool.py", 9)]
    assert "app.pool.get_pool" in finding.message


@pytest.mark.parametrize("decorator", ["lru_cache", "functools.cache"])
def test_a_caching_decorator_keeps_an_object_too(tmp_path: Path, decorator: str) -> None:
    head = POOL.partition("_pool = None")[0]
    text = (
        f"import functools\nfrom functools import lru_cache\n{head}@{decorator}\ndef get_pool():\n    return Pool()\n"
    )
    assert ids(check(tmp_path, {**TREE, "app/pool.py": text}, ONLY)) == ["SSOT401"]


def test_a_configured_factory_needs_no_proof(tmp_path: Path) -> None:
    files = {**TREE, "app/pool.py": "class Pool:\n    def __init__(self, size=1): ...\n", "app/one.py": ""}
    files["app/two.py"] = files["app/two.py"].replace("Pool()", "Pool(size=3)")
    assert ids(check(tmp_path, files, CONFIGURED)) == ["SSOT401"]


def test_configured_modules_may_call_the_class(tmp_path: Path) -> None:
    files = {**TREE, "app/two.py": "", "app/repair.py": TREE["app/two.py"]}
    assert ids(check(tmp_path / "a", files, CONFIGURED)) == []
    assert ids(check(tmp_path / "b", files, ONLY)) == ["SSOT401"]


def test_a_factory_of_the_configured_name_may_call_the_class(tmp_path: Path) -> None:
    text = "from app.pool import Pool\n\n\ndef get_pool():\n    def make():\n        return Pool()\n    return make()\n"
    assert ids(check(tmp_path, {**TREE, "app/two.py": text}, CONFIGURED)) == []


def test_the_factory_can_be_called_instead_by_a_machine(tmp_path: Path) -> None:
    fix = one(check(tmp_path, TREE, ONLY), "SSOT401").fix
    assert fix is not None and not fix.safe
    assert "get_pool()" in {each.text for each in fix.edits}


def replaced(old: str, new: str, path: str = "app/two.py") -> dict[str, str]:
    assert old in TREE[path]
    return {**TREE, path: TREE[path].replace(old, new)}


NO_BYPASS = {
    "with arguments of its own": replaced("Pool()", "Pool(3)"),
    "another factory": replaced("walk", "create_pool"),
    "a function about tests": replaced("walk", "reset_pool"),
    "a function that keeps its own": replaced("def walk", "import functools\n@functools.cache\ndef walk"),
    "a name that says it is another object": replaced(
        "    return Pool().open\n", "    temporary = Pool()\n    return temporary.open\n"
    ),
    "the factory's own module": {
        **TREE,
        "app/two.py": "",
        "app/pool.py": POOL + "\n\ndef other():\n    return Pool()\n",
    },
    "a factory nobody uses": {**TREE, "app/one.py": ""},
    "a factory that makes a new one each time": {
        **TREE,
        "app/pool.py": POOL.partition("_pool = None")[0] + "def get_pool():\n    return Pool()\n",
    },
    "a factory with parameters": replaced("def get_pool():", "def get_pool(name):", "app/pool.py"),
    "tests": {**TREE, "app/two.py": "", "tests/test_pool.py": TREE["app/two.py"]},
    "support for tests": {**TREE, "app/two.py": "", "app/testing/pool.py": TREE["app/two.py"]},
    "generated code": replaced("from app", "# @generated\nfrom app"),
}


@pytest.mark.parametrize("case", NO_BYPASS)
def test_is_no_bypass(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NO_BYPASS[case], ONLY)) == []


def test_where_most_go_around_it_is_no_factory_of_theirs(tmp_path: Path) -> None:
    files = {**TREE, "app/three.py": TREE["app/two.py"], "app/four.py": TREE["app/two.py"]}
    assert ids(check(tmp_path, files, ONLY)) == []


def test_the_fingerprint_is_that_of_the_class_and_the_caller(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT401").fingerprint
    moved = {**TREE, "app/two.py": "import os\n\n\n" + TREE["app/two.py"]}
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT401").fingerprint == before
    assert one(check(tmp_path / "c", replaced("walk", "roam"), ONLY), "SSOT401").fingerprint != before
