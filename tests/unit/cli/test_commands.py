"""The commands, run as a person runs them, on real databases."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from netra import __version__
from netra.cli import main

PASSWORD = "a long enough password"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `netra ARGUMENTS` in an empty directory, with the data in `data` there; in this process, to be quick."""
    for name in [name for name in os.environ if name.startswith("NETRA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def netra(*arguments: object, stdin: str = "", **variables: str) -> Done:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["netra", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return netra


def test_python_m_netra_is_the_same_as_netra() -> None:
    command = [sys.executable, "-m", "netra", "--version"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{__version__}\n"


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help").stdout
    assert all(name in shown for name in ("serve", "dev", "migrate", "user", "token", "doctor", "demo-data"))


def test_help_of_dev_names_what_it_starts_and_shows(run: Run) -> None:
    shown = run("dev", "--help").stdout
    options = ("--port", "--no-ui", "--postgres", "--nats", "--only", "--level", "--no-browser", "--no-reload")
    assert all(option in shown for option in (*options, "--no-cache", "--data-dir", "--database-url"))


def test_dev_refuses_what_cannot_work_before_it_starts_anything(run: Run, tmp_path: Path) -> None:
    refused = run("dev", "--only", "cook")
    assert (refused.returncode, "There is no process named 'cook'" in refused.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_migrate_says_what_it_did_and_does_it_once(run: Run, empty_database_url: str) -> None:
    assert "went from empty to revision" in run("migrate", "--database-url", empty_database_url).stdout
    assert "already" in run("migrate", "--database-url", empty_database_url).stdout


def test_a_user_is_added_listed_disabled_and_enabled(run: Run, database_url: str) -> None:
    variables = {"NETRA_DATABASE_URL": database_url}
    added = run("user", "add", "Ada@Example.com", "--name", "Ada [L]", "--admin", stdin=f"{PASSWORD}\n", **variables)
    assert added.returncode == 0, added.stderr
    assert "ada@example.com" in added.stdout
    (line,) = run("user", "list", **variables).stdout.splitlines()[1:]
    assert "ada@example.com" in line and "Ada [L]" in line and "admin, user" in line and "active" in line
    assert run("user", "disable", "ada@example.com", **variables).returncode == 0
    assert "disabled" in run("user", "list", **variables).stdout
    assert run("user", "enable", "ada@example.com", **variables).returncode == 0
    assert "disabled" not in run("user", "list", **variables).stdout


def test_the_same_email_cannot_be_added_twice(run: Run) -> None:
    run("user", "add", "ada@example.com", stdin=f"{PASSWORD}\n")
    again = run("user", "add", "ADA@example.com", stdin=f"{PASSWORD}\n")
    assert again.returncode == 1
    assert "has an account" in again.stderr
    assert "Traceback" not in again.stderr


def test_a_weak_or_missing_password_is_refused(run: Run) -> None:
    assert run("user", "add", "ada@example.com", stdin="short\n").returncode == 1
    missing = run("user", "add", "ada@example.com", stdin="")
    assert missing.returncode == 1
    assert "standard input" in missing.stderr


def test_a_password_change_ends_tokens(run: Run) -> None:
    run("user", "add", "ada@example.com", stdin=f"{PASSWORD}\n")
    run("token", "create", "ada@example.com")
    assert len(run("token", "list", "ada@example.com").stdout.splitlines()) == 2
    assert run("user", "password", "ada@example.com", stdin="another long password\n").returncode == 0
    assert len(run("token", "list", "ada@example.com").stdout.splitlines()) == 1


def test_a_token_is_alone_on_standard_output_and_shown_once(run: Run) -> None:
    run("user", "add", "ada@example.com", stdin=f"{PASSWORD}\n")
    made = run("token", "create", "ada@example.com", "--name", "ci", "--days", 3)
    secret = made.stdout.strip()
    assert secret.startswith("netra_pat_") and made.stdout == f"{secret}\n"
    listed = run("token", "list", "ada@example.com").stdout
    assert "ci" in listed and secret not in listed
    token_id = listed.splitlines()[1].split()[0]
    assert run("token", "revoke", "ada@example.com", token_id).returncode == 0
    assert run("token", "revoke", "ada@example.com", token_id).returncode == 1


def test_an_unknown_user_is_named_with_advice(run: Run) -> None:
    failed = run("token", "list", "nobody@example.com")
    assert failed.returncode == 1
    assert "netra user list" in failed.stderr


def test_demo_data_is_the_same_for_the_same_seed_and_never_overwrites(run: Run, tmp_path: Path) -> None:
    assert run("demo-data", "one.csv", "--rows", 200, "--seed", 7).returncode == 0
    assert run("demo-data", "two.csv", "--rows", 200, "--seed", 7).returncode == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert len((tmp_path / "one.csv").read_text().splitlines()) == 201
    again = run("demo-data", "one.csv")
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_doctor_finds_nothing_wrong_with_a_fresh_directory(run: Run, port: int) -> None:
    done = run("doctor", "--port", port)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Netra can run here." in done.stdout


def test_doctor_looks_into_the_database(run: Run, port: int, database_url: str) -> None:
    run("migrate", "--database-url", database_url)
    done = run("doctor", "--json", "--port", port, "--database-url", database_url)
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["database"]["level"] == findings["migrations"]["level"] == "ok"
    assert findings["users"]["level"] == "note"
    assert "netra user add" in findings["users"]["advice"]


@pytest.mark.parametrize(
    ("arguments", "subject", "advice"),
    [
        (["--data-dir", "/dev/null/netra"], "data directory", "--data-dir"),
        (["--database-url", "postgresql://127.0.0.1:1/none"], "database", "database_url"),
        (["--database-url", "mysql://somewhere/x"], "database", "postgresql://"),
        (["--agents", "no_such_module:agent"], "agents", "Correct the name"),
    ],
)
def test_doctor_says_what_to_do_about_each_failure(
    run: Run, port: int, arguments: list[str], subject: str, advice: str
) -> None:
    done = run("doctor", "--json", "--port", port, *arguments)
    assert done.returncode == 1
    failed = [finding for finding in json.loads(done.stdout)["findings"] if finding["level"] == "fail"]
    assert [finding["subject"] for finding in failed] == [subject]
    assert advice in failed[0]["advice"]


def test_doctor_says_when_the_port_is_taken_by_something_else(run: Run, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        done = run("doctor", "--port", port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stdout


def test_doctor_does_not_print_the_password_of_the_database(run: Run, port: int) -> None:
    done = run("doctor", "--port", port, "--database-url", "postgresql://me:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("command", [["alerts", "list"], ["report"]])
def test_reading_where_no_server_wrote_is_refused_and_makes_nothing(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    done = run(*command)
    assert done.returncode == 1
    assert "There is no database at" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "data").exists()
    assert run("migrate").returncode == 0
    assert run(*command).returncode == 0


def test_a_report_on_a_week_before_all_records_is_refused(run: Run) -> None:
    done = run("report", "--until", "0001-01-03")
    assert done.returncode == 1
    assert "There are no records of 0001-01-03" in done.stderr
