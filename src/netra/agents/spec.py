"""What the server knows about an agent: its name, how it presents itself, and what to run.

    @agent(title="Echo", description="Says what you said.")
    async def echo(ctx: RunContext) -> str:
        return ctx.message.content

`load("my_module:echo")` turns an import string into an `AgentSpec`; `load_all` does it for the list in Settings.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload, runtime_checkable

from netra.errors import ConfigurationError

if TYPE_CHECKING:
    from .context import Answer, RunContext, Thought

T = TypeVar("T")

_MARK = "__netra_agent__"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@runtime_checkable
class Agent(Protocol):
    """Anything that answers a message. A coroutine or an async generator with this shape is an agent too.

    A class is instantiated once per run; an object is shared by all runs and must keep nothing of any of them.
    """

    def run(self, ctx: RunContext) -> Awaitable[str | Answer | None] | AsyncIterator[str | Thought | Answer]:
        """Work on `ctx.message`: return the answer, or yield pieces of it."""
        ...


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """An agent as the server lists and runs it.

    Args:
        name: how clients ask for it: letters, digits, `.`, `_`, `-`; at most 64.
        title: how the page calls it.
        description: what it does, in one or two sentences.
        examples: prompts the page offers.
        accepts: endings of the files it can read, such as `.csv`.
        target: the function, class or object that does the work.
        sample: writes a file to try the agent with to a path, whose ending is the first of `accepts`; None for none.
    """

    name: str
    target: Any
    title: str = ""
    description: str = ""
    examples: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    sample: Callable[[Path], object] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r} cannot be the name of an agent.",
                hint="Use at most 64 letters, digits, '.', '_' and '-', beginning with a letter or digit.",
            )
        if not self.title:
            words = re.sub(r"[._-]+", " ", self.name).strip()
            object.__setattr__(self, "title", words[:1].upper() + words[1:])


@overload
def agent(target: T, /) -> T: ...
@overload
def agent(
    *,
    name: str | None = None,
    title: str = "",
    description: str = "",
    examples: Sequence[str] = (),
    accepts: Sequence[str] = (),
) -> Callable[[T], T]: ...
def agent(
    target: T | None = None,
    /,
    *,
    name: str | None = None,
    title: str = "",
    description: str = "",
    examples: Sequence[str] = (),
    accepts: Sequence[str] = (),
) -> T | Callable[[T], T]:
    """Say how a function or class presents itself as an agent. It stays what it was and can be called as before.

    Args:
        name: default: the function's or class's name.
        title: default: the name, in words.
        description: default: the first paragraph of the docstring.
        examples: prompts the page offers.
        accepts: endings of the files it can read, such as `.csv`.
    """

    def mark(each: T) -> T:
        spec = AgentSpec(
            name=name or _default_name(each),
            target=each,
            title=title,
            description=description or _first_paragraph(each),
            examples=tuple(examples),
            accepts=tuple(accepts),
        )
        setattr(each, _MARK, spec)
        return each

    return mark if target is None else mark(target)


def spec_of(target: Any, *, name: str | None = None) -> AgentSpec:
    """The spec of an agent in any of its forms.

    Args:
        target: an `AgentSpec`, something marked with `@agent`, an async function, an async generator function, a class
            or object with `run(ctx)`, or a pydantic-ai `Agent`.
        name: the name when the target brings none of its own.

    Raises:
        ConfigurationError: it is none of these.
    """
    from .adapters import is_agent

    if isinstance(target, AgentSpec):
        return target
    if not is_agent(target):
        raise ConfigurationError(
            f"{name or target!r} is not an agent: it is {_kind(target)}.",
            hint="An agent is an async function or async generator that takes a RunContext, a class or object with "
            "such a method `run`, or a pydantic-ai Agent.",
        )
    marked = getattr(target, "__dict__", {}).get(_MARK)
    if isinstance(marked, AgentSpec):
        return marked
    of_class = type(target).__dict__.get(_MARK)  # an instance of a marked class
    if isinstance(of_class, AgentSpec):
        return replace(of_class, target=target)
    own = getattr(target, "name", None)
    return AgentSpec(
        name=name or (own if isinstance(own, str) else None) or _default_name(target),
        target=target,
        description=_first_paragraph(target),
    )


def load(reference: str) -> AgentSpec:
    """Import an agent.

    Args:
        reference: `module:attribute`; the module may also lie in the working directory.

    Raises:
        ConfigurationError: says what is wrong with the reference, the module or the attribute.
    """
    module_name, colon, attribute = reference.partition(":")
    if not colon or not module_name or not attribute:
        raise ConfigurationError(
            f"{reference!r} does not name an agent.", hint="Write module:name, such as my_agents:support."
        )
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that it cannot shadow an installed package
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"There is no module {error.name!r} (from the agent {reference!r}).",
                hint="Correct the name, install its package, or start Netra in the directory that holds it.",
            ) from error
        raise ConfigurationError(
            f"The module {module_name!r} of the agent {reference!r} needs the module {error.name!r}.",
            hint=f"Install {error.name}.",
        ) from error
    except Exception as error:  # whatever a module of the user's does when imported is the user's to read
        raise ConfigurationError(
            f"The module {module_name!r} of the agent {reference!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    target: Any = module
    for part in attribute.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            near = difflib.get_close_matches(part, [each for each in dir(target) if not each.startswith("_")], 1)
            raise ConfigurationError(
                f"The module {module_name!r} has no {attribute!r}.",
                hint=f"Did you mean {near[0]!r}?" if near else "Correct the part after the colon.",
            ) from None
    return spec_of(target, name=None if _names_itself(target) else attribute.rsplit(".", 1)[-1])


def load_all(references: Iterable[str]) -> dict[str, AgentSpec]:
    """The agents by name, in the given order; the first is the default.

    Raises:
        ConfigurationError: one cannot be loaded, or two have the same name.
    """
    agents: dict[str, AgentSpec] = {}
    for reference in references:
        spec = load(reference)
        if spec.name in agents:
            raise ConfigurationError(
                f"Two agents are named {spec.name!r}; the second is {reference!r}.",
                hint='Give one of them another name: @agent(name="…").',
            )
        agents[spec.name] = spec
    return agents


def _names_itself(target: Any) -> bool:
    return isinstance(target, AgentSpec) or isinstance(getattr(target, "name", None), str)


def _default_name(target: Any) -> str:
    return getattr(target, "__name__", None) or type(target).__name__


def _first_paragraph(target: Any) -> str:
    own = target if inspect.isroutine(target) or inspect.isclass(target) else type(target)
    if getattr(own, "__module__", "").startswith("pydantic_ai"):
        return ""
    documentation = own.__doc__
    if not documentation:
        return ""
    return " ".join(inspect.cleandoc(documentation).split("\n\n")[0].split())


def _kind(target: Any) -> str:
    if inspect.iscoroutine(target):
        return "a coroutine that was already started; leave out the ()"
    if inspect.isclass(target):
        return f"the class {target.__name__} without a method run"
    if inspect.isroutine(target):
        return "an ordinary function; make it async"
    return f"an object of type {type(target).__name__}"
