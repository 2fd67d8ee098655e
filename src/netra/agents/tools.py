"""Tools: functions an agent calls through `RunContext.tool`, so that people see them and crashes do not repeat them.

Any function can be one. `@tool` gives it a name and a purpose of its own. What people see of a call are its parameters
by name, as JSON, with values masked whose name says that they are secret.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

import msgspec

from netra.errors import AgentError

from .results import storable

if TYPE_CHECKING:
    from .context import ToolCall

F = TypeVar("F", bound=Callable[..., Any])

MASK = "•••"
_MARK = "__netra_tool__"
# "key" only as a word of its own: `api_key`, `apiKey` and `key` are secret, `keyboard` and `monkey` are not.
_SECRET = re.compile(
    r"passw|passphrase|secret|token(?!s)|credential|authoriz|cookie|bearer|private|(?:^|[^a-z])keys?(?:$|[^a-z])",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_DEPTH = 32


class ToolDied(AgentError):
    """The process of a tool ended without a result: it crashed or was killed."""

    code: ClassVar[str] = "tool_died"


class ToolOutOfMemory(ToolDied):
    """The process of a tool needed more memory than it may take."""

    code: ClassVar[str] = "out_of_memory"


class ToolTimedOut(AgentError):
    """A tool took longer than its `timeout`."""

    code: ClassVar[str] = "tool_timed_out"


@dataclass(frozen=True, slots=True)
class ToolMark:
    """What `@tool` says about a function; see there."""

    name: str
    purpose: str | None
    process: bool = False
    memory_mb: int | None = None
    timeout: float | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Isolated:
    """A call to be made in a process of its own: where the function is found, and its arguments, which are JSON."""

    module: str
    qualname: str
    args: tuple[Any, ...]
    parameters: Mapping[str, Any]
    memory_mb: int | None


@overload
def tool(fn: F, /) -> F: ...
@overload
def tool(
    *,
    name: str | None = None,
    purpose: str | None = None,
    process: bool = False,
    memory_mb: int | None = None,
    timeout: float | None = None,
    host: str | None = None,
) -> Callable[[F], F]: ...
def tool(
    fn: F | None = None,
    /,
    *,
    name: str | None = None,
    purpose: str | None = None,
    process: bool = False,
    memory_mb: int | None = None,
    timeout: float | None = None,
    host: str | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a tool. It stays an ordinary function.

    Args:
        name: what the timeline calls it; default: the function's name.
        purpose: what it is for, in a few words; default: the first line of its docstring.
        process: run it in a fresh process, so that it can crash, be killed or run out of memory alone. For synchronous
            functions of a module, whose arguments and result are JSON.
        memory_mb: the memory its process may take, in MiB; default: the setting `tool_memory_mb`.
        timeout: seconds after which a call fails with `ToolTimedOut`.
        host: the server that it asks, such as `api.example.com`: after repeated failures calls are refused for a while.
    """

    def mark(function: F) -> F:
        found = ToolMark(name or function.__name__, purpose or first_line(function), process, memory_mb, timeout, host)
        setattr(function, _MARK, found)
        return function

    return mark if fn is None else mark(fn)


def first_line(target: object) -> str | None:
    """The first line of a docstring, or None."""
    documentation = inspect.getdoc(target)
    return documentation.strip().splitlines()[0] if documentation and documentation.strip() else None


def mark_of(fn: Callable[..., Any]) -> ToolMark:
    """What is known about a function as a tool."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    mark = getattr(fn, _MARK, None)
    return mark if isinstance(mark, ToolMark) else ToolMark(getattr(fn, "__name__", type(fn).__name__), None)


def describe(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    parameters: Mapping[str, Any],
    *,
    name: str | None = None,
    purpose: str | None = None,
    process: bool | None = None,
) -> ToolCall:
    """A call of `fn` as a `ToolCall`: its name, purpose, visible parameters and the work to do.

    Raises:
        TypeError: it is to run in a process of its own and cannot be found from there.
    """
    from .context import ToolCall

    mark = mark_of(fn)
    apart = mark.process if process is None else process
    return ToolCall(
        name=name or mark.name,
        purpose=purpose or mark.purpose,
        parameters=visible(fn, args, parameters),
        work=functools.partial(fn, *args, **parameters),
        isolated=isolated(fn, args, parameters, mark) if apart else None,
        timeout=mark.timeout,
        host=mark.host,
    )


def isolated(fn: Callable[..., Any], args: tuple[Any, ...], parameters: Mapping[str, Any], mark: ToolMark) -> Isolated:
    """A call of `fn` for a process of its own.

    Raises:
        TypeError: it cannot be found from there.
    """
    module, qualname = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    found: Any = sys.modules.get(module) if isinstance(module, str) and module != "__main__" else None
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not fn or not isinstance(module, str) or inspect.iscoroutinefunction(fn):
        raise TypeError(
            f"{qualname or fn!r} cannot run in a process of its own: that takes a synchronous function that can be "
            "imported, so define it with def at the top of a module."
        )
    return Isolated(module, qualname, args, parameters, mark.memory_mb)


def visible(fn: Callable[..., Any], args: tuple[Any, ...], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call by name, as JSON that people may see. A `RunContext` among them is left out."""
    named: dict[str, Any] = {}
    try:
        bound = inspect.signature(fn).bind_partial(*args, **parameters)
    except (TypeError, ValueError):  # no signature, or arguments that do not fit: the call itself will say so
        named = {f"arg{index}": value for index, value in enumerate(args)} | dict(parameters)
    else:
        for key, value in bound.arguments.items():
            if bound.signature.parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
                named.update(value)
            else:
                named[key] = value
    from .context import RunContext

    return {
        key: MASK if is_secret(key) and value is not None else plain(value)
        for key, value in named.items()
        if not isinstance(value, RunContext)
    }


def is_secret(name: str) -> bool:
    """Whether a parameter's name says that its value must not be shown."""
    return _SECRET.search(_HUMP.sub("_", name)) is not None


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON for people: secrets masked, anything that is not JSON as its text."""
    if isinstance(value, str):
        return storable(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth > _DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(key): MASK if is_secret(str(key)) and item is not None else plain(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    try:
        return plain(msgspec.to_builtins(value), depth + 1)
    except TypeError:
        dump = getattr(value, "model_dump", None)
        return plain(dump(mode="json"), depth + 1) if callable(dump) else storable(str(value))
