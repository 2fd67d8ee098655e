"""What is deployed together: second definitions and copies matter within one deployable, and are a note across them."""

from __future__ import annotations

from .project import File, Project

Deployable = tuple[str, str, str]
"""A service; or, outside of services, the root and the name of a top package."""


class Deployables:
    """Which top packages are deployed together: those that import each other, unless services are configured."""

    def __init__(self, project: Project) -> None:
        self._parent: dict[Deployable, Deployable] = {}
        wanted: dict[tuple[Deployable, str], tuple[File, str]] = {}
        for file, reached in project.by_file(_other_tops):
            for top, module in reached:
                wanted.setdefault((deployable(file), top), (file, module))
        for (ours, _), (file, module) in wanted.items():
            other = project.module(file, module).file
            if other is not None and not file.service and not other.service:
                self._parent[self._root(ours)] = self._root(deployable(other))

    def of(self, file: File) -> Deployable:
        """What a file is deployed with."""
        return self._root(deployable(file))

    def _root(self, key: Deployable) -> Deployable:
        while (parent := self._parent.get(key, key)) != key:
            key = parent
        return key


def deployable(file: File) -> Deployable:
    """What a file is deployed with as far as its path says: its service, else the top package it belongs to."""
    if file.service:
        return file.service, "", ""
    return "", file.package_root, file.module.partition(".")[0]


def _other_tops(project: Project, file: File) -> list[tuple[str, str]]:
    """The top packages of ours that a file imports besides its own, each with the first module of it."""
    found: dict[str, str] = {}
    for row in file.facts.imports:
        top = row.module.partition(".")[0]
        if not row.level and top in project.tops and top != file.module.partition(".")[0]:
            found.setdefault(top, row.module)
    return [*found.items()]
