"""The formats a check is printed in: each is a function from an `Outcome` to text."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netra.compliance.outcome import Outcome

Render = Callable[["Outcome"], str]

_HOMES = {
    "text": "text",
    "json": "data",
    "jsonl": "data",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "markdown": "markdown",
    "html": "page",
}
FORMATS = tuple(_HOMES)


def renderer(name: str) -> Render:
    """The function that prints a format; its module is loaded when it is asked for."""
    module = import_module(f"{__name__}.{_HOMES[name]}")
    render: Render = getattr(module, f"as_{name}")
    return render
