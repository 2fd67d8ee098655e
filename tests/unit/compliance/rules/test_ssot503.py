"""SSOT503: modules that are to be independent import each other."""

from __future__ import annotations

from pathlib import Path

from netra.compliance.check import run
from netra.compliance.config import load
from support.code_base import check, ids, one, write

FILES = {"apps/__init__.py": "", "apps/a.py": "x = 1", "apps/b.py": "x = 1", "apps/c.py": "x = 1"}
CONFIG = {"select": ["SSOT503"], "independent": [{"modules": ["apps.a", "apps.b"]}]}


def test_either_direction_is_reported(tmp_path: Path) -> None:
    for importer, imported in (("a", "b"), ("b", "a")):
        files = {**FILES, f"apps/{importer}.py": f"import apps.{imported}\n"}
        found = one(check(tmp_path / importer, files, CONFIG), "SSOT503")
        assert found.place.path == f"apps/{importer}.py"


def test_a_way_through_a_third_module_is_reported(tmp_path: Path) -> None:
    files = {**FILES, "apps/a.py": "import apps.c\n", "apps/c.py": "import apps.b\n"}
    assert "through 1 other" in one(check(tmp_path, files, CONFIG), "SSOT503").message


def test_modules_beside_them_may_import_both(tmp_path: Path) -> None:
    files = {**FILES, "apps/c.py": "import apps.a\nimport apps.b\n"}
    assert ids(check(tmp_path, files, CONFIG)) == []


def test_a_pattern_stands_for_modules_each_for_itself(tmp_path: Path) -> None:
    config = {"select": ["SSOT503"], "independent": [{"modules": ["apps.*"]}]}
    files = {**FILES, "apps/c.py": "import apps.a\n"}
    assert "`apps.c` and `apps.a`" in one(check(tmp_path, files, config), "SSOT503").message


def test_contracts_of_import_linter_are_read_from_setup_cfg(tmp_path: Path) -> None:
    text = (
        "[metadata]\nname = apps\n\n[importlinter]\nroot_package = apps\n\n[importlinter:contract:x]\n"
        "name = Apart\ntype = independence\nmodules =\n    apps.a\n    apps.b\n"
    )
    write(tmp_path, {**FILES, "setup.cfg": text, "apps/a.py": "import apps.b\n"})
    assert "Apart" in one(run(tmp_path, load(tmp_path)), "SSOT503").message


def test_the_fingerprint_is_of_the_two_modules(tmp_path: Path) -> None:
    def fingerprint(directory: str, importer: str, text: str) -> str:
        return one(check(tmp_path / directory, {**FILES, f"apps/{importer}.py": text}, CONFIG), "SSOT503").fingerprint

    known = fingerprint("x", "a", "import apps.b\n")
    assert fingerprint("y", "a", "\n\nfrom apps import b\n") == known
    assert fingerprint("z", "b", "import apps.a\n") != known
