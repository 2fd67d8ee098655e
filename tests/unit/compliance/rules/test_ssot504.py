"""SSOT504: modules import each other at import time."""

from __future__ import annotations

from pathlib import Path

from support.code_base import check, ids, one

CONFIG = {"select": ["SSOT504"]}


def package(**modules: str) -> dict[str, str]:
    return {"ring/__init__.py": "", **{f"ring/{name}.py": text for name, text in modules.items()}}


def test_a_cycle_is_reported_once_with_every_link(tmp_path: Path) -> None:
    files = package(a="from ring.b import x\n", b="from . import c\n", c="import os\nimport ring.a\n")
    found = one(check(tmp_path, files, CONFIG), "SSOT504")
    assert "3 modules import each other: ring.a → ring.b → ring.c → ring.a" in found.message
    assert (found.place.path, found.place.line) == ("ring/a.py", 1)
    assert [(each.path, each.line) for each in found.related] == [("ring/b.py", 1), ("ring/c.py", 2)]
    assert set(found.involved) == {"ring/a.py", "ring/b.py", "ring/c.py"}


def test_a_component_with_several_cycles_is_one_finding_with_the_shortest_as_example(tmp_path: Path) -> None:
    files = package(a="import ring.b\n", b="import ring.c\n", c="import ring.a\nimport ring.d\n", d="import ring.c\n")
    found = one(check(tmp_path, files, CONFIG), "SSOT504")
    assert "4 modules import each other, for example ring.c → ring.d → ring.c" in found.message
    assert any("ring.a, ring.b, ring.c, ring.d" in line for line in found.details)


def test_imports_in_functions_and_for_type_checkers_close_no_cycle(tmp_path: Path) -> None:
    late = "def late():\n    import ring.a\n"
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ring.a import x\n"
    assert ids(check(tmp_path / "late", package(a="import ring.b\n", b=late), CONFIG)) == []
    assert ids(check(tmp_path / "typing", package(a="import ring.b\n", b=typing), CONFIG)) == []


def test_what_runs_as_a_script_only_closes_no_cycle(tmp_path: Path) -> None:
    script = "x = 1\nif __name__ == '__main__':\n    import ring.a\n"
    assert ids(check(tmp_path, package(a="import ring.b\n", b=script), CONFIG)) == []


def test_a_package_that_takes_from_its_modules_closes_a_cycle_only_when_they_take_from_it(tmp_path: Path) -> None:
    files = {"ring/__init__.py": "from ring.a import f\nVERSION = 1\n", "ring/b.py": "x = 1\n"}
    assert ids(check(tmp_path / "x", {**files, "ring/a.py": "from ring import b\nf = b.x\n"}, CONFIG)) == []
    found = one(check(tmp_path / "y", {**files, "ring/a.py": "from ring import VERSION\nf = 1\n"}, CONFIG), "SSOT504")
    assert "ring → ring.a → ring" in found.message


def test_a_compiled_module_is_not_the_package_it_lies_in(tmp_path: Path) -> None:
    files = {"ring/__init__.py": "from ring.a import x\n", "ring/a.py": "from ring import _fast\nx = 1\n"}
    one(check(tmp_path / "x", files, CONFIG), "SSOT504")
    assert ids(check(tmp_path / "y", {**files, "ring/_fast.pyx": ""}, CONFIG)) == []


def test_a_module_that_its_package_takes_from_itself_too_is_not_the_package(tmp_path: Path) -> None:
    for name, front in (("relative", "from . import a, b\n"), ("absolute", "from ring import a, b\n")):
        files = {**package(a="from . import b\n", b="x = 1\n"), "ring/__init__.py": front}
        assert ids(check(tmp_path / name, files, CONFIG)) == []


def test_vendored_and_generated_modules_may_import_each_other_and_not_one_of_ours(tmp_path: Path) -> None:
    for folder in ("_vendor", "externals", "dist", "__generated__"):
        files = {
            "ring/__init__.py": "",
            f"ring/{folder}/__init__.py": "",
            f"ring/{folder}/a.py": "from .b import x\n",
            f"ring/{folder}/b.py": "from .a import y\n",
        }
        assert ids(check(tmp_path / folder, files, CONFIG)) == []
    files |= {"ring/c.py": "import ring.__generated__.a\n", f"ring/{folder}/b.py": "import ring.c\n"}
    assert ids(check(tmp_path / "ours", files, CONFIG)) == ["SSOT504"]


def test_a_chain_of_thousands_of_modules_does_not_exhaust_the_stack(tmp_path: Path) -> None:
    count = 3000
    files = package(**{f"m{number}": f"import ring.m{(number + 1) % count}\n" for number in range(count)})
    assert f"{count} modules" in one(check(tmp_path, files, CONFIG), "SSOT504").message


def test_the_fingerprint_is_of_the_modules_of_the_example(tmp_path: Path) -> None:
    def fingerprint(directory: str, **modules: str) -> str:
        return one(check(tmp_path / directory, package(**modules), CONFIG), "SSOT504").fingerprint

    known = fingerprint("x", a="import ring.b\n", b="import ring.a\n")
    assert fingerprint("y", a="\n\nfrom ring import b\n", b="import os\nimport ring.a\n", c="x = 1\n") == known
    assert fingerprint("z", a="import ring.c\n", c="import ring.a\n") != known


def test_a_try_under_an_if_closes_no_cycle(tmp_path: Path) -> None:
    guarded = "try:\n    import ring.b\nexcept ImportError:\n    pass\n"
    under = "import sys\n\nif sys.platform == 'win32':\n" + "".join(f"    {line}\n" for line in guarded.splitlines())
    assert ids(check(tmp_path, package(a=under, b="import ring.a\n"), CONFIG)) == []
    assert ids(check(tmp_path, package(a=guarded, b="import ring.a\n"), CONFIG)) == ["SSOT504"]


def test_what_tests_only_look_at_may_go_round(tmp_path: Path) -> None:
    files = {
        "tests/inputs/__init__.py": "",
        "tests/inputs/a.py": "from . import b\n",
        "tests/inputs/b.py": "from . import a\n",
    }
    assert ids(check(tmp_path, files, CONFIG)) == []
    assert ids(check(tmp_path, {"tests/test_all.py": "import inputs.a\n"}, CONFIG)) == ["SSOT504"]
