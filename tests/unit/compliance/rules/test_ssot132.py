"""SSOT132: a module that only passes on what others define."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT132"]}
TREE = {
    "app/__init__.py": "",
    "app/models.py": "class Order:\n    number = 1\n\n\ndef orders(): return [1]\n",
    "app/shim.py": "'''Moved.'''\n\nfrom app.models import Order, orders\n\n__all__ = ['Order', 'orders']\n",
    "app/one.py": "from app.shim import Order\n",
    "app/two.py": "from app.shim import orders\n",
}


def test_a_module_of_imports_alone_is_a_shim(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT132")
    assert finding.severity is Severity.INFO
    assert finding.place.path == "app/shim.py"
    assert "2 modules import it" in finding.message


def test_it_says_where_each_name_lives_and_who_imports_the_shim(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT132")
    assert finding.details == ("Order -> app.models.Order", "orders -> app.models.orders")
    assert [(each.path, each.line) for each in finding.related] == [("app/one.py", 1), ("app/two.py", 1)]


def test_its_importers_can_be_rewritten_by_a_machine(tmp_path: Path) -> None:
    fix = one(check(tmp_path, TREE, ONLY), "SSOT132").fix
    assert fix is not None
    assert {each.path for each in fix.edits} == {"app/one.py", "app/two.py"}


@pytest.mark.parametrize(
    "text",
    [
        "from app.models import *\n",
        "from app.models import Order\n\nSale = Order\n",
        "from app import models\n\nOrder = models.Order\n",
        "from app.models import Order as Order\n",
    ],
)
def test_however_it_passes_them_on(tmp_path: Path, text: str) -> None:
    assert ids(check(tmp_path, {**TREE, "app/shim.py": text}, ONLY)) == ["SSOT132"]


def test_one_that_nobody_imports_is_for_others(tmp_path: Path) -> None:
    files = {**TREE, "app/one.py": "", "app/two.py": ""}
    assert "no modules import it" in one(check(tmp_path, files, ONLY), "SSOT132").message


NOT_SHIMS = {
    "the front of a package": {**TREE, "app/shim.py": "", "app/__init__.py": "from app.models import Order\n"},
    "a function of its own": {**TREE, "app/shim.py": "from app.models import Order\n\n\ndef more(): return 1\n"},
    "a class of its own": {**TREE, "app/shim.py": "from app.models import Order\n\n\nclass More: ...\n"},
    "a value of its own": {**TREE, "app/shim.py": "from app.models import Order\n\nLIMIT = 3\n"},
    "an object of its own": {**TREE, "app/shim.py": "from app.models import Order\n\norder = Order()\n"},
    "a module that gathers modules": {**TREE, "app/shim.py": "from app import models, one\n"},
    "names of other distributions": {**TREE, "app/shim.py": "from json import loads\n\n__all__ = ['loads']\n"},
    "the command of a package": {
        **TREE,
        "app/shim.py": "",
        "app/__main__.py": "from app.models import orders\n\norders()\n",
    },
    "a script": {**TREE, "app/shim.py": "", "run.py": "from app.models import orders\n\norders()\n"},
    "an empty module": {**TREE, "app/shim.py": ""},
    "what only type checkers see": {
        **TREE,
        "app/shim.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.models import Order\n",
    },
    "tests": {**TREE, "app/shim.py": "", "tests/names.py": "from app.models import *\n"},
}


@pytest.mark.parametrize("case", NOT_SHIMS)
def test_is_no_shim(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_SHIMS[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_module(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT132").fingerprint
    more = {**TREE, "app/shim.py": "# here\n" + TREE["app/shim.py"], "app/three.py": TREE["app/one.py"]}
    assert one(check(tmp_path / "b", more, ONLY), "SSOT132").fingerprint == before
    renamed = {name.replace("shim", "door"): text.replace("shim", "door") for name, text in TREE.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT132").fingerprint != before
