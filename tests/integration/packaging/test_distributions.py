"""What people install: built from a clone on a machine without Node, and complete."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [
    pytest.mark.timeout(600),  # the first build fetches Node and the page's packages
    pytest.mark.xdist_group("distributions"),  # so that they are built once
]


def run(*command: str | Path, cwd: Path, path: str | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NETRA_", "COVERAGE_"))}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this tree that are, or would be, under version control."""
    target = tmp_path_factory.mktemp("clone")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def no_node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with the few programs a build may need, and no Node."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("sh", "bash", "env", "git"):
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    assert shutil.which("node", path=str(folder)) is None
    return str(folder)


@pytest.fixture(scope="module")
def wheel(clone: Path, no_node: str) -> Path:
    out = clone / "dist"
    log = run(sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "-w", out, ".", cwd=clone, path=no_node)
    assert "bundle the page" in log
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def sdist(clone: Path, wheel: Path) -> Path:
    assert wheel.exists()
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", clone / "dist", cwd=clone)
    (built,) = (clone / "dist").glob("*.tar.gz")
    return built


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_a_wheel_built_without_node_carries_the_page_and_the_migrations(wheel: Path) -> None:
    found = names(wheel)
    assert "netra/_ui/index.html" in found
    assert any(name.startswith("netra/_ui/assets/") and name.endswith(".js.gz") for name in found)
    assert any(name.startswith("netra/storage/migrations/versions/0001") for name in found)
    assert "netra/py.typed" in found
    assert "netra/compliance/pages/SSOT101.md" in found
    assert "netra/_compliance.json" in found  # what the dashboard shows
    assert not [name for name in found if "node_modules" in name or name.startswith("tests")]


def test_the_page_in_the_wheel_names_only_files_that_are_there(wheel: Path) -> None:
    found = names(wheel)
    with zipfile.ZipFile(wheel) as archive:
        page = archive.read("netra/_ui/index.html").decode()
    linked = [part.split('"')[0] for key in ('src="/', 'href="/') for part in page.split(key)[1:]]
    assert linked
    assert [name for name in linked if f"netra/_ui/{name}" not in found] == []


def test_an_sdist_installs_without_building_the_page_again(sdist: Path, tmp_path: Path, no_node: str) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.glob("netra-*")
    command = (sys.executable, "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation", "-w", tmp_path, ".")
    log = run(*command, cwd=tree, path=no_node)
    assert "bundle the page" not in log
    (built,) = tmp_path.glob("*.whl")
    assert "netra/_ui/index.html" in names(built)


@pytest.mark.spec("compat.separate")
def test_the_sdist_carries_the_old_import_paths_and_the_wheel_does_not(sdist: Path, wheel: Path) -> None:
    with tarfile.open(sdist) as archive:
        carried = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"compat/pyproject.toml", "compat/LICENSE", "compat/src/netra_compat/table.py"} <= carried
    assert {name.split("/")[0] for name in names(wheel)} == {"netra", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}


@pytest.mark.spec("compat.separate")
def test_the_old_import_paths_are_a_distribution_of_their_own(clone: Path, tmp_path: Path) -> None:
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, "./compat", cwd=clone
    )
    (built,) = tmp_path.glob("*.whl")
    packages = {name.split("/")[0] for name in names(built) if name.endswith(".py")}
    assert packages == {"dev_launcher", "netra_compat", "netra_backend", "shared"}
    assert "netra_compat-0.1.0.dist-info/licenses/LICENSE" in names(built)
    assert (clone / "compat" / "LICENSE").read_text() == (clone / "LICENSE").read_text()


def test_a_tree_with_neither_page_nor_its_sources_is_refused(clone: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(clone, tree, ignore=shutil.ignore_patterns("ui", "_ui", "dist", "tests"))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(build, cwd=tree, text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert "NETRA_UI_BUILD=0" in done.stdout + done.stderr


def test_every_constraint_is_a_name_and_an_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(lines) > 50
    assert [line for line in lines if line.startswith("netra")] == []
    assert [line for line in lines if line.count("==") != 1 or any(sign in line for sign in " @/:;")] == []
