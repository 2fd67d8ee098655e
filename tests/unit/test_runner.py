"""The runner: what it chooses, and, as it is started from a terminal, what pytest makes of it and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.categories import CATEGORIES, TESTS
from support.plugins import ONLY_NEEDED
from unified_test_runner import parser, pytest_arguments

SEEDED = "test_every_type_on_the_wire_has_a_name_of_its_own"  # a test of test_events.py that takes no time


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The runner in a process of its own, without what the flags of this run allow."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("NETRA_TEST_", "PYTEST_", "COV_"))
    }
    return subprocess.run(
        [sys.executable, str(TESTS / "unified_test_runner.py"), *arguments],
        cwd=cwd,
        env=environment | ONLY_NEEDED,
        capture_output=True,
        text=True,
        check=False,
    )


def told(*arguments: str) -> list[str]:
    """What pytest is told for these arguments."""
    chosen = pytest_arguments(parser().parse_args(arguments))
    assert chosen is not None
    return chosen


def files(*arguments: str) -> set[str]:
    """The files that these arguments choose, below `tests/`."""
    chosen = [Path(argument.partition("::")[0]) for argument in told(*arguments) if argument.startswith(str(TESTS))]
    return {path.relative_to(TESTS).as_posix() for path in chosen}


@pytest.mark.spec("runner.pattern", "commands.runner-ssot-validation")
def test_what_a_pattern_chooses_is_what_pytest_collects() -> None:
    verbatim = ("--pattern", "*ssot_validation*", "--category", "unit", "--fast-fail")
    answer = run(*verbatim, "--", "--collect-only", "-q", "-p", "no:cacheprovider")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    collected = {line.partition("::")[0] for line in answer.stdout.splitlines() if "::" in line}
    assert collected == {f"tests/{file}" for file in files(*verbatim)}
    assert {file.rpartition("/")[0] for file in collected} == {"tests/unit/ssot_validation"}
    assert told(*verbatim)[-3:] == ["-m", "unit", "-x"]


@pytest.mark.spec("runner.pattern")
def test_a_pattern_chooses_files_by_their_name() -> None:
    assert files("--pattern", "test_ids.py") == {"unit/test_ids.py"}


@pytest.mark.spec("runner.pattern")
def test_a_pattern_that_no_file_matches_chooses_tests_by_name() -> None:
    assert told("--pattern", f"{SEEDED[:-3]}*") == [f"{TESTS / 'unit/test_events.py'}::{SEEDED}"]


@pytest.mark.spec("runner.pattern", "runner.categories", "commands.runner-session-metrics")
def test_a_pattern_filters_every_category() -> None:
    verbatim = ("--pattern", "*session_metrics*", "--real-services", "--categories", "unit", "integration", "e2e")
    assert "e2e/test_session_metrics_auth_integration.py" in files(*verbatim)
    assert told(*verbatim)[-3:] == ["-m", "unit or integration or e2e", "--real-services"]
    chosen = files("--pattern", "*/test_*metrics*", "--categories", "unit", "e2e")
    assert {file.partition("/")[0] for file in chosen} == {"unit", "e2e"}
    assert all("metrics" in file for file in chosen)


@pytest.mark.spec("runner.categories", "commands.runner-category")
def test_a_category_is_its_folder() -> None:
    expected = [str(TESTS / "integration"), "-m", "integration", "--real-services"]
    assert told("--category", "integration", "--real-services") == expected


@pytest.mark.spec("runner.categories")
def test_a_category_that_is_a_marker_may_be_anywhere() -> None:
    assert told("--category", "stress") == [str(TESTS), "-m", "stress"]


@pytest.mark.spec("runner.categories")
def test_the_categories_are_listed_with_what_they_mean(tmp_path: Path) -> None:
    answer = run("--list-categories", cwd=tmp_path)
    assert answer.returncode == 0
    assert [line.split()[0] for line in answer.stdout.splitlines()] == list(CATEGORIES)
    assert all(category.meaning in answer.stdout for category in CATEGORIES.values())


@pytest.mark.spec("runner.exit-code")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--pattern", "*there_is_no_such_test*"],
        ["--pattern", "test_ids.py", "--category", "e2e"],
        ["--pattern", "test_ids.py", "--", "-k", "there_is_no_such_test"],
    ],
)
def test_when_nothing_matches_the_exit_code_is_5(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 5


@pytest.mark.spec("runner.categories")
def test_a_category_that_does_not_exist_is_refused_with_those_there_are() -> None:
    answer = run("--category", "unknown")
    assert answer.returncode == 2
    assert "mission_critical" in answer.stderr


@pytest.mark.spec("runner.exit-code", "runner.fast-fail")
def test_a_failure_is_the_exit_code_and_with_fast_fail_the_end(tmp_path: Path) -> None:
    failing = tmp_path / "test_failing.py"
    failing.write_text("def test_first(): assert False\ndef test_second(): assert False\n")
    (tmp_path / "pytest.ini").touch()
    further = ("--", str(failing), "-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini"))
    both = run(*further)
    assert both.returncode == 1
    assert "2 failed" in both.stdout
    one = run("--fast-fail", *further)
    assert one.returncode == 1
    assert "1 failed" in one.stdout


@pytest.mark.spec("runner.exit-code")
def test_a_success_ends_with_0_from_any_directory(tmp_path: Path) -> None:
    answer = run("--pattern", SEEDED, "--fast-fail", "--", "-p", "no:cacheprovider", cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "1 passed" in answer.stdout
