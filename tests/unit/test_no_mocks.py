"""Tests of several parts use the parts: nothing there stands in for something else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
REAL = ("integration", "e2e", "mission_critical", "support")
STAND_INS = {"Mock", "MagicMock", "AsyncMock", "NonCallableMock", "create_autospec", "mocker"}


def stand_ins(source: str) -> list[str]:
    """The names in Python source that belong to mocks."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in ("unittest.mock", "mock")]
        elif isinstance(node, ast.ImportFrom):
            mocked = node.module in ("unittest.mock", "mock")
            found += [
                alias.name for alias in node.names if mocked or (node.module == "unittest" and alias.name == "mock")
            ]
        elif isinstance(node, ast.Name) and node.id in STAND_INS:
            found.append(node.id)
        elif isinstance(node, ast.arg) and node.arg == "mocker":
            found.append(node.arg)
    return found


@pytest.mark.spec("tests.no-mocks")
def test_tests_of_several_parts_use_no_mocks() -> None:
    files = [path for folder in REAL for path in sorted((TESTS / folder).rglob("*.py"))]
    assert len(files) > 50
    found = {str(path.relative_to(TESTS)): stand_ins(path.read_text(encoding="utf-8")) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from unittest.mock import patch",
        "from unittest import mock",
        "import unittest.mock",
        "def test(mocker): ...",
        "part = MagicMock()",
    ],
)
def test_a_mock_is_noticed(source: str) -> None:
    assert stand_ins(source)
