"""Every row of the specification has a test that proves it, the page of both is current, and what it names exists."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NAMED_TESTS = (
    "tests/mission_critical/test_websocket_agent_events_suite.py",
    "tests/unit/ssot_validation/test_singleton_enforcement.py",
    "tests/unit/ssot_validation/test_agent_execution_tracker_ssot_consolidation.py",
    "tests/integration/test_ssot_class_duplication_detection.py",
    "tests/integration/test_request_scoped_session_factory_error_paths.py",
    "tests/e2e/test_session_metrics_auth_integration.py",
)
NAMED_DOCUMENTS = ("one-source-of-truth.md", "testing.md", "isolation.md", "decisions/README.md")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = spec_from_file_location("gen_specification", ROOT / "scripts" / "gen_specification.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_row_has_a_test_or_a_reason_to_wait(generator: ModuleType) -> None:
    proofs = generator.proofs()
    assert [row["id"] for row in generator.rows() if "later" not in row and row["id"] not in proofs] == []


def test_tests_name_rows_that_exist_and_each_row_once(generator: ModuleType) -> None:
    ids = [row["id"] for row in generator.rows()]
    assert len(ids) == len(set(ids))
    assert generator.proofs().keys() - set(ids) == set()


def test_the_page_is_current() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/gen_specification.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.spec("tests.named-files")
@pytest.mark.parametrize("name", NAMED_TESTS)
def test_a_file_that_the_specification_names_holds_tests(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    names = [n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert any(test.startswith("test_") for test in names)


@pytest.mark.spec("commands.pytest")
def test_the_command_for_one_file_runs_it() -> None:
    command = [sys.executable, "-m", "pytest", "tests/unit/ssot_validation/test_singleton_enforcement.py", "-v"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.mark.spec("documents.exist")
@pytest.mark.parametrize("name", NAMED_DOCUMENTS)
def test_a_document_that_the_specification_names_is_in_the_list(name: str) -> None:
    assert len((ROOT / "docs" / name).read_text(encoding="utf-8").splitlines()) > 5
    assert f"({name})" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
