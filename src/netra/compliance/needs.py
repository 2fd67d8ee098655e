"""What files need when they are imported, so that no fix closes a circle of imports."""

from __future__ import annotations

from .facts import MODULE, How
from .project import File, Project
from .rule import Fix


class Needs:
    """What files import at import time, looked up once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._links: dict[File, set[File]] = {}
        self._reached: dict[File, set[File]] = {}

    def circle(self, fix: Fix) -> str:
        """Why a fix would close a circle: it makes a file import another that needs it, and that it did not need."""
        for importer, imported in fix.imports:
            goal, start = self._project.by_path.get(importer), self._project.by_path.get(imported)
            if goal is None or start is None:
                continue
            if goal in self._reach(start) and start not in self._reach(goal):
                return f"{start.module} imports {goal.module}: it would close a circle"
        return ""

    def _reach(self, start: File) -> set[File]:
        """The files that are imported when a file is; itself only when it is in a circle."""
        known = self._reached.get(start)
        if known is None:
            known = self._reached[start] = set()
            left = [start]
            while left:
                more = self._direct(left.pop()) - known
                known |= more
                left += more
        return known

    def _direct(self, file: File) -> set[File]:
        found = self._links.get(file)
        if found is None:
            found = self._links[file] = set()
            for row in file.facts.imports:
                if row.function != MODULE or row.how & How.TYPE_CHECKING:
                    continue
                symbols = [self._project.module(file, row.module, row.level)]
                if row.name not in ("", "*"):
                    symbols.append(self._project.imported(file, row).symbol)
                found |= {each.file for each in symbols if each.kind == "module" and each.file is not None}
        return found
