"""SSOT202 missing-name: what is imported from a module of the code base is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

IMPORTS = {"select": ["SSOT201", "SSOT202", "SSOT203"]}
APP = {"app/__init__.py": "", "app/core/__init__.py": "", "app/core/clock.py": "class Clock:\n    pass\n"}


def test_a_name_that_moved_is_missing_and_the_finding_says_where_it_is(tmp_path: Path) -> None:
    files = {**APP, "app/hours.py": "HOURS = 24\n", "app/main.py": "from app.hours import Clock\n"}
    found = one(check(tmp_path, files, IMPORTS), "SSOT202")
    assert found.message == "app.hours has no Clock"
    assert found.hint == "Import it from app.core.clock."


def test_a_broken_name_is_reported_where_it_is_lost_and_not_where_it_is_passed_on(tmp_path: Path) -> None:
    files = {
        **APP,
        "app/api.py": "from app.core.clock import Clok\n",
        "app/main.py": "from app.api import Clok\n",
    }
    found = one(check(tmp_path, files, IMPORTS), "SSOT202")
    assert found.place.path == "app/api.py"
    assert found.hint == "Did you mean Clock?"


def test_for_type_checkers_only_it_is_a_warning(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from app.core.clock import Watch\n"
    assert one(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS), "SSOT202").severity == "warning"


def test_a_name_that_a_star_would_bring_but_all_leaves_out_is_missing(tmp_path: Path) -> None:
    files = {
        **APP,
        "app/core/clock.py": "__all__ = ['Clock']\n\n\nclass Clock:\n    pass\n\n\nclass Watch:\n    pass\n",
        "app/api.py": "from app.core.clock import *\n",
        "app/main.py": "from app.api import Clock, Watch\n",
    }
    assert one(check(tmp_path, files, IMPORTS), "SSOT202").message == "app.api has no Watch"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("def __getattr__(name):\n    return name\n", "x", id="a module with __getattr__"),
        pytest.param("globals().update(x=1)\n", "x", id="written into globals()"),
        pytest.param("exec('x = 1')\n", "x", id="made by exec"),
        pytest.param(
            "import sys\n\nmod = sys.modules[__name__]\nfor name in 'xy':\n    setattr(mod, name, 1)\n",
            "x",
            id="set on the module itself",
        ),
        pytest.param("from yaml import *\n", "x", id="perhaps brought by a star"),
        pytest.param("for x in 'ab':\n    pass\n", "x", id="bound by for"),
        pytest.param("with open('f') as x:\n    pass\n", "x", id="bound by with"),
        pytest.param("a, (x, *b) = f()\n", "x", id="unpacked"),
        pytest.param("if (x := f()):\n    pass\n", "x", id="bound by :="),
        pytest.param("def f():\n    global x\n    x = 1\n", "x", id="a global of a function"),
        pytest.param("x: int\n", "x", id="only annotated"),
        pytest.param("import x\n", "x", id="another distribution"),
        pytest.param("try:\n    from fast import x\nexcept ImportError:\n    x = None\n", "x", id="a fallback"),
        pytest.param(
            "import sys\nif sys.platform == 'win32':\n    def x(): ...\nelse:\n    def x(): ...\n",
            "x",
            id="by platform",
        ),
        pytest.param(
            "from typing import overload\n@overload\ndef x(a: int): ...\n@overload\ndef x(a: str): ...\n"
            "def x(a): ...\n",
            "x",
            id="overloads",
        ),
        pytest.param(
            "from functools import singledispatch\n@singledispatch\ndef x(a): ...\n@x.register\ndef _(a: int): ...\n",
            "x",
            id="singledispatch",
        ),
        pytest.param("print 'x'\n", "x", id="does not parse"),
        pytest.param("@stored\nclass Event:\n    pass\n", "Event_Store", id="made by a decorator"),
        pytest.param("", "__path__", id="a name that Python gives"),
        pytest.param("", "__version__", id="a name that a build writes"),
    ],
)
def test_is_not_missing(tmp_path: Path, module: str, name: str) -> None:
    files = {**APP, "app/x_module.py": module, "app/main.py": f"from app.x_module import {name}\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param(
            "app/test_jobs/invalid_import.py", "from app.core.clock import Watch\n", id="a module that says so"
        ),
        pytest.param("tests/roots/mocks.py", "import app.missing_module4\n", id="a module of a test that says so"),
        pytest.param("app/jobs/odd.py", "from app.core.clock import no_such_attribute\n", id="a name that says so"),
        pytest.param(
            "tests/test_clock.py",
            "import pytest\n\n\ndef test_is_gone():\n    with pytest.raises(ImportError):\n"
            "        from app.core.clock import Watch\n",
            id="a test that it fails",
        ),
        pytest.param(
            "tests/test_clock.py",
            "import pytest\n\n\n@pytest.mark.xfail\ndef test_watch():\n    from app.core.clock import Watch\n",
            id="a test that is known to fail",
        ),
    ],
)
def test_is_broken_on_purpose(tmp_path: Path, path: str, text: str) -> None:
    assert ids(check(tmp_path, {**APP, path: text}, IMPORTS)) == []


def test_a_module_of_the_product_about_broken_imports_may_not_have_one(tmp_path: Path) -> None:
    files = {**APP, "app/broken_imports.py": "from app.core.clock import Watch\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == ["SSOT202"]


def test_in_any_other_test_it_is_missing(tmp_path: Path) -> None:
    text = "import pytest\n\n\n@pytest.mark.slow\ndef test_watch():\n    from app.core.clock import Watch\n"
    assert one(check(tmp_path, {**APP, "tests/test_clock.py": text}, IMPORTS), "SSOT202").place.line == 6


def test_a_private_module_of_a_package_may_be_compiled(tmp_path: Path) -> None:
    assert ids(check(tmp_path, {**APP, "app/main.py": "from app.core import _speedups\n"}, IMPORTS)) == []
    assert ids(check(tmp_path, {"app/main.py": "from app.core.clock import _speedups\n"}, IMPORTS)) == ["SSOT202"]


def test_a_module_is_a_name_of_its_package(tmp_path: Path) -> None:
    files = {**APP, "app/data/rows.py": "", "app/main.py": "from app import core, data\nfrom app.core import clock\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_name_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**APP, "app/main.py": text}, IMPORTS), "SSOT202").fingerprint

    first = fingerprint("a", "from app.core.clock import Watch\n")
    assert fingerprint("b", "import os\n\n\nfrom app.core.clock import Watch as W\n\nother = 1\n") == first
    assert fingerprint("c", "from app.core.clock import Wall\n") != first


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("for _name in ('Watch',):\n    locals()[_name] = _name\n", id="locals"),
        pytest.param("import app.fill\n\napp.fill.fill(app.fill.find_current_module())\n", id="told by a call"),
        pytest.param("from app.moving import moved\n\nmoved('app.other')\n", id="nothing but a call"),
        pytest.param("from app.moving import moved\n\nx = 1\nmoved(__name__, 'other')\n", id="told its name"),
        pytest.param("from app.moving import moved\n\n__getattr__, y = moved(1)\n", id="lazy"),
    ],
)
def test_a_module_that_fills_or_replaces_itself_may_have_any_name(tmp_path: Path, text: str) -> None:
    text = text.replace("app.fill.find_current_module()", "find_current_module()")
    files = {**APP, "app/many.py": text, "app/main.py": "from app.many import Watch\n"}
    files |= {"app/fill.py": "", "app/moving.py": "def moved(name):\n    pass\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == []


@pytest.mark.parametrize("more", ["__all__ += clock.__all__", "__all__.append(str(clock))"])
def test_what_a_package_exports_is_not_known_when_its_list_is_computed(tmp_path: Path, more: str) -> None:
    files = {**APP, "app/all.py": f"from app.core import clock\nfrom app.core.clock import *\n\n__all__ = []\n{more}\n"}
    files |= {"app/front.py": "from app.all import *\n", "app/main.py": "from app.front import Clock\n"}
    assert ids(check(tmp_path, files, IMPORTS)) == []


def test_a_name_that_is_lost_behind_a_star_is_reported_where_it_is_lost(tmp_path: Path) -> None:
    files = {**APP, "app/all.py": "from app.inner import *\n", "app/inner.py": "from app.time import Clock\n"}
    files["app/main.py"] = "from app.all import Clock\n"
    assert [each.place.path for each in check(tmp_path, files, IMPORTS).findings] == ["app/inner.py"]
