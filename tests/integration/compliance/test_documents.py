"""What is written about the checker is true: the guide, the list of rules, the pre-commit hook, the GitHub Action."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from msgspec.structs import fields
from typer.main import get_command

from netra.compliance import explain
from netra.compliance.command import check
from netra.compliance.config import Config, parse
from netra.compliance.options import for_typer
from netra.compliance.report import FORMATS
from netra.compliance.rule import table
from support.checking import TWINS, netra
from support.code_base import write

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "guides" / "checking.md").read_text("utf-8")
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def options() -> set[str]:
    """Every option of `netra check`."""
    app = typer.Typer(add_completion=False)
    app.command()(for_typer(check))
    return {name for each in get_command(app).params for name in each.opts if name.startswith("--")} - {"--help"}


def test_the_guide_lists_every_key_of_the_configuration_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.split("## Configuration")[1], re.MULTILINE)
    assert sorted(listed) == sorted(each.name.replace("_", "-") for each in fields(Config))


def test_the_guide_names_every_option_and_format_and_no_other() -> None:
    named = set(re.findall(r"(?<!-)--[a-z][a-z-]+", GUIDE))
    others = {"--write", "--json-output", "--threshold", "--fail-on-violation"}
    assert named - others == options()
    formats = GUIDE.split("## In CI")[1].split("`--output FILE`")[0]
    assert set(re.findall(r"`([a-z]+)`", formats)) == set(FORMATS)


def test_the_configuration_of_the_guide_is_accepted() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    assert parse(tomllib.loads(text)["tool"]["ssot"]).min_score == 98.5


def test_the_finding_that_the_guide_shows_is_what_is_printed(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    (shown,) = re.findall(r"```\n(shop/payments\.py:1: .*?)```", GUIDE, re.DOTALL)
    assert netra("check", cwd=tmp_path).stdout.startswith(shown)


def test_the_list_of_rules_links_every_rule() -> None:
    page = (ROOT / "docs" / "rules" / "README.md").read_text("utf-8")
    assert page.endswith(explain.reference()), "run: python scripts/gen_reference.py"
    assert re.findall(r"^\| \[(SSOT\d+)\]\(\1\.md\)", page, re.MULTILINE) == list(table())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_the_check_over_the_whole_code_base(tmp_path: Path, hook: dict[str, Any]) -> None:
    write(tmp_path, TWINS)
    subprocess.run("git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm a", shell=True,
                   cwd=tmp_path, check=True)  # fmt: skip
    assert (hook["language"], hook["pass_filenames"]) == ("python", False)
    program, *arguments = shlex.split(hook["entry"])
    assert program == "netra"
    before = netra(*arguments, cwd=tmp_path).returncode
    assert before == (0 if "--since" in arguments else 1)
    write(tmp_path, {"shop/new.py": "from shop.report import nothing\n"})
    assert netra(*arguments, cwd=tmp_path).returncode == 1


def run_action(root: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """The action's check, as a runner starts it: its script, with its inputs in the environment it names."""
    (step,) = [each for each in ACTION["runs"]["steps"] if each.get("id") == "check"]
    programs = root.parent / "temp" / "netra-check" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "netra").unlink(missing_ok=True)
    (programs / "netra").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netra "$@"\n')
    (programs / "netra").chmod(0o755)
    given = {name: inputs.get(name.replace("-", "_"), str(each["default"])) for name, each in ACTION["inputs"].items()}
    environment = dict(os.environ)
    for name, value in step["env"].items():
        (key,) = re.findall(r"\$\{\{ inputs\.([a-z-]+) \}\}", value)
        environment[name] = given[key]
    output = root.parent / "output"
    output.write_text("")
    environment |= {"RUNNER_TEMP": str(root.parent / "temp"), "GITHUB_OUTPUT": str(output)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done, output.read_text()


def test_the_action_puts_notes_on_lines_and_fails(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, TWINS)
    done, output = run_action(root)
    assert done.returncode == 1, done.stderr
    assert "::error file=shop/report.py,line=8," in done.stdout
    assert output == ""


def test_the_action_writes_sarif_and_says_where(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, TWINS)
    done, output = run_action(root, format="sarif", fail_on="never", arguments="--select SSOT3", paths="shop")
    assert done.returncode == 0, done.stderr
    assert output == "report=netra-check.sarif\n"
    (run,) = json.loads((root / "netra-check.sarif").read_text())["runs"]
    assert {each["ruleId"] for each in run["results"]} == {"SSOT303"}


def test_an_input_of_the_action_is_no_command(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, TWINS)
    done, _ = run_action(root, min_score="$(touch owned)", paths="; touch owned")
    assert done.returncode == 2
    assert not (root / "owned").exists()


def test_the_action_installs_this_project_and_nothing_else() -> None:
    (install,) = [each for each in ACTION["runs"]["steps"] if each["name"] == "Install"]
    assert ACTION["runs"]["using"] == "composite"
    assert install["run"].splitlines()[-1].endswith('pip install --quiet --disable-pip-version-check "$SOURCE"')
    assert "${{" not in "".join(each["run"] for each in ACTION["runs"]["steps"])
