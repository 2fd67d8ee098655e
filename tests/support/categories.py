"""The categories of tests, in one table that pytest (`tests/conftest.py`) and the runner share.

A category is a folder or a marker. Every test of a folder carries the marker of its category, so that
`pytest -m "unit or stress"` and `--categories unit stress` choose the same tests. Only the standard library is needed:
the runner asks before it knows whether pytest is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Category:
    """Tests that are chosen together.

    Args:
        folder: below `tests/`; None for a category that a marker makes.
    """

    name: str
    meaning: str
    folder: str | None = None


CATEGORIES = {
    category.name: category
    for category in (
        Category("unit", "one part, no server", "unit"),
        Category("integration", "several parts, real databases, real servers", "integration"),
        Category("e2e", "the whole product as its users meet it, mostly in a real Chromium", "e2e"),
        Category(
            "mission_critical",
            "what must never break: events, their order, their time, their owner",
            "mission_critical",
        ),
        Category("conformance", "promises about names and interfaces", "conformance"),
        Category("postgres", "needs a real PostgreSQL (from a wheel; set by the database fixtures)"),
        Category("browser", "drives the page in a real Chromium"),
        Category("stress", "many tasks, kills or long histories; the slowest tests"),
    )
}


def category_of(path: Path) -> Category | None:
    """The category of the folder a test file lies in; None outside of every folder."""
    if not path.is_relative_to(TESTS):
        return None
    folder = path.relative_to(TESTS).parts[0]
    return next((category for category in CATEGORIES.values() if category.folder == folder), None)
