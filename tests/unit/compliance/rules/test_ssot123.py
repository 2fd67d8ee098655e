"""SSOT123: a module binds one name to a class, and then to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT12"]}


def tree(text: str) -> dict[str, str]:
    return {"app/__init__.py": "", "app/core.py": "class Engine:\n    def start(self): ...\n", "app/a.py": text}


ALIAS_THEN_CLASS = tree("from app import core\n\nRunner = core.Engine\n\n\nclass Runner:\n    def run(self): ...\n")


def test_an_alias_and_then_a_class(tmp_path: Path) -> None:
    finding = one(check(tmp_path, ALIAS_THEN_CLASS, ONLY), "SSOT123")
    assert finding.severity is Severity.ERROR
    assert (finding.place.path, finding.place.line) == ("app/a.py", 6)
    assert [each.line for each in finding.related] == [3]
    assert finding.message == "Runner is app.core.Engine until line 6, and the class defined here from there on."


def test_a_class_and_then_an_alias(tmp_path: Path) -> None:
    files = tree("from app import core\nclass Runner:\n    def run(self): ...\n\nRunner = core.Engine\n")
    assert one(check(tmp_path, files, ONLY), "SSOT123").place.line == 5


def test_an_import_and_then_a_class(tmp_path: Path) -> None:
    assert ids(check(tmp_path, tree("from app.core import Engine\nclass Engine:\n    x = 1\n"), ONLY)) == ["SSOT123"]


def test_an_import_of_another_distribution_and_then_a_class(tmp_path: Path) -> None:
    assert ids(check(tmp_path, tree("from x import Engine\nclass Engine:\n    y = 1\n"), ONLY)) == ["SSOT123"]


NOT_REBOUND = {
    "a class that takes the one before it as its base": "from app.core import Engine\nclass Engine(Engine): ...\n",
    "a class that takes the one before it by another name": "from app.core import Engine\nPlain = Engine\n\n\n"
    "class Engine(Plain): ...\n",
    "a fallback": "try:\n    from x import Engine\nexcept ImportError:\n    class Engine: ...\n",
    "a definition by platform": "import sys\nfrom app.core import Engine\nif sys.platform == 'win32':\n"
    "    class Engine: ...\n",
    "what only type checkers see": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
    "    from app.core import Engine\nclass Engine: ...\n",
    "a decorated class": "class Engine: ...\nEngine = final(Engine)\n",
    "a class under another name": "class Engine: ...\nRunner = Engine\n",
    "a name and itself": "class Engine: ...\nEngine = Engine\n",
    "another name of the module's own class": "class _Engine: ...\nclass Engine: ...\nEngine = _Engine\n",
    "overloads": "from typing import overload\n@overload\ndef f(): ...\n@overload\ndef f(x): ...\ndef f(x=1): ...\n",
    "dispatch": "@singledispatch\ndef f(x): ...\n@f.register\nclass A: ...\n@f.register\nclass A: ...\n",
    "a name in a function": "from app.core import Engine\ndef f():\n    class Engine: ...\n",
}


@pytest.mark.parametrize("case", NOT_REBOUND)
def test_is_not_rebound(tmp_path: Path, case: str) -> None:
    assert "SSOT123" not in ids(check(tmp_path, tree(NOT_REBOUND[case]), ONLY))


def test_the_fingerprint_is_that_of_the_meanings(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", ALIAS_THEN_CLASS, ONLY), "SSOT123").fingerprint
    moved = tree("import os\n\n" + ALIAS_THEN_CLASS["app/a.py"] + "    def more(self): ...\n")
    assert one(check(tmp_path / "b", moved, ONLY), "SSOT123").fingerprint == before
    renamed = tree(ALIAS_THEN_CLASS["app/a.py"].replace("Runner", "Walker"))
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT123").fingerprint != before
