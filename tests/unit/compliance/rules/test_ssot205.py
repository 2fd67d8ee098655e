"""SSOT205 dual-root-import: one file under two names."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT205"]}
SHOP = {
    "backend/shop/__init__.py": "",
    "backend/shop/orders.py": "class Order:\n    pass\n",
    "backend/shop/users.py": "class User:\n    pass\n",
}
BOTH = {
    **SHOP,
    "backend/shop/a.py": "from shop.orders import Order\nfrom shop.users import User\n",
    "backend/shop/b.py": "from backend.shop.orders import Order\nfrom backend.shop.users import User\n",
}


def test_two_roots_of_one_tree_are_one_finding(tmp_path: Path) -> None:
    found = one(check(tmp_path, BOTH, RULE), "SSOT205")
    assert found.severity == "error"
    assert "backend/shop/orders.py and 1 more is imported both below backend.shop and below shop" in found.message
    assert "backend/shop/orders.py" in found.paths


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"backend/shop/a.py": "from shop.orders import Order\n"}, id="one name"),
        pytest.param(
            {"backend/shop/a.py": "from shop.orders import Order\nfrom .orders import Order\n"}, id="relative"
        ),
        pytest.param(
            {"backend/shop/a.py": "from shop.orders import Order\n", "tests/test_a.py": "import backend.shop.orders\n"},
            id="in another scope, which is another process",
        ),
    ],
)
def test_is_one_module(tmp_path: Path, files: dict[str, str]) -> None:
    assert ids(check(tmp_path, {**SHOP, **files}, RULE)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_root_changes_it(tmp_path: Path) -> None:
    first = one(check(tmp_path / "a", BOTH, RULE), "SSOT205").fingerprint
    moved = {**BOTH, "backend/shop/a.py": "import os\n" + BOTH["backend/shop/a.py"]}
    assert one(check(tmp_path / "b", moved, RULE), "SSOT205").fingerprint == first
    other = {name.replace("backend", "server"): text.replace("backend", "server") for name, text in BOTH.items()}
    assert one(check(tmp_path / "c", other, RULE), "SSOT205").fingerprint != first
