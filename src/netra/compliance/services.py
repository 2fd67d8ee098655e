"""Which directories of a code base are built and deployed by themselves, as far as their manifests say.

A monorepo keeps a `Dockerfile`, a `pyproject.toml` or a `setup.py` in the directory of each service. Names of
directories prove nothing: what lies in `services/` may be parts of one program. What one program imports is one
deployable all the same: see `deployables`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from .config import scope_by_name

_WEAK: Final = frozenset({"Pipfile", "requirements.txt"})
"""Plugins have them too: inside of a package they say nothing."""
_MOST: Final = 256 * 1024
"""Characters of a manifest that are read."""
MANIFESTS: Final = frozenset({"Containerfile", "Dockerfile", "pyproject.toml", "setup.py", *_WEAK})
_BUILDS: Final = {
    "pyproject.toml": r"(?m)^\s*\[\s*(?:project|build-system|tool\.poetry)\s*\]",
    "setup.py": r"(?m)^\s*(?:\w+\.)*setup\(",
}
"""What these have where they are not only the settings of tools, or a module of that name."""


def services(root: Path, python: Sequence[str], manifests: Iterable[str]) -> tuple[str, ...]:
    """The directories, sorted; none when there is only one, since then the rest of the code base is what it is.

    Args:
        python: the code base's files, sorted.
        manifests: paths of files with one of the names in `MANIFESTS`.
    """
    found: set[str] = set()
    for path in manifests:
        directory, _, name = path.rpartition("/")
        if not directory or directory in found or (name in _WEAK and _is_below_package(python, directory)):
            continue
        if _builds(root / path) and _has_product(python, directory):
            found.add(directory)
    # What holds others is where they are developed, or has parts that are deployed apart from it.
    inner = {each for each in found if not any(other.startswith(f"{each}/") for other in found)}
    return tuple(sorted(inner)) if len(inner) > 1 else ()


def _is_below_package(python: Sequence[str], directory: str) -> bool:
    init = f"{directory.rpartition('/')[0]}/__init__.py".removeprefix("/")
    at = bisect_left(python, init)
    return at < len(python) and python[at] == init


def _has_product(python: Sequence[str], directory: str) -> bool:
    """Whether there are files of the product below a directory, not only of tests and scripts."""
    for at in range(bisect_left(python, f"{directory}/"), len(python)):
        if not python[at].startswith(f"{directory}/"):
            return False
        if scope_by_name(python[at]) == "core":
            return True
    return False


def _builds(path: Path) -> bool:
    if (pattern := _BUILDS.get(path.name)) is None:
        return True
    try:
        if not path.is_file():
            return False  # a link to a device has no end
        with path.open(encoding="utf-8", errors="replace") as file:
            return bool(re.search(pattern, file.read(_MOST)))
    except OSError:
        return False
