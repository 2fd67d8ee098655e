"""The options of `netra check`, read without the machinery that explains them.

Typer checks values with the same library as the server's requests, whose import takes longer than a check of what is
cached already. What is written plainly is read here, from the same declaration; whatever is not (`--help`, an option
that does not exist, a value that is none) is left to typer, which knows what to say.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

_PLAIN: Final = frozenset({bool, str, int, float, Path})


def read_plainly(command: Callable[..., Any], words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments that a command line gives to a command; None when typer has to look at it.

    Args:
        command: its parameters are annotated with typer's `Option` and `Argument`.
        words: what follows the command's name.
    """
    options, rest = _declared(command)
    found: dict[str, Any] = {}
    following: Iterator[str] = iter(words)
    for word in following:
        if not word.startswith("-"):
            if rest is None:
                return None
            found.setdefault(rest[0], []).append(rest[1](word))
            continue
        name, equals, value = word.partition("=")
        if name not in options or (equals and not name.startswith("--")):
            return None
        parameter, kind, many, info = options[name]
        if kind is bool:
            if equals:
                return None
            found[parameter] = True
            continue
        if not equals and (value := next(following, "-")).startswith("-"):
            return None
        try:
            given = kind(value)
        except ValueError:
            return None
        if info.min is not None and not given >= info.min:
            return None
        if many:
            found.setdefault(parameter, []).append(given)
        else:
            found[parameter] = given
    return found


def _declared(
    command: Callable[..., Any],
) -> tuple[dict[str, tuple[str, Callable[[str], Any], bool, OptionInfo]], tuple[str, Callable[[str], Any]] | None]:
    """Each option with its parameter, its type, whether it may be given again, and what else is said of it; and the
    parameter, with its type, that takes everything else."""
    options: dict[str, tuple[str, Callable[[str], Any], bool, OptionInfo]] = {}
    rest: tuple[str, Callable[[str], Any]] | None = None
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        if parameter == "return":
            continue
        declared, info = get_args(hint)
        kind, many = _kind(declared)
        if kind not in _PLAIN:
            continue
        if isinstance(info, ArgumentInfo):
            rest = (parameter, kind) if many else None
        elif isinstance(info, OptionInfo):
            # In an annotation, the place of the default holds the first name.
            names = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
            for name in names or [f"--{parameter.replace('_', '-')}"]:
                options[name] = (parameter, kind, many, info)
    return options, rest


def _kind(declared: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several."""
    if get_origin(declared) in (types.UnionType, Union):
        declared = next(each for each in get_args(declared) if each is not type(None))
    if get_origin(declared) is list:
        return get_args(declared)[0], True
    return declared, False
