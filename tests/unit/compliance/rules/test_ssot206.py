"""SSOT206 shadowed-third-party: a name that a dependency or the standard library has."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT206"]}
PROJECT = '[project]\nname = "shop"\ndependencies = ["redis>=5", "PyYAML"]\n'


def test_a_package_called_like_a_dependency_that_is_imported_shadows_it(tmp_path: Path) -> None:
    files = {"pyproject.toml": PROJECT, "redis/__init__.py": "", "shop/__init__.py": "", "shop/a.py": "import redis\n"}
    found = one(check(tmp_path, files, RULE), "SSOT206")
    assert found.place.path == "redis/__init__.py"
    assert [(each.path, each.line) for each in found.related] == [("shop/a.py", 1)]


def test_requirements_are_read_and_distributions_known_by_their_modules(tmp_path: Path) -> None:
    files = {"requirements.txt": "PyYAML==6.0  # data\n", "src/yaml/__init__.py": "", "src/a.py": "import yaml\n"}
    one(check(tmp_path, files, RULE), "SSOT206")


def test_a_script_called_like_a_module_of_the_standard_library_shadows_it_beside(tmp_path: Path) -> None:
    files = {"jobs/random.py": "", "jobs/run.py": "import random\n"}
    found = one(check(tmp_path, files, RULE), "SSOT206")
    assert "a module of the standard library" in found.message


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"redis/__init__.py": "", "shop/a.py": "import json\n"}, id="not imported"),
        pytest.param({"shop/redis.py": "", "shop/__init__.py": "", "shop/a.py": "import redis\n"}, id="in a package"),
        pytest.param({"shop/__init__.py": "", "main.py": "import shop\n"}, id="the code base's own name"),
        pytest.param({"jobs/random.py": "", "other/run.py": "import random\n"}, id="beside another script"),
        pytest.param({"tests/redis/__init__.py": "", "tests/test_a.py": "import redis\n"}, id="a fake of the tests"),
        pytest.param(
            {"cloud/logging/__init__.py": "", "cloud/a.py": "import logging\nfrom cloud.logging import x\n"},
            id="in a namespace",
        ),
        pytest.param({"requests/__init__.py": "", "shop/a.py": "import requests\n"}, id="no dependency"),
    ],
)
def test_shadows_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    assert ids(check(tmp_path, {"pyproject.toml": PROJECT, **files}, RULE)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_name_changes_it(tmp_path: Path) -> None:
    files = {"jobs/random.py": "", "jobs/run.py": "import random\n"}
    first = one(check(tmp_path / "a", files, RULE), "SSOT206").fingerprint
    assert (
        one(check(tmp_path / "b", {**files, "jobs/run.py": "\n\nimport random\n"}, RULE), "SSOT206").fingerprint
        == first
    )
    other = {"jobs/queue.py": "", "jobs/run.py": "import queue\n"}
    assert one(check(tmp_path / "c", other, RULE), "SSOT206").fingerprint != first
