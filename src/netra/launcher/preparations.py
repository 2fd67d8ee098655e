"""What has to be there before children are started: dependencies, a migrated database, the page or its packages.

Each preparation has a key, a digest over everything it depends on. One that is known to hold for its key is skipped.
Each can be done again at any time: doing what is done already changes nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from netra.errors import ConfigurationError

from .cache import ContentCache, digest
from .locks import NamedLocks
from .processes import Command, ProcessManager, RunningProcess

_NOT_INPUTS = {"node_modules", "dist", "test", "test-results"}
_STEP_SECONDS = 0.05
_LOCK_SECONDS = 60.0
_OUTPUT_SECONDS = 2.0


class Interrupted(Exception):
    """Somebody wants to stop while something is being prepared."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Something to be done unless it is known to be done.

    Args:
        name: under which its result is remembered.
        text: what is done, for people.
        key: digest over everything it depends on, now.
        run: does it; raises a NetraError when it cannot be done.
        proved_by: the child whose readiness proves that it is done.
        lock: what no two launchers may do at once.
    """

    name: str
    text: str
    key: Callable[[], str]
    run: Callable[[], None]
    proved_by: str | None = None
    lock: str | None = None


class Preparer:
    """Does preparations that are not known to be done.

    Args:
        cache: what is known.
        locks: shared with other launchers.
        say: tells people what is done.
    """

    def __init__(self, cache: ContentCache, locks: NamedLocks, say: Callable[[str], None]) -> None:
        self._cache = cache
        self._locks = locks
        self._say = say

    def prepare(self, preparation: Preparation) -> bool:
        """Do it if need be. Whether something was done."""
        if self._cache.holds(preparation.name, preparation.key()):
            return False
        began = time.monotonic()
        if preparation.lock is None:
            preparation.run()
        else:
            with self._locks.take(
                preparation.lock, purpose=preparation.text, place=str(Path.cwd()), wait=_LOCK_SECONDS
            ):
                preparation.run()
        seconds = time.monotonic() - began
        self._cache.remember(preparation.name, preparation.key(), seconds=seconds)
        self._say(f"{preparation.text}: {seconds:.1f} s")
        return True


class Steps:
    """Runs the programs that preparations need, until they end or somebody wants to stop."""

    def __init__(self, manager: ProcessManager, stopping: threading.Event) -> None:
        self._manager = manager
        self._stopping = stopping

    def run(self, command: Command, *, hint: str) -> str:
        """Run a program; returns what it printed.

        Args:
            hint: what to do when it fails.

        Raises:
            ConfigurationError: it failed; with its last lines.
            Interrupted: somebody wants to stop; the program was ended.
        """
        try:
            process = self._manager.start(command)
        except OSError as error:
            raise ConfigurationError(
                f"{command.name}: {command.arguments[0]} cannot be started: {error}", hint=hint
            ) from error
        printed: list[bytes] = []
        output = process.popen.stdout
        assert output is not None
        reader = threading.Thread(target=lambda: printed.append(output.read()), daemon=True)
        reader.start()
        try:
            code = self._wait(process)
        finally:
            self._manager.bury(process)
            reader.join(_OUTPUT_SECONDS)
            if not reader.is_alive():
                output.close()
        text = b"".join(printed).decode(errors="replace")
        if code:
            last = "\n".join(f"  {line}" for line in text.strip().splitlines()[-15:])
            raise ConfigurationError(f"{command.name} failed with exit code {code}:\n{last}", hint=hint)
        return text

    def _wait(self, process: RunningProcess) -> int:
        while True:
            try:
                return process.popen.wait(_STEP_SECONDS)
            except subprocess.TimeoutExpired:
                if self._stopping.is_set():
                    self._manager.stop(process, 1)
                    raise Interrupted("Stopped while preparing.") from None


def dependencies(checkout: Path) -> Preparation:
    """Everything that the checkout declares is installed in this Python."""
    files = (checkout / "pyproject.toml", checkout / "constraints.txt")

    def installed() -> tuple[str, ...]:
        return tuple(sorted(str(Path(place).stat().st_mtime_ns) for place in _package_folders()))

    def check() -> None:
        declared = tomllib.loads(files[0].read_text(encoding="utf-8"))["project"]["dependencies"]
        missing = [name for name in map(_distribution, declared) if not _is_installed(name)]
        if missing:
            raise ConfigurationError(
                f"Not installed: {', '.join(missing)}.",
                hint=f"In {checkout}: {sys.executable} -m pip install -c constraints.txt -e .",
            )

    return Preparation("dependencies", "Check dependencies", lambda: digest(files, sys.version, installed()), check)


def migrations(database: str, environment: dict[str, str], directory: Path, steps: Steps) -> Preparation:
    """The database has the schema of this version.

    Args:
        database: its URL.
        environment: variables that tell `netra migrate` of it.
        directory: where the server runs.
    """
    versions = Path(__file__).parents[1] / "storage" / "migrations"
    command = Command(
        name="netra migrate",
        arguments=(sys.executable, "-m", "netra", "migrate"),
        directory=directory,
        environment=environment,
    )

    def key() -> str:
        return digest(versions.rglob("*.py"), database, _identity(database))

    def run() -> None:
        steps.run(command, hint="`netra doctor` checks the database.")

    return Preparation("migrations", "Migrate the database", key, run, proved_by="server", lock=f"migrate {database}")


def page_packages(ui: Path, npm: tuple[str, ...], steps: Steps) -> Preparation:
    """The packages of the page's development server are installed.

    Args:
        npm: how npm is called.
    """
    files = (ui / "package.json", ui / "package-lock.json")
    command = Command(
        name="npm ci",
        arguments=(*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
        directory=ui,
        environment={"npm_config_update_notifier": "false"},
    )
    done = ui / "node_modules" / ".package-lock.json"

    def run() -> None:
        if _has_packages(files[1], done):
            return
        if done.parent.is_symlink():  # npm would empty what it leads to, which somebody else may be using
            raise ConfigurationError(
                f"{done.parent} is a link to packages of other versions.",
                hint=f"Run npm ci in {done.parent.resolve()}.",
            )
        steps.run(command, hint="Check the network, set npm_config_registry, or leave the page out with --no-ui.")

    def key() -> str:
        return digest((*files, done))

    return Preparation("page packages", "Install the page's packages", key, run, lock=f"packages {ui}")


def _has_packages(wanted: Path, installed: Path) -> bool:
    """Whether what npm has installed, as it says itself, are the versions that are wanted, and the files are there."""
    try:
        there = json.loads(installed.read_bytes())["packages"]
        packages = json.loads(wanted.read_bytes())["packages"]
    except (OSError, ValueError, KeyError):
        return False
    return all(
        (place in there and there[place].get("version") == package.get("version") and (wanted.parent / place).is_dir())
        or (place not in there and package.get("optional", False))  # for other machines
        for place, package in packages.items()
        if place
    )


def can_build_page() -> bool:
    """Whether what builds the page at installation is installed itself; without it, the page stays as it is."""
    return find_spec("hatchling") is not None


def built_page(checkout: Path, steps: Steps) -> Preparation:
    """The page that the server serves is built from what is in `ui/`."""
    stamp = checkout / "src" / "netra" / "_ui" / ".stamp"
    command = Command(
        name="build the page", arguments=(sys.executable, "hatch_build.py"), directory=checkout, environment={}
    )

    def key() -> str:
        return digest([*_inputs(checkout / "ui"), checkout / "hatch_build.py", stamp])

    def run() -> None:
        steps.run(command, hint=f"In {checkout}: {sys.executable} -m pip install -c constraints.txt -e '.[test]'")

    return Preparation("built page", "Build the page", key, run, lock=f"page {checkout}")


def _inputs(ui: Path) -> Iterable[Path]:
    for entry in sorted(ui.iterdir()):
        if entry.name in _NOT_INPUTS:
            continue
        yield from (path for path in ([entry] if entry.is_file() else entry.rglob("*")) if path.is_file())


def _identity(database: str) -> tuple[int, int] | None:
    """Which file a SQLite database is, so that a new one under the old name is migrated."""
    if not database.startswith("sqlite"):
        return None
    try:
        found = Path(database.partition("///")[2]).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _package_folders() -> set[str]:
    return {entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages")) and Path(entry).is_dir()}


def _distribution(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return found.group()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
