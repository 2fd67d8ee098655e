"""SSOT201 missing-module: an import of the code base's own that crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.config import ConfigError, parse
from support.code_base import check, ids, one

IMPORTS = {"select": ["SSOT201", "SSOT202", "SSOT203"]}
APP = {"app/__init__.py": "", "app/core/__init__.py": "", "app/core/clock.py": "class Clock:\n    pass\n"}


def test_a_module_that_moved_is_missing_and_the_finding_says_where_its_name_is_now(tmp_path: Path) -> None:
    found = one(check(tmp_path, {**APP, "app/main.py": "\nfrom app.time import Clock\n"}, IMPORTS), "SSOT201")
    assert (found.place.path, found.place.line) == ("app/main.py", 1)
    assert found.message == "there is no module app.time"
    assert found.hint == "Import it from app.core.clock."
    assert [(each.path, each.line) for each in found.related] == [("app/core/clock.py", 1)]


def test_a_misspelled_module_is_told_from_its_neighbours(tmp_path: Path) -> None:
    found = one(check(tmp_path, {**APP, "app/main.py": "import app.core.clocks\n"}, IMPORTS), "SSOT201")
    assert found.hint == "Did you mean app.core.clock?"


def test_a_relative_import_of_nothing_is_missing(tmp_path: Path) -> None:
    found = one(check(tmp_path, {**APP, "app/core/main.py": "from ..hours import Clock\n"}, IMPORTS), "SSOT201")
    assert found.message == "there is no module app.hours"


def test_a_module_that_a_file_asks_for_twice_is_one_finding(tmp_path: Path) -> None:
    text = """
        from typing import TYPE_CHECKING

        if TYPE_CHECKING:
            from app.time import Zone


        def now():
            from app.time import Clock, Watch

            return Clock(), Watch()
    """
    found = one(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS), "SSOT201")
    assert (found.severity, found.place.line) == ("error", 8)
    assert ("app/main.py", 4) in [(each.path, each.line) for each in found.related]


def test_a_package_with_getattr_still_has_modules_only(tmp_path: Path) -> None:
    lazy = "def __getattr__(name):\n    return name\n"
    files = {"app/__init__.py": lazy, "app/main.py": "from app.nothing import x\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == ["SSOT201"]


def test_in_an_example_it_is_a_warning(tmp_path: Path) -> None:
    files = {**APP, "docs/tutorials/first.py": "from app.time import Clock\n"}
    assert one(check(tmp_path, files, IMPORTS), "SSOT201").severity == "warning"


def test_for_type_checkers_only_it_is_a_warning(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.time import Clock\n"
    found = one(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS), "SSOT201")
    assert found.severity == "warning"


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"app/main.py": "import yaml.loader\nfrom requests import nothing\n"}, id="other distributions"),
        pytest.param({"app/data/a.py": "", "app/main.py": "from app.data import a\n"}, id="a folder without __init__"),
        pytest.param({"google/cloud/ours/a.py": "", "main.py": "import google.cloud.storage\n"}, id="shared namespace"),
        pytest.param(
            {"app/lazy.py": "def __getattr__(name):\n    return name\n", "app/main.py": "from app.lazy import x\n"},
            id="a module with __getattr__",
        ),
        pytest.param(
            {
                "app/main.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.main import Thing\n\n"
                "class Thing:\n    pass\n"
            },
            id="of itself for type checkers",
        ),
        pytest.param(
            {"cloud/dns/__init__.py": "", "cloud/net.py": "import dns.resolver\nimport cloud.dns\n"},
            id="another distribution's, of the short name of a package in a namespace",
        ),
        pytest.param({"tests/regrtest_data/a.py": "from app.nothing import x\n"}, id="in what a test looks at"),
        pytest.param({"app/main.py": "from app.fast_cext import run\n"}, id="compiled, by its name"),
        pytest.param({"app/fast.pyx": "", "app/main.py": "from app.fast import run\n"}, id="a compiled module"),
        pytest.param(
            {"app/kinds/__init__.pyi": "", "app/main.py": "from app.kinds import Kind\n"}, id="a package of stubs"
        ),
        pytest.param({"app/main.py": "from app._version import version\n"}, id="a module a build writes"),
        pytest.param(
            {"app/six.py": "__path__ = []\n", "app/main.py": "import app.six.moves\n"}, id="parts made at run time"
        ),
        pytest.param(
            {
                "app/plugins/__init__.py": "from plugs import places\n\n__path__.extend(places(__name__))\n",
                "app/main.py": "import app.plugins.more\n",
            },
            id="parts found in further places",
        ),
        pytest.param(
            {
                "app/far.py": "import far\n\n\ndef __getattr__(name):\n    return getattr(far, name)\n",
                "app/main.py": "from app.far.near import x\n",
            },
            id="parts of the module that a module stands for",
        ),
        pytest.param(
            {"plugs/types.py": "class Date:\n    pass\n", "plugs/web.py": "from types import SimpleNamespace\n"},
            id="the standard library's, of the name of a plug-in beside it",
        ),
        pytest.param(
            {"app/_vendor/rich/__init__.py": "", "app/_vendor/rich/tree.py": "from app._vendor.rich.table import T\n"},
            id="left out of a copy of another distribution",
        ),
        pytest.param({"app/old.py": "print 'x'\n", "app/main.py": "from app.old import x\n"}, id="does not parse"),
        pytest.param(
            {"app/x.py": "for name in 'ab':\n    pass\n", "app/main.py": "from app.x import name\n"}, id="bound by for"
        ),
        pytest.param(
            {
                "app/x.py": "import sys\nif sys.platform == 'win32':\n    def f(): ...\nelse:\n    def f(): ...\n",
                "app/main.py": "from app.x import f\n",
            },
            id="defined by platform",
        ),
        pytest.param(
            {"app/x.py": "def f():\n    global y\n    y = 1\n", "app/main.py": "from app.x import y\n"}, id="a global"
        ),
        pytest.param(
            {"app/x.py": "from yaml import *\n", "app/main.py": "from app.x import y\n"}, id="brought by a star"
        ),
    ],
)
def test_is_not_missing(tmp_path: Path, files: dict[str, str]) -> None:
    assert ids(check(tmp_path, {**APP, **files}, IMPORTS)) == []


def test_a_package_in_a_folder_is_known_by_its_short_name_once_somebody_imports_it_so(tmp_path: Path) -> None:
    files = {"backend/shop/__init__.py": "", "backend/shop/a.py": "x = 1\n"}
    found = one(check(tmp_path, {**files, "backend/main.py": "import shop.b\nimport shop.a\n"}, IMPORTS), "SSOT201")
    assert found.message == "there is no module shop.b"


def test_modules_that_something_serves_at_run_time_are_named_in_the_configuration_with_the_reason(
    tmp_path: Path,
) -> None:
    files = {**APP, "app/main.py": "import app.old.orders\nfrom app.old.users import User\nimport app.new.orders\n"}
    row = {"modules": ["app.old.**"], "reason": "app.finder serves old names"}
    found = one(check(tmp_path, files, {**IMPORTS, "served-modules": [row]}), "SSOT201")
    assert found.message == "there is no module app.new.orders"
    exact = {**row, "modules": ["app.old.orders", "app.new.orders"]}
    found = one(check(tmp_path, files, {**IMPORTS, "served-modules": [exact]}), "SSOT201")
    assert found.message == "there is no module app.old.users"


@pytest.mark.parametrize("row", [{"modules": ["app.old"]}, {"modules": ["app.old"], "reason": " "}])
def test_served_modules_need_a_reason(row: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="reason"):
        parse({"served-modules": [row]})


def test_moving_lines_keeps_the_fingerprint_and_another_module_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**APP, "app/main.py": text}, IMPORTS), "SSOT201").fingerprint

    first = fingerprint("a", "import app.core.watch\n")
    assert fingerprint("b", "import os\n\n\nfrom app.core.watch import Watch as W\n\nother = 1\n") == first
    assert fingerprint("c", "import app.core.wall\n") != first


def test_what_tests_read_or_copy_and_never_import_may_be_broken(tmp_path: Path) -> None:
    case = "from app.time import Clock\n"
    files = {**APP, "tests/test_lint.py": "from tests.cases.used import x\n", "tests/cases/odd/name.py": case}
    assert ids(check(tmp_path, files, IMPORTS)) == []
    files |= {"tests/__init__.py": "", "tests/cases/__init__.py": "", "tests/cases/used.py": f"{case}x = 1\n"}
    assert one(check(tmp_path, files, IMPORTS), "SSOT201").place.path == "tests/cases/used.py"
    assert [each.place.path for each in check(tmp_path, {"tests/odd.py": case}, IMPORTS).findings] == [
        "tests/cases/used.py",
        "tests/odd.py",
    ]


def test_an_extension_module_is_built_of_source_that_is_named_like_it(tmp_path: Path) -> None:
    files = {**APP, "app/main.py": "from app.core import _ticks, fast\nfrom app.core._ticks import now\n"}
    files |= {"app/core/src/ticks.c": "", "fast/lib.rs": ""}
    assert ids(check(tmp_path, files, IMPORTS)) == []
    assert ids(check(tmp_path, {"app/more.py": "import app.core.hours\n"}, IMPORTS)) == ["SSOT201"]
    assert ids(check(tmp_path, {"app/ticker/__init__.py": "from app.ticker.ticks import x\n"}, IMPORTS)) == [
        "SSOT201",
        "SSOT201",
    ]


def test_what_is_beside_or_above_a_file_in_no_package_is_not_known(tmp_path: Path) -> None:
    files = {**APP, "tests/test_app.py": "from .support import client\n"}
    files["plugins/__init__.py"] = "from ..commands import run\n"
    assert ids(check(tmp_path, files, IMPORTS)) == []


def test_a_test_may_write_the_package_that_it_imports(tmp_path: Path) -> None:
    text = "def test_plugin():\n    import app.plugged.one\n"
    files = {**APP, "tests/test_app.py": text}
    assert one(check(tmp_path, files, IMPORTS), "SSOT201").severity == "warning"
    files["tests/test_app.py"] = text.replace("app.plugged.one", "app.core.one")
    assert one(check(tmp_path, files, IMPORTS), "SSOT201").severity == "error"


def test_a_module_that_is_put_into_sys_modules_is_there(tmp_path: Path) -> None:
    files = {**APP, "app/main.py": "from app.time import Clock\n"}
    files["app/__init__.py"] = "import sys\nimport app.core.clock\n\nsys.modules['app.time'] = app.core.clock\n"
    assert ids(check(tmp_path, files, IMPORTS)) == []


def test_what_the_script_that_builds_or_packs_it_speaks_of_is_not_missing(tmp_path: Path) -> None:
    setup = """
        from setuptools import Extension, find_packages, setup

        with open("app/core/figures.py", "w") as file:
            file.write("x = 1")
        packages = ["app.core", *find_packages(exclude=["app.server*"])]
        setup(packages=packages, ext_modules=[Extension("app.core.ticker", [])])
    """
    text = "import app.server.main\nimport app.core.ticker\nfrom app.core import figures\n"
    files = {**APP, "setup.py": setup, "app/main.py": text}
    assert ids(check(tmp_path, files, IMPORTS)) == []
    assert ids(check(tmp_path, {"app/more.py": "import app.core.hours\n"}, IMPORTS)) == ["SSOT201"]
    assert len(ids(check(tmp_path, {"setup.py": ""}, IMPORTS))) == 4
