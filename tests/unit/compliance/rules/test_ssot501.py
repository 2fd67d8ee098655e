"""SSOT501: a layer imports one above it."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.check import run
from netra.compliance.config import load
from netra.compliance.rule import Severity
from support.code_base import check, ids, one, write

LAYERS = {"select": ["SSOT501"], "layers": [{"name": "stack", "layers": ["shop.web", "shop.orders", "shop.store"]}]}
PACKAGES = {"shop/__init__.py": "", "shop/web.py": "x = 1", "shop/orders.py": "x = 1", "shop/store.py": "x = 1"}


def test_an_import_of_a_higher_layer_is_an_error_at_its_line(tmp_path: Path) -> None:
    report = check(tmp_path, {**PACKAGES, "shop/store.py": "import os\nfrom shop.web import x\n"}, LAYERS)
    found = one(report, "SSOT501")
    assert (found.place.path, found.place.line, found.severity) == ("shop/store.py", 2, Severity.ERROR)
    assert "layer `shop.store` is below `shop.web`" in found.message
    assert "stack" in found.message


def test_imports_of_lower_layers_are_allowed_also_when_they_skip_one(tmp_path: Path) -> None:
    files = {**PACKAGES, "shop/web.py": "from shop import orders, store\n", "shop/orders.py": "import shop.store\n"}
    assert ids(check(tmp_path, files, LAYERS)) == []


def test_a_chain_through_a_module_of_no_layer_is_shown_once_and_shortest(tmp_path: Path) -> None:
    files = {
        **PACKAGES,
        "shop/store.py": "from shop.glue import x\nfrom shop.long import y\n",
        "shop/long.py": "from shop.glue import x as y\n",
        "shop/glue.py": "from shop.web import x\n",
    }
    found = one(check(tmp_path, files, LAYERS), "SSOT501")
    assert "through 1 other" in found.message
    assert [(each.path, each.note) for each in (found.place, *found.related)] == [
        ("shop/store.py", "imports shop.glue"),
        ("shop/glue.py", "imports shop.web"),
    ]


def test_an_import_inside_a_function_is_a_warning(tmp_path: Path) -> None:
    files = {**PACKAGES, "shop/store.py": "def late():\n    from shop.web import x\n    return x\n"}
    found = one(check(tmp_path, files, LAYERS), "SSOT501")
    assert found.severity is Severity.WARNING
    assert "inside a function" in found.message


def test_an_import_for_type_checkers_only_breaks_nothing(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop.web import x\n"
    assert ids(check(tmp_path, {**PACKAGES, "shop/store.py": text}, LAYERS)) == []


def test_names_on_one_line_are_independent_with_a_bar_and_not_with_a_colon(tmp_path: Path) -> None:
    files = {**PACKAGES, "shop/orders.py": "import shop.store\n"}
    bar = {"select": ["SSOT501"], "layers": [{"layers": ["shop.web", "shop.orders | shop.store"]}]}
    colon = {"select": ["SSOT501"], "layers": [{"layers": ["shop.web", "shop.orders : shop.store"]}]}
    assert "are independent" in one(check(tmp_path, files, bar), "SSOT501").message
    assert ids(check(tmp_path, files, colon)) == []


def test_layers_of_a_container_are_relative_to_it_and_may_have_to_name_everything_in_it(tmp_path: Path) -> None:
    layers = {"layers": ["web", "store"], "containers": ["shop"], "exhaustive": True}
    config = {"select": ["SSOT501"], "layers": [layers]}
    found = one(check(tmp_path, PACKAGES, config), "SSOT501")
    assert "`shop.orders` is in no layer" in found.message
    layers["exhaustive-ignore"] = ["orders"]
    assert ids(check(tmp_path, PACKAGES, config)) == []


def test_what_the_contract_ignores_is_not_reported(tmp_path: Path) -> None:
    table = {"layers": ["shop.web", "shop.store"], "ignore": ["shop.st* -> shop.web"]}
    files = {**PACKAGES, "shop/store.py": "from shop.web import x\n"}
    assert ids(check(tmp_path, files, {"select": ["SSOT501"], "layers": [table]})) == []


def test_contracts_of_import_linter_are_read_from_pyproject(tmp_path: Path) -> None:
    pyproject = """
        [tool.importlinter]
        root_package = "shop"
        [[tool.importlinter.contracts]]
        name = "Theirs"
        type = "layers"
        layers = ["shop.web", "(shop.gone) | shop.orders", "shop.store"]
        ignore_imports = ["shop.orders -> shop.web"]
        """
    write(
        tmp_path,
        {
            **PACKAGES,
            "pyproject.toml": pyproject,
            "shop/store.py": "from shop.web import x\n",
            "shop/orders.py": "from shop.web import x\n",
        },
    )
    report = run(tmp_path, load(tmp_path))
    assert "Theirs" in one(report, "SSOT501").message


def test_layers_of_tach_are_read(tmp_path: Path) -> None:
    tach = """
        layers = ["top", "bottom"]
        [[modules]]
        path = "shop.web"
        layer = "top"
        [[modules]]
        path = "shop.store"
        layer = "bottom"
        """
    write(tmp_path, {**PACKAGES, "tach.toml": tach, "shop/store.py": "from shop.web import x\n"})
    assert "'tach'" in one(run(tmp_path, load(tmp_path)), "SSOT501").message


def test_the_fingerprint_is_of_the_two_modules(tmp_path: Path) -> None:
    def fingerprint(directory: str, text: str) -> str:
        return one(check(tmp_path / directory, {**PACKAGES, "shop/store.py": text}, LAYERS), "SSOT501").fingerprint

    known = fingerprint("a", "from shop.web import x\n")
    assert fingerprint("b", "import os\n\n\nfrom shop.web import x as other\n") == known
    assert fingerprint("c", "from shop.orders import x\n") != known
