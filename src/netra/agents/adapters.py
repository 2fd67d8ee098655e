"""Every form of agent as one: something that takes a `RunContext` and returns an `Answer`.

`netra.engine` calls `run_agent` for each run. A class is instantiated for it; a function or object is shared.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from netra.errors import AgentError

from .context import Answer, RunContext, Thought

__all__ = ["is_agent", "run_agent"]


def is_agent(target: Any) -> bool:
    """Whether `run_agent` can run it."""
    if inspect.isclass(target):
        return _is_async(getattr(target, "run", None))
    if _is_async(target) or _is_pydantic_ai(target):
        return True
    return _is_async(getattr(target, "run", None))


async def run_agent(target: Any, ctx: RunContext) -> Answer:
    """Run an agent in any of its forms to its answer. The text is None when the agent gave none or streamed it.

    Raises:
        AgentError: the agent returned something that is no answer.
        Exception: whatever the agent raised.
    """
    if inspect.isclass(target):
        target = target()
    if _is_pydantic_ai(target):
        from .pydantic_ai import run_pydantic_agent

        return await run_pydantic_agent(target, ctx)
    function = target if _is_async(target) else getattr(target, "run", target)
    outcome = function(ctx)
    if inspect.isasyncgen(outcome):
        return await _consume(outcome, ctx)
    return _answer(await outcome)


async def _consume(generator: Any, ctx: RunContext) -> Answer:
    answer = Answer()
    try:
        async for item in generator:
            if isinstance(item, str):
                await ctx.stream(item)
            elif isinstance(item, Thought):
                await ctx.think(item.text)
            elif isinstance(item, Answer):
                answer = item  # a generator cannot return a value, so its last word may be yielded
            else:
                raise AgentError(f"The agent yielded {type(item).__name__}; it may yield str, Thought or Answer.")
    finally:
        await generator.aclose()
    return answer


def _answer(value: Any) -> Answer:
    if value is None:
        return Answer()
    if isinstance(value, Answer):
        return value
    if isinstance(value, str):
        return Answer(value)
    raise AgentError(f"The agent returned {type(value).__name__}; it may return str, Answer or None.")


def _is_async(target: Any) -> bool:
    return inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)


def _is_pydantic_ai(target: Any) -> bool:
    loaded = sys.modules.get("pydantic_ai.agent")  # nobody can hold one of its agents without having imported it
    return loaded is not None and isinstance(target, loaded.AbstractAgent)
