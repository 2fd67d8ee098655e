"""What a file's own facts say, at one glance: made once for each content, however many files have it, and all that
needs one table at once.

The tables of functions and of calls are given back soon after they are decoded (see `pack`). What several rules want
to know of them is little, so it is taken from them together, the first time any of it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from .facts import FileFacts

if TYPE_CHECKING:
    from .project import File

_Value = TypeVar("_Value")

_LOOKS: Final[dict[str, list[Callable[[FileFacts], Any]]]] = defaultdict(list)


def glance(
    table: Literal["functions", "calls"],
) -> Callable[[Callable[[FileFacts], _Value]], Callable[[File], _Value]]:
    """Decorates what says something of a file by its facts alone. What it returns is kept: it should be small, and is
    not changed.

    Args:
        table: the one of the facts that it is made of, beside those that stay decoded.
    """
    looks = _LOOKS[table]

    def decorate(look: Callable[[FileFacts], _Value]) -> Callable[[File], _Value]:
        number = len(looks)
        looks.append(look)

        @wraps(look)
        def seen(file: File) -> _Value:
            facts, known = file.facts, file.seen[table]
            if len(known) <= number:
                known.extend([each(facts) for each in looks[len(known) :]])
            value: _Value = known[number]
            return value

        return seen

    return decorate


@glance("functions")
def function_count(facts: FileFacts) -> int:
    """How many functions a file has."""
    return len(facts.functions)


@glance("calls")
def call_count(facts: FileFacts) -> int:
    """How many calls of a file are kept."""
    return len(facts.calls)
