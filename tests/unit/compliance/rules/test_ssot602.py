"""SSOT602 mock-in-real-scope: mocks in the product, and in tests that are declared to use real services."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT602"], "real-services": ["tests/e2e", "tests/integration/*"]}
APP = {"app/__init__.py": "", "app/core.py": "def run():\n    return 1\n"}


@pytest.mark.parametrize("path", ["tests/e2e/test_a.py", "tests/integration/deep/test_a.py", "app/a.py"])
@pytest.mark.parametrize(
    "text",
    [
        "from unittest.mock import MagicMock\n",
        "from unittest import mock\n",
        "import unittest.mock\n",
        "def f():\n    from unittest.mock import patch\n    return patch\n",
        "import mock\n",
    ],
)
def test_a_mocking_library_is_an_error_where_everything_is_real_and_in_the_product(
    tmp_path: Path, path: str, text: str
) -> None:
    found = one(check(tmp_path, {**APP, path: text}, RULE), "SSOT602")
    assert (found.place.path, found.severity) == (path, "error")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("class FakeBank:\n    pass\n", "FakeBank", id="a fake"),
        pytest.param("class MockClient:\n    pass\n", "MockClient", id="a mock"),
        pytest.param("def test_a(mocker):\n    pass\n", "mocker", id="the fixture"),
        pytest.param("import respx\n", "respx", id="an interceptor"),
        pytest.param("import fakeredis\n", "fakeredis", id="a stand-in for a service"),
    ],
)
def test_doubles_are_errors_only_where_services_are_declared_real(tmp_path: Path, text: str, named: str) -> None:
    found = one(check(tmp_path / "real", {**APP, "tests/e2e/test_a.py": text}, RULE), "SSOT602")
    assert named in found.message
    assert ids(check(tmp_path / "unit", {**APP, "tests/unit/test_a.py": text}, RULE)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        pytest.param("tests/unit/test_a.py", "from unittest.mock import Mock\n", id="in tests"),
        pytest.param("app/testing/doubles.py", "from unittest.mock import Mock\n", id="what a product offers to tests"),
        pytest.param(
            "app/pytest_plugin.py", "import pytest\nfrom unittest.mock import Mock\n", id="a plugin of pytest"
        ),
        pytest.param(
            "app/cases.py", "from unittest import TestCase\nfrom unittest.mock import Mock\n", id="cases for others"
        ),
        pytest.param(
            "app/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from unittest.mock import Mock\n",
            id="for type checkers",
        ),
        pytest.param("app/a.py", "from .mock import thing\n", id="a module of its own"),
        pytest.param("app/a.py", "import unittest\n", id="unittest itself"),
        pytest.param("app/a.py", "class FakeOut:\n    pass\n", id="a name in the product"),
        pytest.param("app/a.py", "import responses\n", id="what is something else elsewhere"),
        pytest.param("tests/e2e/test_a.py", "class Fakery:\n    pass\n", id="another word"),
        pytest.param("moto/__init__.py", "from unittest.mock import patch\n", id="a mocking library itself"),
        pytest.param("app/evals/run.py", "from unittest.mock import Mock\n", id="an evaluation"),
        pytest.param(
            "app/a.py",
            "def mock_resource():\n    from unittest.mock import Mock\n    return Mock()\n",
            id="a double on offer",
        ),
        pytest.param("scripts/a.py", "from unittest.mock import Mock\n", id="a script"),
        pytest.param("examples/a.py", "from unittest.mock import Mock\n", id="an example"),
        pytest.param("app/_vendor/x/a.py", "from unittest.mock import Mock\n", id="what others wrote"),
    ],
)
def test_is_allowed(tmp_path: Path, path: str, text: str) -> None:
    assert ids(check(tmp_path, {**APP, "app/mock.py": "thing = 1\n", path: text}, RULE)) == []


def test_a_module_of_the_code_base_called_mock_is_its_own(tmp_path: Path) -> None:
    files = {"mock/__init__.py": "", "mock/a.py": "x = 1\n", "app/a.py": "from mock.a import x\n"}
    assert ids(check(tmp_path, files, RULE)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_double_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**APP, "tests/e2e/test_a.py": text}, RULE), "SSOT602").fingerprint

    first = fingerprint("a", "class FakeBank:\n    pass\n")
    assert fingerprint("b", "import os\n\n\nother = os\n\n\nclass FakeBank:\n    x = 1\n") == first
    assert fingerprint("c", "class FakeShop:\n    pass\n") != first
