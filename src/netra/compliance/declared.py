"""What the files at a code base's root say: which other distributions it needs, and which modules a build makes.

Nothing is imported and nothing is asked of the environment, so that an answer is the same everywhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SCRIPTS = ("setup.py", "build.py", "pyproject.toml")
_QUOTED = re.compile(r"""["']([\w./]+(?:\.?\*)?)["']""")
_SUFFIX = re.compile(r"\.(?:pyx?|c|so|pyd)$")
_MODULES = {
    "attrs": "attr", "beautifulsoup4": "bs4", "opencv_python": "cv2", "pillow": "PIL", "pyjwt": "jwt",
    "python_dateutil": "dateutil", "python_dotenv": "dotenv", "pyyaml": "yaml", "scikit_learn": "sklearn",
    "setuptools": "setuptools", "pyzmq": "zmq", "protobuf": "google", "gitpython": "git", "mysqlclient": "MySQLdb",
}  # fmt: skip
"""Modules of well-known distributions that are not called like them."""


def declared(root: Path) -> frozenset[str]:
    """Top-level modules of the distributions that a code base depends on, as far as their names tell."""
    found: set[str] = set()
    own = ""
    try:
        document = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        document = {}
    project = _table(document, "project")
    own = _normal(str(project.get("name", "")))
    for requirement in _requirements(document):
        found.update(_distribution(requirement))
    poetry = _table(document, "tool", "poetry")
    groups = [each for each in _table(poetry, "group").values() if isinstance(each, dict)]
    for table in (_table(poetry, "dependencies"), *(_table(each, "dependencies") for each in groups)):
        # A dependency by path is the code base's own.
        found.update(_normal(name) for name, each in table.items() if not (isinstance(each, dict) and "path" in each))
    for path in sorted(root.glob("requirements*.txt")):
        try:
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            found.update(_distribution(line))
    found -= {own, "python"}
    found -= {_normal(name) for name in _table(document, "tool", "uv", "sources")}
    return frozenset(_MODULES.get(name, name) for name in found)


def built(root: Path) -> frozenset[str]:
    """Modules that the scripts which build or pack a code base speak of: dotted names, and names of files with a dot
    before them (`.ticks` for `ticks.py`)."""
    found: set[str] = set()
    for name in _SCRIPTS:
        try:
            text = (root / name).read_text("utf-8", "replace")
        except OSError:
            continue
        for quoted in _QUOTED.findall(text):
            stem, is_file = _SUFFIX.subn("", quoted.replace("/", "."))
            if is_file:
                found.add(f".{stem.rpartition('.')[2]}")
            elif "." in (dotted := stem.rstrip(".*")):
                found.add(dotted)
    return frozenset(found)


def _requirements(document: dict[str, Any]) -> Iterator[str]:
    project = _table(document, "project")
    lists: Iterable[Any] = (
        project.get("dependencies"),
        *_table(project, "optional-dependencies").values(),
        *_table(document, "dependency-groups").values(),
    )
    for each in lists:
        if isinstance(each, list):
            yield from (requirement for requirement in each if isinstance(requirement, str))


def _distribution(requirement: str) -> list[str]:
    """The normal name in one requirement; none for options, comments, paths and addresses."""
    text = requirement.partition("#")[0].strip()
    match = _NAME.match(text)
    if not match or "://" in text or "file:" in text or "/" in text.partition(";")[0]:
        return []
    return [_normal(match[1])]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _table(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        inner = document.get(key)
        if not isinstance(inner, dict):
            return {}
        document = inner
    return document
