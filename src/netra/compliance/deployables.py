"""What is deployed together: second definitions and copies matter within one deployable, and are a note across them.

A service, as configured or as found by its manifest, is a deployable; so are, outside of services, the top packages
that import each other. What a service imports is deployed with it, and so is what is `shared`: a library may belong to
several. Services that import each other, or that one program outside imports, are one program, unless the configuration
says that they are services.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from .config import Config
from .graph import graph
from .project import File, Project

T = TypeVar("T")
Deployable = tuple[str, str, str]
"""A service; or, outside of services, the root and the name of a top package."""


class Deployables:
    """See the module."""

    def __init__(self, project: Project, config: Config) -> None:
        self._found = _self_contained(project) if config.services is None else ()
        self._services = {(each.strip("/"), "", "") for each in config.services or self._found}
        self._shared = tuple(f"{each.strip('/')}/" for each in config.shared)
        self._parent: dict[Deployable, Deployable] = {}
        wanted: dict[tuple[Deployable, str], tuple[File, str]] = {}
        for file, reached in project.by_file(_other_tops):
            for top, module in reached:
                wanted.setdefault((self._unit(file), top), (file, module))
        for (ours, _), (file, module) in wanted.items():
            other = project.module(file, module).file
            if other is not None and not self._service(file) and not self._service(other):
                self._parent[self._root(ours)] = self._root(self._unit(other))
        self._with: dict[Deployable, set[Deployable]] = defaultdict(set)
        """What imports it, at last."""
        if self._services:
            self._follow(project)

    def of(self, file: File) -> frozenset[Deployable]:
        """What a file is deployed with."""
        root = self._root(self._unit(file))
        shared = self._services if self._shared and file.path.startswith(self._shared) else ()
        return frozenset({root, *self._with.get(root, ()), *shared})

    @property
    def services(self) -> tuple[str, ...]:
        """Directories of those that are deployed apart from each other."""
        where = {unit[0]: {unit, *self._with.get(unit, ())} for unit in self._services}
        count = Counter(each for units in where.values() for each in units)
        return tuple(sorted(name for name, units in where.items() if all(count[each] == 1 for each in units)))

    def together(self, items: Iterable[T], file_of: Callable[[T], File]) -> list[list[T]]:
        """Things in groups, each of what is deployed with another of its group."""
        groups: list[tuple[set[Deployable], list[T]]] = []
        for item in items:
            where, group = set(self.of(file_of(item))), [item]
            for each in [each for each in groups if not where.isdisjoint(each[0])]:
                groups.remove(each)
                where |= each[0]
                group = [*each[1], *group]
            groups.append((where, group))
        return [group for _, group in groups]

    def _follow(self, project: Project) -> None:
        """What each service, and what outside imports one, takes along."""
        leads: dict[Deployable, set[Deployable]] = defaultdict(set)
        for link in graph(project):
            if link.imported is None or link.importer.scope != "core" or link.imported.service:
                continue  # the configuration says that this one is deployed apart
            ours, theirs = self._root(self._unit(link.importer)), self._root(self._unit(link.imported))
            if ours != theirs:
                leads[ours].add(theirs)
        for start in [*leads]:
            rest = [*leads[start]]
            while rest:
                reached = rest.pop()
                if reached != start and start not in self._with[reached]:
                    self._with[reached].add(start)
                    rest.extend(leads.get(reached, ()))

    def _unit(self, file: File) -> Deployable:
        service = self._service(file)
        return (service, "", "") if service else deployable(file)

    def _service(self, file: File) -> str:
        return file.service or _above(self._found, file)

    def _root(self, key: Deployable) -> Deployable:
        while (parent := self._parent.get(key, key)) != key:
            key = parent
        return key


def _self_contained(project: Project) -> tuple[str, ...]:
    """The services that were found, without those that use the rest of a package they lie in: these are parts of it,
    with an image or a distribution that holds more than them."""
    parts: set[str] = set()
    for link in graph(project) if project.services else ():
        ours, theirs = link.importer, link.imported
        if theirs is not None and ours.scope == "core" and deployable(ours) == deployable(theirs):
            service = _above(project.services, ours)
            if service and service != _above(project.services, theirs):
                parts.add(service)
    kept = tuple(each for each in project.services if each not in parts)
    return kept if len(kept) > 1 else ()


def _above(services: Iterable[str], file: File) -> str:
    """The service that a file lies in; empty for none."""
    return next((each for each in services if file.path.startswith(f"{each}/")), "")


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
