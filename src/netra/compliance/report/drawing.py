"""Drawings for the page, as SVG without scripts: the trend of the score, and the layer picture."""

from __future__ import annotations

import math
from collections import defaultdict
from html import escape
from typing import Any

from netra.compliance.picture import Picture

WIDTH = 960
_PER_ROW = 6
_BOX = (142, 44)
_ROW = 96


def trend(history: tuple[dict[str, Any], ...]) -> str:
    """A line of scores over checks, with its first and last value written out."""
    scores = [float(each["score"]) for each in history]
    low, high = min(scores), max(scores)
    low, high = (low - 1, high + 1) if high - low < 1 else (low, high)
    left, right, top, bottom = 60, 20, 16, 28
    height = 200
    step = (WIDTH - left - right) / max(1, len(scores) - 1)
    points = [
        (left + number * step, top + (height - top - bottom) * (1 - (score - low) / (high - low)))
        for number, score in enumerate(scores)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(_when(each))}: {each["score"]:g}</title></circle>'
        for (x, y), each in zip(points, history, strict=True)
    )
    labels = "".join(
        f'<text x="{left - 10}" y="{y:.1f}" text-anchor="end">{value:.1f}</text>'
        f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y - 4:.1f}" y2="{y - 4:.1f}"/>'
        for value, y in ((high, top + 4), (low, height - bottom + 4))
    )
    ends = (
        f'<text x="{left}" y="{height - 6}">{escape(str(history[0]["at"])[:10])}</text>'
        f'<text x="{WIDTH - right}" y="{height - 6}" text-anchor="end">{escape(str(history[-1]["at"])[:10])}</text>'
    )
    name = f"Score over {len(scores)} checks, from {scores[0]:g} to {scores[-1]:g}"
    return (
        f'<svg class="trend" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">'
        f'{labels}<polyline points="{line}"/>{dots}{ends}</svg>'
    )


def _when(row: dict[str, Any]) -> str:
    return " ".join(each for each in (str(row["at"])[:16].replace("T", " "), str(row.get("commit", ""))) if each)


def layers(drawn: Picture) -> str:
    """Boxes by level, arrows downwards; what points up is marked."""
    places, height = _places(drawn)
    arrows = []
    for arrow in sorted(drawn.arrows, key=lambda each: each.backwards):
        (x1, y1), (x2, y2) = places[arrow.source], places[arrow.target]
        half = _BOX[1] / 2
        if y1 == y2:  # an arc below both
            y1, y2, out, into = y1 + half, y2 + half, 34.0, 34.0
        else:
            y1, y2 = (y1 + half, y2 - half) if y2 > y1 else (y1 - half, y2 + half)
            out, into = (y2 - y1) / 2, (y1 - y2) / 2
        curve = f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + out:.0f} {x2:.0f},{y2 + into:.0f} {x2:.0f},{y2:.0f}"
        wide = min(6.0, 1 + math.log2(arrow.imports))
        kind = "back" if arrow.backwards else "down"
        count = f"{arrow.imports} import{'' if arrow.imports == 1 else 's'}"
        arrows.append(
            f'<path class="{kind}" stroke-width="{wide:.1f}" d="{curve}" marker-end="url(#{kind})">'
            f"<title>{escape(arrow.source)} imports {escape(arrow.target)}: {count}</title></path>"
        )
    boxes = []
    for group in drawn.groups:
        x, y = places[group.name]
        short = group.name if len(group.name) <= 19 else f"…{group.name[-18:]}"
        boxes.append(
            f'<g><rect x="{x - _BOX[0] / 2:.0f}" y="{y - _BOX[1] / 2:.0f}" width="{_BOX[0]}" height="{_BOX[1]}"'
            ' rx="8"/>'
            f'<text x="{x:.0f}" y="{y - 3:.0f}" text-anchor="middle">{escape(short)}</text>'
            f'<text class="small" x="{x:.0f}" y="{y + 14:.0f}" text-anchor="middle">{group.modules}'
            f" module{'' if group.modules == 1 else 's'}</text><title>{escape(group.name)}</title></g>"
        )
    markers = "".join(
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path class="head-{kind}" d="M0,0 L8,4 L0,8 z"/></marker>'
        for kind in ("down", "back")
    )
    name = f"Layers: {len(drawn.groups)} groups of modules and {len(drawn.arrows)} kinds of imports between them"
    return (
        f'<svg class="layers" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}">'
        f"<defs>{markers}</defs>{''.join(arrows)}{''.join(boxes)}</svg>"
    )


def _places(drawn: Picture) -> tuple[dict[str, tuple[float, float]], float]:
    levels: dict[int, list[str]] = defaultdict(list)
    for group in drawn.groups:
        levels[group.level].append(group.name)
    rows = [names[at : at + _PER_ROW] for _, names in sorted(levels.items()) for at in range(0, len(names), _PER_ROW)]
    places: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        # Every second row is moved aside a little, so that arrows over two rows do not run through boxes.
        aside = (20 if number % 2 else -20) if len(row) < _PER_ROW else 0
        for at, name in enumerate(row):
            places[name] = (aside + WIDTH * (at + 0.5) / len(row), 32.0 + number * _ROW)
    return places, 32 + (len(rows) - 1) * _ROW + 40 if rows else 40
