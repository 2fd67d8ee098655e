"""`netra check` from outside: exit codes, output, what it loads, and how it deals with wrong usage."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from support.checking import TWINS, netra
from support.code_base import write

CLEAN = {"pyproject.toml": "", "shop/__init__.py": "", "shop/orders.py": "class Order:\n    number = 1\n"}


def test_a_code_base_with_one_truth_is_clean_and_scores_100(tmp_path: Path) -> None:
    write(tmp_path, CLEAN)
    done = netra("check", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("score 100.0 (core 100.0) · debt 0 · 0 errors, 0 warnings · 2 files")


@pytest.mark.spec("compliance.exit-code")
def test_errors_fail_the_check_and_the_last_line_says_how_things_stand(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    done = netra("check", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "shop/report.py:8: error SSOT303 missing-in-error-path" in lines
    assert any("shop/orders.py" in line for line in lines)
    assert "Does not pass:" in lines[-2]
    assert lines[-1].startswith("score ")
    assert "attributes checked · rules " in lines[-1]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--fail-on", "never"), 0),
        (("--fail-on", "never", "--min-score", "100"), 0),
        (("--fail-on", "warning"), 1),
        (("--fail-on", "stale", "--min-score", "99"), 1),
        (("--fail-on", "stale", "--min-score", "1"), 0),
        (("--select", "SSOT901"), 0),
        (("--ignore", "SSOT1,SSOT3"), 0),
        (("shop/__init__.py",), 0),
        (("shop/report.py",), 1),
    ],
)
def test_the_gate_decides_the_exit_code(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    write(tmp_path, TWINS)
    assert netra("check", *arguments, cwd=tmp_path).returncode == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "does not exist"),
        (("--select", "SSOT999"), "There is no rule 'SSOT999'"),
        (("--format", "xml"), "--format has no 'xml'"),
        (("--fail-on", "often"), "--fail-on has no 'often'"),
        (("--fail-on", "never,new"), "never, alone"),
        (("--baseline", "gone.jsonl"), "There is no baseline"),
        (("--new-only",), "--new-only needs a baseline"),
        (("--since", "HEAD"), "--since: git says"),
        (("--unsafe",), "--unsafe goes with --fix"),
        (("--min-score", "much"), "unable to parse string as a number"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    write(tmp_path, TWINS)
    done = netra("check", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_key_of_the_configuration_exits_2_with_a_suggestion(tmp_path: Path) -> None:
    write(tmp_path, {**CLEAN, "pyproject.toml": "[tool.ssot]\nmin-skore = 90\n"})
    done = netra("check", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'min-score'?" in done.stderr


def test_paths_are_printed_as_seen_from_the_working_directory(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    assert "\nreport.py:8: error" in netra("check", cwd=tmp_path / "shop").stdout.replace("../shop/", "")
    assert f"{tmp_path.name}/shop/report.py:8: error" in netra("check", str(tmp_path), cwd=tmp_path.parent).stdout


@pytest.mark.spec("compliance.command")
def test_a_limit_says_what_it_leaves_out_and_changes_neither_score_nor_exit_code(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    whole, cut = netra("check", cwd=tmp_path), netra("check", "--max", "1", cwd=tmp_path)
    assert cut.returncode == whole.returncode == 1
    assert cut.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]
    assert "1 more not printed (--max 1): 1 SSOT303" in cut.stdout


def test_it_loads_nothing_of_the_server(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    program = (
        "import sys, json\n"
        "sys.argv = ['netra', 'check', '--fail-on', 'never', '--output', 'found.txt']\n"
        "from netra.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    ours = {name for name in loaded if name.startswith("netra.")}
    assert {name for name in ours if not name.startswith("netra.compliance")} == {"netra.__main__"}
    assert not {"sqlalchemy", "fastapi", "uvicorn", "structlog", "rich.progress", "watchfiles"} & set(loaded)


def test_the_servers_command_line_has_it_too(tmp_path: Path) -> None:
    program = "import sys; sys.argv = ['netra', '--help']; from netra.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "check" in done.stdout
    assert "ssot" in done.stdout


@pytest.mark.parametrize(("options", "code"), [("--fail-on never", 0), ("--fail-on error", 1)])
def test_a_closed_pipe_is_no_failure_and_hides_none(tmp_path: Path, options: str, code: int) -> None:
    write(tmp_path, TWINS)
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m netra check {options} | true",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")


def in_terminal(*arguments: str, cwd: Path, **environment: str) -> str:
    """What `netra …` prints where both of its outputs are a terminal."""
    ours, theirs = pty.openpty()
    without = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**without, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break  # the other end is closed
        if not part:
            break
        parts.append(part)
    os.close(ours)
    assert process.wait(60) in (0, 1)
    return b"".join(parts).decode()


def test_a_terminal_gets_colours_unless_its_user_wants_none(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    assert "\x1b[31;1merror SSOT303\x1b[0m" in in_terminal("-m", "netra", "check", cwd=tmp_path)
    plain = in_terminal("-m", "netra", "check", cwd=tmp_path, NO_COLOR="1")
    # A slow machine shows the progress bar before, which moves the cursor.
    assert "\x1b" not in plain[plain.index("shop/payments.py:1: error SSOT101") :]


PATIENT = """
import sys
from netra.compliance import progress
progress.PATIENCE_SECONDS = 0
sys.argv = ["netra", "check", "--no-cache"]
from netra.compliance.command import main
main()
"""


def test_a_terminal_shows_how_far_a_long_check_is_and_a_pipe_does_not(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    shown = in_terminal("-c", PATIENT, cwd=tmp_path)
    assert "apply rules" in shown
    assert shown.rstrip().splitlines()[-1].startswith("\x1b[1mscore ")
    done = subprocess.run([sys.executable, "-c", PATIENT], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "apply rules" not in done.stdout + done.stderr


def test_statistics_say_where_the_time_went_and_explain_what_would_raise_the_score(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    arguments = ("--statistics", "--explain-score", "--no-cache", "--jobs", "1")
    text = netra("check", *arguments, cwd=tmp_path).stdout
    for part in ("read files", "apply rules", "attribute reads", "What mending a single finding would add:"):
        assert part in text
    document = json.loads(netra("check", *arguments, "--format", "json", cwd=tmp_path).stdout)
    assert document["seconds"]["read files"] > 0
    best = document["would_raise_the_score"]["rules"][0]
    assert best["points"] > 0
    assert best["what"].startswith("SSOT")


@pytest.mark.parametrize(("most", "code"), [(0, 1), (1, 0)])
def test_a_number_of_new_findings_can_be_allowed(tmp_path: Path, most: int, code: int) -> None:
    write(tmp_path, {**TWINS, "pyproject.toml": f"[tool.ssot]\nmax-new = {most}\n"})
    assert netra("ssot", "baseline", "write", cwd=tmp_path).returncode == 0
    write(tmp_path, {"shop/new.py": "from shop.report import nothing\n"})
    done = netra("check", "--fail-on", "stale", cwd=tmp_path)
    assert done.returncode == code, done.stdout


def test_extend_select_adds_to_the_configuration(tmp_path: Path) -> None:
    write(tmp_path, {**TWINS, "pyproject.toml": "[tool.ssot]\nselect = ['SSOT9']\n"})
    assert netra("check", cwd=tmp_path).returncode == 0
    assert netra("check", "--extend-select", "SSOT303", cwd=tmp_path).returncode == 1


def test_an_output_file_leaves_the_last_line_beside_it(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    done = netra("check", "--format", "junit", "--output", "reports/ssot.xml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("score ")
    assert (tmp_path / "reports/ssot.xml").read_text().startswith("<?xml")
    assert netra("check", "--output", ".", cwd=tmp_path).returncode == 2


def test_a_fault_of_the_checker_exits_3_and_is_no_finding(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    program = (
        "import sys; from netra.compliance import running\n"
        "def fail(*arguments): raise LookupError('planted')\n"
        "running.look = fail; sys.argv = ['netra', 'check']\n"
        "from netra.compliance.command import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "LookupError: planted" in done.stderr
    assert "a fault of it, not of the code it checks" in done.stderr


@pytest.mark.parametrize("key", ["history", "baseline"])
def test_a_strangers_configuration_writes_nothing_outside_its_code_base(tmp_path: Path, key: str) -> None:
    write(
        tmp_path, {"theirs/pyproject.toml": f"[tool.ssot]\n{key} = 'inner/file'\n", "file": "mine\n", "theirs/a.py": ""}
    )
    (tmp_path / "theirs" / "inner").symlink_to(tmp_path)
    commands = {"history": ("check",), "baseline": ("ssot", "baseline", "write")}
    done = netra(*commands[key], cwd=tmp_path / "theirs")
    assert (done.returncode, (tmp_path / "file").read_text()) == (2, "mine\n")
    assert f"{key}: inner/file is outside the code base" in done.stderr


def test_that_nothing_was_checked_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "", "notes.txt": "none\n"})
    done = netra("check", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == f"netra check: There is no Python file to check in {tmp_path}.\n"
