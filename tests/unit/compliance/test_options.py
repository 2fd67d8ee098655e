"""`netra check` reads plain command lines as typer does, and leaves the others to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from netra.compliance.command import check
from netra.compliance.options import for_typer, read_plainly


def read_by_typer(words: list[str]) -> dict[str, Any]:
    app = typer.Typer(add_completion=False)
    app.command("check")(for_typer(check))
    context = get_command(app).make_context("check", list(words))
    return {name: value for name, value in context.params.items() if value not in (None, [], ())}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "src tests",
        "--select SSOT1,SSOT2 --select SSOT3 src",
        "--format json -o report.json .",
        "-f jsonl --max 3 --jobs 2 --min-score 99.5",
        "--format=sarif --output=out.sarif --jobs=0",
        "--extend-select SSOT9 --ignore SSOT701 --fail-on new --new-only --baseline b.txt",
        "--since main --statistics --explain-score --no-cache --history h.jsonl",
        "--continuous --interval 0.5",
        "--fix --unsafe --diff",
    ],
)
def test_a_plain_command_line_means_what_typer_makes_of_it(line: str) -> None:
    plain = read_plainly(check, line.split())
    assert plain is not None
    by_typer = read_by_typer(line.split())
    assert {name: by_typer[name] for name in plain} == plain
    defaults = read_by_typer([])
    assert {name: value for name, value in by_typer.items() if defaults.get(name) != value}.keys() <= plain.keys()


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "--formt json",
        "--jobs",
        "--jobs many",
        "--jobs -1",
        "--interval nan",
        "--min-score x",
        "--new-only=yes",
        "-fjson",
        "-f=json",
        "-- --strange-name",
        "--output --max",
    ],
)
def test_what_is_not_plain_is_left_to_typer(line: str) -> None:
    assert read_plainly(check, line.split()) is None


def loaded_by_a_check(root: Path) -> set[str]:
    code = (
        "import sys; sys.argv = ['netra', 'check', sys.argv[1]]\n"
        "from netra.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True, timeout=60
    )
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stdout + done.stderr
    return set(modules)


def test_a_plain_check_loads_nothing_of_the_server_and_when_nothing_changed_nothing_that_judges(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    os.utime(tmp_path / "a.py", (1, 1))
    first, second = loaded_by_a_check(tmp_path), loaded_by_a_check(tmp_path)
    assert not {"typer", "pydantic", "netra.errors", "netra.cli"} & first
    judging = {"check", "project", "extract", "source", "cache", "store", "rules.twin_classes", "twins"}
    judging = {f"netra.compliance.{each}" for each in judging}
    assert judging <= first
    # The hash is taken again of a file that changed a moment ago.
    assert not {"json", "ast_serialize", "concurrent.futures", *judging - {"netra.compliance.source"}} & second
