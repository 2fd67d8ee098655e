"""What is prepared, and how little of it is done when it is done already."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from netra.errors import ConfigurationError
from netra.launcher import ProcessManager
from netra.launcher.preparations import Interrupted, Preparation, Steps, dependencies, page_packages
from netra.launcher.processes import Command, marked

WANTED = {
    "": {"name": "netra-ui"},
    "node_modules/vite": {"version": "8.3.8"},
    "node_modules/for-others": {"version": "1.0.0", "optional": True},
}


@pytest.fixture
def manager(tmp_path: Path) -> ProcessManager:
    return ProcessManager(f"test-{tmp_path.name}")


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    """An npm that says that it was called, and fails."""
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho called with $*; exit 3\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def ui(tmp_path: Path) -> Path:
    """A page whose packages are installed."""
    ui = tmp_path / "ui"
    (ui / "node_modules" / "vite").mkdir(parents=True)
    (ui / "package.json").write_text("{}")
    write(ui / "package-lock.json", WANTED)
    write(ui / "node_modules" / ".package-lock.json", {"node_modules/vite": {"version": "8.3.8"}})
    return ui


def write(path: Path, packages: dict[str, Any]) -> None:
    path.write_text(json.dumps({"packages": packages}))


def packages(ui: Path, npm: Path, manager: ProcessManager) -> Preparation:
    return page_packages(ui, (str(npm),), Steps(manager, threading.Event()))


@pytest.mark.spec("launcher.cache")
def test_packages_that_are_there_are_not_installed_again(ui: Path, npm: Path, manager: ProcessManager) -> None:
    packages(ui, npm, manager).run()


@pytest.mark.parametrize("lacking", ["version", "files", "record"])
def test_packages_that_are_not_there_are_installed(lacking: str, ui: Path, npm: Path, manager: ProcessManager) -> None:
    record = ui / "node_modules" / ".package-lock.json"
    if lacking == "version":
        write(record, {"node_modules/vite": {"version": "8.3.7"}})
    elif lacking == "files":
        (ui / "node_modules" / "vite").rmdir()
    else:
        record.unlink()
    says = r"npm ci failed with exit code 3:\n  called with ci --ignore-scripts"
    with pytest.raises(ConfigurationError, match=says) as failed:
        packages(ui, npm, manager).run()
    assert "--no-ui" in str(failed.value.hint)


def test_packages_of_somebody_else_are_left_alone(ui: Path, npm: Path, manager: ProcessManager, tmp_path: Path) -> None:
    (ui / "node_modules").rename(tmp_path / "theirs")
    (ui / "node_modules").symlink_to(tmp_path / "theirs")
    packages(ui, npm, manager).run()
    (tmp_path / "theirs" / ".package-lock.json").unlink()
    with pytest.raises(ConfigurationError, match="is a link to packages of other versions"):
        packages(ui, npm, manager).run()


def test_a_program_is_ended_when_somebody_wants_to_stop(manager: ProcessManager, tmp_path: Path) -> None:
    stopping = threading.Event()
    stopping.set()
    command = Command(name="long", arguments=(sys.executable, "-c", "import time; time.sleep(600)"), directory=tmp_path)
    with pytest.raises(Interrupted):
        Steps(manager, stopping).run(command, hint="")
    assert marked(f"{manager.launcher_id}:") == []


def test_a_program_that_is_not_there_is_named(manager: ProcessManager, tmp_path: Path) -> None:
    command = Command(name="npm ci", arguments=("/nowhere/npm", "ci"), directory=tmp_path)
    with pytest.raises(ConfigurationError, match="npm ci: /nowhere/npm cannot be started"):
        Steps(manager, threading.Event()).run(command, hint="Install it.")


@pytest.mark.spec("launcher.cache")
def test_a_dependency_that_is_missing_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["psutil>=7,<8", "rich"]\n')
    preparation = dependencies(tmp_path)
    preparation.run()
    before = preparation.key()
    project.write_text('[project]\ndependencies = ["psutil>=7,<8", "nothing-of-this-name[extra]>=1"]\n')
    assert preparation.key() != before
    with pytest.raises(ConfigurationError, match=r"Not installed: nothing-of-this-name\.") as refused:
        preparation.run()
    assert f"{sys.executable} -m pip install -c constraints.txt -e ." in str(refused.value.hint)
