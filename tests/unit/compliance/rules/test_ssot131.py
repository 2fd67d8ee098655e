"""SSOT131: one class that is imported by several paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.rule import Severity
from support.code_base import check, ids, one

ONLY = {"select": ["SSOT131"]}
TREE = {
    "app/__init__.py": "",
    "app/models.py": "class Order:\n    number = 1\n",
    "app/views.py": "from app.models import Order\n\n\ndef show(order: Order) -> None: ...\n",
    "app/one.py": "from app.models import Order\n",
    "app/two.py": "from app.views import Order\n",
}


def shims(count: int) -> dict[str, str]:
    files = dict(TREE)
    for number in range(count):
        files[f"app/shim{number}.py"] = "from app.models import Order\n"
        files[f"app/user{number}.py"] = f"from app.shim{number} import Order\n"
    return files


def test_a_class_taken_from_a_module_that_only_uses_it_is_a_remark(tmp_path: Path) -> None:
    finding = one(check(tmp_path, TREE, ONLY), "SSOT131")
    assert finding.severity is Severity.INFO
    assert (finding.place.path, finding.place.line, finding.place.note) == ("app/two.py", 1, "app.views")
    assert finding.canonical == "app/models.py"


def test_four_paths_are_a_warning(tmp_path: Path) -> None:
    assert one(check(tmp_path / "a", shims(1), ONLY), "SSOT131").severity is Severity.INFO
    assert one(check(tmp_path / "b", shims(2), ONLY), "SSOT131").severity is Severity.WARNING


def test_the_table_says_which_path_leads_where_and_who_takes_it(tmp_path: Path) -> None:
    details = one(check(tmp_path, TREE, ONLY), "SSOT131").details
    assert "app.models (home): 2 files (app/one.py, app/views.py)" in details
    assert "app.views -> app.models.Order: 1 file (app/two.py)" in details


def test_the_imports_can_be_rewritten_by_a_machine(tmp_path: Path) -> None:
    fix = one(check(tmp_path, TREE, ONLY), "SSOT131").fix
    assert fix is not None
    assert [(each.path, each.text) for each in fix.edits] == [("app/two.py", "from app.models import")]


def test_another_name_on_the_way_is_the_same_class(tmp_path: Path) -> None:
    files = {**TREE, "app/names.py": "from app.models import Order\n\nSale = Order\n"}
    files["app/two.py"] = "from app.names import Sale\n"
    assert "app.names -> app.models.Order: 1 file (app/two.py)" in one(check(tmp_path, files, ONLY), "SSOT131").details


NOT_MANY = {
    "one path": {**TREE, "app/two.py": "from app.models import Order\n"},
    "the home and the front of its package": {
        "app/__init__.py": "from app.models import Order\n",
        "app/models.py": TREE["app/models.py"],
        "app/one.py": "from app.models import Order\n",
        "main.py": "from app import Order\n",
    },
    "relative and absolute": {**TREE, "app/two.py": "from .models import Order\n"},
    "a front that passes it to the next": {
        "app/__init__.py": "from app.inner import Order\n",
        "app/inner/__init__.py": "from app.inner.models import Order\n",
        "app/inner/models.py": TREE["app/models.py"],
        "app/one.py": "from app.inner.models import Order\n",
        "main.py": "from app import Order\n",
    },
    "the front of another package": {
        **TREE,
        "app/two.py": "",
        "app/more/__init__.py": "from app.views import Order\n\n\ndef more(): return Order()\n",
    },
    "a test that takes another path": {**TREE, "app/two.py": "", "tests/test_a.py": "from app.views import Order\n"},
    "a class of another distribution": {
        "app/__init__.py": "",
        "app/a.py": "from x import Order\n",
        "app/b.py": "from app.a import Order\n",
        "app/c.py": "from x import Order\n",
    },
    "vendored": {
        "app/__init__.py": "",
        "app/_vendor/models.py": TREE["app/models.py"],
        "app/a.py": "from app._vendor.models import Order\n",
        "app/b.py": "from app.a import Order\n",
    },
}


@pytest.mark.parametrize("case", NOT_MANY)
def test_is_one_path(tmp_path: Path, case: str) -> None:
    assert ids(check(tmp_path, NOT_MANY[case], ONLY)) == []


def test_the_fingerprint_is_that_of_the_class(tmp_path: Path) -> None:
    before = one(check(tmp_path / "a", TREE, ONLY), "SSOT131").fingerprint
    more = {**TREE, "app/models.py": "\n\n" + TREE["app/models.py"], "app/zoo.py": TREE["app/two.py"]}
    assert one(check(tmp_path / "b", more, ONLY), "SSOT131").fingerprint == before
    renamed = {name: text.replace("Order", "Sale") for name, text in TREE.items()}
    assert one(check(tmp_path / "c", renamed, ONLY), "SSOT131").fingerprint != before
