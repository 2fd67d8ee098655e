"""The layer picture: the groups of a product's modules, which imports which, and which imports go against the rest.

Groups are top packages; where one package holds nearly everything, its sub-packages. They are put in the order in which
the fewest imports point backwards (the heuristic of Eades, Lin and Smyth, "A fast and effective heuristic for the
feedback arc set problem", 1993), so the picture needs no configuration. The page draws it and `netra ssot graph` prints
it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from .graph import graph
from .project import File, Project

MOST_GROUPS = 30
"""In a picture; the smallest ones are left out and counted."""


@dataclass(frozen=True, slots=True)
class Group:
    """Modules that are drawn as one box. `level` 0 is on top: nothing imports it but what goes backwards."""

    name: str
    modules: int
    level: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """Imports of one group by another.

    Args:
        backwards: against the order of the picture: each is part of a circle.
        example: one of them, as `importer -> imported`.
    """

    source: str
    target: str
    imports: int
    backwards: bool
    example: str


@dataclass(frozen=True, slots=True)
class Picture:
    """See the module. `left_out` groups were too small to draw."""

    groups: tuple[Group, ...]
    arrows: tuple[Arrow, ...]
    left_out: int = 0


def picture(project: Project, most: int = MOST_GROUPS) -> Picture:
    """The picture of a project's product; of its tests and scripts, when there is nothing else."""
    files = [file for file in project.files if file.scope == "core"] or project.files
    name_of = _names(files)
    sizes = Counter(name_of.values())
    kept = {name for name, _ in sorted(sizes.items(), key=lambda each: (-each[1], each[0]))[:most]}
    weights: dict[tuple[str, str], int] = defaultdict(int)
    examples: dict[tuple[str, str], str] = {}
    for link in graph(project):
        if link.typing or link.imported is None:
            continue
        source, target = name_of.get(link.importer), name_of.get(link.imported)
        if source is None or target is None or source == target or not {source, target} <= kept:
            continue
        weights[source, target] += 1
        examples.setdefault((source, target), f"{link.importer.module} -> {link.imported.module}")
    order = {name: number for number, name in enumerate(_order(kept, weights))}
    levels = dict.fromkeys(order, 0)
    for name in order:  # importers come first, so each level is known when it is asked for
        for (source, target), _ in weights.items():
            if source == name and order[source] < order[target]:
                levels[target] = max(levels[target], levels[source] + 1)
    groups = tuple(Group(name, sizes[name], levels[name]) for name in order)
    arrows = tuple(
        Arrow(source, target, count, order[source] > order[target], examples[source, target])
        for (source, target), count in sorted(weights.items())
    )
    return Picture(groups, arrows, len(sizes) - len(kept))


def _names(files: Iterable[File]) -> dict[File, str]:
    """The group of each file: enough components of its name that no group holds nearly all."""
    parts = {file: file.module.split(".") for file in files}
    depth = 1
    while depth < 4:
        sizes = Counter(tuple(each[:depth]) for each in parts.values())
        if not sizes or sizes.most_common(1)[0][1] <= 0.7 * len(parts):
            break
        depth += 1
    return {file: ".".join(each[:depth]) for file, each in parts.items()}


def _order(names: Iterable[str], weights: dict[tuple[str, str], int]) -> list[str]:
    left = set(names)
    out: dict[str, dict[str, int]] = defaultdict(dict)
    into: dict[str, dict[str, int]] = defaultdict(dict)
    for (source, target), weight in weights.items():
        out[source][target] = weight
        into[target][source] = weight
    first: list[str] = []
    last: list[str] = []
    while left:
        sinks = sorted(name for name in left if left.isdisjoint(out[name]))
        if sinks:
            last += reversed(sinks)
            left.difference_update(sinks)
            continue
        sources = sorted(name for name in left if left.isdisjoint(into[name]))
        if sources:
            first += sources
            left.difference_update(sources)
            continue

        def lead(name: str) -> tuple[int, str]:
            going = sum(weight for other, weight in out[name].items() if other in left)
            coming = sum(weight for other, weight in into[name].items() if other in left)
            return (coming - going, name)

        chosen = min(left, key=lead)
        first.append(chosen)
        left.remove(chosen)
    return first + last[::-1]
