"""Files among tests that tests read, copy or run, and do not import: what a linter or an importer is tried on.

They are as broken as their test needs them, and what they ask for may be put beside them first. No name says so of all
of them; that no test runner collects them and nothing that runs imports them does.
"""

from __future__ import annotations

import re

from .config import TESTS
from .graph import graph
from .project import File, Project

_COLLECTED = re.compile(r"^(?:conftest|__main__|_*test.*|.*tests?|run_?tests|setup|noxfile)\.py$")
"""Names of files that are run as they are."""


def inputs_of_tests(project: Project) -> frozenset[str]:
    """Their paths. Files that lie in the tests' directory itself are not among them."""
    return project.once(_find)


def _find(project: Project) -> frozenset[str]:
    links = graph(project)
    doubtful = {file.path for file in project.files if file.scope == "tests" and _is_below_tests(file)}
    waiting = [file for file in project.files if file.path not in doubtful]
    while waiting:
        for link in links.of(waiting.pop()):
            if link.imported is not None:
                for path in (link.imported.path, *_packages(link.imported)):
                    if path in doubtful:
                        doubtful.discard(path)
                        waiting.append(project.by_path[path])
    return frozenset(doubtful)


def _is_below_tests(file: File) -> bool:
    *directories, name = file.path.lower().split("/")
    above = next((at for at, each in enumerate(directories) if each in TESTS), len(directories))
    return above + 1 < len(directories) and not _COLLECTED.match(name)


def _packages(file: File) -> list[str]:
    """The packages that are imported before a module is."""
    parts = file.directory.split("/")
    return [f"{'/'.join(parts[: length + 1])}/__init__.py" for length in range(len(parts))]
