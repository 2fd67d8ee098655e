"""Which files belong to a code base: Python files below the given paths, without environments, caches and build output.

In a git work tree git says what belongs (tracked files, and untracked ones that are not ignored); elsewhere directories
are walked. Directories behind symbolic links are not entered, so that no loop is possible.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

from .git import command
from .services import MANIFESTS, services

NEVER = frozenset(
    {
        ".eggs", ".git", ".hg", ".hypothesis", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache", ".pytype",
        ".ruff_cache", ".ssot_cache", ".svn", ".tox", ".venv", "__pycache__", "__pypackages__", "node_modules",
        "site-packages",
    }
)  # fmt: skip
"""Directories that never hold the code base's own source."""
_BUILT = frozenset({"build", "dist", "venv", "env"})
"""Directories that hold none when they look like what their name says."""
_COMPILED = (".pyx", ".pyi", ".so", ".pyd", ".pxd", ".c", ".cc", ".cpp", ".rs", ".in", ".tmpl", ".proto", ".ipynb")
_WANTED = (".py", *_COMPILED)
_ENDS = tuple(MANIFESTS)
_LISTED = (*_WANTED, *_ENDS)
GIT_SECONDS = 60


class Tree(Struct, frozen=True):
    """The files of a code base, relative to its root, with `/` between the parts, sorted.

    Args:
        root: where the configuration is looked for and paths in messages begin.
        python: source files.
        others: what may be imported without being Python source: extension modules, stubs, templates of modules.
        unreadable: directories and files that could not be looked at, with the reason.
        services: directories that are built and deployed by themselves, as far as their manifests say.
    """

    root: Path
    python: tuple[str, ...]
    others: frozenset[str]
    unreadable: tuple[tuple[str, str], ...]
    services: tuple[str, ...] = ()


def find_root(start: Path) -> Path:
    """The nearest directory, from `start` upwards, that has a `pyproject.toml`, `setup.py` or `.git`; else `start`."""
    start = start if start.is_dir() else start.parent
    for directory in (start, *start.parents):
        if any(_exists(directory / name) for name in ("pyproject.toml", "setup.py", "setup.cfg", ".git")):
            return directory
    return start


def find(root: Path, paths: Sequence[Path] = (), *, exclude: Iterable[str] = ()) -> Tree:
    """The files below `paths` (default: the root).

    Args:
        exclude: patterns of paths relative to the root, as of a shell; one without `/` stands for a part of any path.

    Raises:
        FileNotFoundError: one of `paths` does not exist.
    """
    root = root.resolve()
    wanted = [(root / path).resolve() for path in paths] or [root]
    while _exists(root / "__init__.py") and root != root.parent:
        root = root.parent  # inside a package, no module would have its name
    for path in wanted:
        if not _exists(path):
            raise FileNotFoundError(path)
    unreadable: list[tuple[str, str]] = []
    excluded = _matcher(tuple(exclude))
    python: dict[str, None] = {}
    others: set[str] = set()
    manifests: set[str] = set()
    for path in wanted:
        for name in _below(root, path, unreadable):
            if excluded(name):
                continue
            if name.endswith(".py"):
                python[name] = None
            elif name.endswith(_COMPILED):
                others.add(name)
            if name.endswith(_ENDS) and name.rpartition("/")[2] in MANIFESTS:
                manifests.add(name)
    files = tuple(sorted(python))
    return Tree(root, files, frozenset(others), tuple(unreadable), services(root, files, manifests))


def _below(root: Path, path: Path, unreadable: list[tuple[str, str]]) -> Iterator[str]:
    if path.is_file():
        yield os.path.relpath(path, root).replace(os.sep, "/")
        return
    listed = _git(root, path, unreadable)
    if listed is None:
        yield from _walk(root, path, unreadable)
        return
    above = _prefix(path, root)
    for name in listed:
        if not name.endswith(_LISTED) or not NEVER.isdisjoint(name.split("/")[:-1]):
            continue
        full = above + name
        if name.endswith(".py"):
            entry = f"{root}/{full}"
            try:
                mode = os.lstat(entry).st_mode
                if stat.S_ISLNK(mode):
                    mode = os.stat(entry).st_mode  # noqa: PTH116 - there may be hundreds of thousands
                    if _is_inside(entry, root):
                        continue
            except PermissionError as error:
                unreadable.append((full, error.strerror or str(error)))
                continue
            except (OSError, ValueError):
                continue  # deleted, and git has not been told
            if not stat.S_ISREG(mode):
                continue
        yield full


def _git(root: Path, directory: Path, unreadable: list[tuple[str, str]]) -> list[str] | None:
    listing = command(directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    try:
        answer = subprocess.run(
            listing, capture_output=True, check=False, timeout=GIT_SECONDS, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.SubprocessError):
        return None
    if answer.returncode != 0:
        return None
    for name, why in re.findall(_CLOSED, os.fsdecode(answer.stderr)):
        unreadable.append((os.path.relpath(directory / name, root).replace(os.sep, "/"), why))
    listed = [os.fsdecode(name) for name in answer.stdout.split(b"\0") if name]
    return listed or None


_CLOSED = r"could not open directory '(.*?)/?': (.*)"
"""What git says of a directory that it may not enter."""


def _walk(root: Path, path: Path, unreadable: list[tuple[str, str]]) -> Iterator[str]:
    """Depth first: the files of a directory, then the directories in it."""
    rest = [(os.fspath(path), _prefix(path, root))]
    top = rest[0][0]
    while rest:
        directory, prefix = rest.pop()
        inner: list[str] = []
        try:
            with os.scandir(directory) as listing:
                entries = list(listing)
        except OSError as error:
            unreadable.append((prefix.rstrip("/") or ".", error.strerror or str(error)))
            continue
        if directory != top and any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(name)
                elif name.endswith(_WANTED) or name in MANIFESTS:
                    if entry.is_symlink() and (_is_inside(entry.path, root) or entry.is_dir()):
                        continue
                    if entry.is_file():
                        yield prefix + name
                    elif name.endswith(".py"):
                        unreadable.append((prefix + name, "not a regular file"))
            except OSError as error:
                unreadable.append((prefix + name, error.strerror or str(error)))
        inner.sort(reverse=True)
        rest.extend((f"{directory}/{each}", f"{prefix}{each}/") for each in inner if not _skipped(directory, each))


def _prefix(directory: Path, root: Path) -> str:
    """What leads from the root to a directory's files."""
    relative = os.path.relpath(directory, root).replace(os.sep, "/")
    return "" if relative == "." else f"{relative}/"


def _skipped(directory: str, name: str) -> bool:
    """Whether a directory holds none of the code base's own source, by its name."""
    if name in NEVER or name.endswith((".egg-info", ".dist-info")):
        return True
    return name in _BUILT and not _exists(f"{directory}/{name}/__init__.py")


def _exists(path: str | Path) -> bool:
    """Whether there is something; what may not be looked at is not there."""
    return os.path.exists(path)  # noqa: PTH110 - that of pathlib raises where it may not look


def _is_inside(link: str, root: Path) -> bool:
    """A link to a file of the tree is the same file twice; one that leads nowhere is none."""
    try:
        return Path(link).resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):
        return True


def _matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    whole = [each.rstrip("/") for each in patterns if "/" in each.rstrip("/")]
    parts = [each.rstrip("/") for each in patterns if "/" not in each.rstrip("/")]

    def excluded(name: str) -> bool:
        if any(fnmatchcase(name, each) or fnmatchcase(name, f"{each}/*") for each in whole):
            return True
        return any(fnmatchcase(part, each) for part in name.split("/") for each in parts)

    return excluded if patterns else lambda name: False
