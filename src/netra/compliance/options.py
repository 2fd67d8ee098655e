"""The options of `netra check`: how they are declared, and how a plain command line is read.

Typer checks values with the same library as the server's requests, and loading it takes longer than a check of what is
cached already. So a command says of its parameters what typer is told of them, in `Option` and `Rest`; what is written
plainly is read here, and whatever is not (`--help`, an option that does not exist, a value that is none) is left to
typer, which knows what to say.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from msgspec import Struct

_PLAIN: Final = frozenset({bool, str, int, float, Path})


class Option(Struct, frozen=True):
    """In the annotation of a parameter: it is given by name.

    Args:
        names: by default that of the parameter, with `--` before it.
        metavar: what stands for its value in the help.
        min: the smallest value.
    """

    help: str
    names: tuple[str, ...] = ()
    metavar: str | None = None
    min: float | None = None


class Rest(Struct, frozen=True):
    """In the annotation of a parameter: it takes every word that is not an option."""

    help: str
    metavar: str


def read_plainly(command: Callable[..., Any], words: Sequence[str]) -> dict[str, Any] | None:
    """The arguments that a command line gives to a command; None when typer has to look at it.

    Args:
        command: its parameters are annotated with `Option` and `Rest`.
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


def for_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command as typer wants it: with its own words for `Option` and `Rest`."""
    import inspect
    from functools import wraps

    import typer

    def told(parameter: str) -> Any:
        declared, info = get_args(hints[parameter])
        if isinstance(info, Rest):
            return Annotated[declared, typer.Argument(metavar=info.metavar, help=info.help)]
        names = _names(parameter, info)
        return Annotated[declared, typer.Option(*names, metavar=info.metavar, help=info.help, min=info.min)]

    @wraps(command)
    def run(**options: Any) -> Any:
        return command(**options)

    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[each.replace(annotation=told(name)) for name, each in signature.parameters.items()]
    )
    return run


def _declared(
    command: Callable[..., Any],
) -> tuple[dict[str, tuple[str, Callable[[str], Any], bool, Option]], tuple[str, Callable[[str], Any]] | None]:
    """Each option with its parameter, its type, whether it may be given again, and what else is said of it; and the
    parameter, with its type, that takes everything else."""
    options: dict[str, tuple[str, Callable[[str], Any], bool, Option]] = {}
    rest: tuple[str, Callable[[str], Any]] | None = None
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        if parameter == "return":
            continue
        declared, info = get_args(hint)
        kind, many = _kind(declared)
        if kind not in _PLAIN:
            continue
        if isinstance(info, Rest):
            rest = (parameter, kind) if many else None
        elif isinstance(info, Option):
            for name in _names(parameter, info):
                options[name] = (parameter, kind, many, info)
    return options, rest


def _names(parameter: str, info: Option) -> tuple[str, ...]:
    return info.names or (f"--{parameter.replace('_', '-')}",)


def _kind(declared: Any) -> tuple[Any, bool]:
    """The type of one value, and whether there may be several."""
    if get_origin(declared) in (types.UnionType, Union):
        declared = next(each for each in get_args(declared) if each is not type(None))
    if get_origin(declared) is list:
        return get_args(declared)[0], True
    return declared, False
