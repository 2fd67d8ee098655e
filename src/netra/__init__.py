"""Netra: a self-hosted server that puts AI agents in front of many users.

This module holds the public names. They are loaded when they are first asked for, so that `import netra` stays cheap
and a program that only needs `netra.events` does not pay for the server.

    from netra import RunContext, agent

    @agent(title="Echo")
    async def echo(ctx: RunContext) -> str:
        return ctx.message.content
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netra.agents import Agent, Answer, RunContext, Thought, agent, tool
    from netra.config import Settings

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Answer",
    "RunContext",
    "Settings",
    "Thought",
    "__version__",
    "agent",
    "tool",
]

_HOMES = {
    "Agent": "netra.agents",
    "Answer": "netra.agents",
    "RunContext": "netra.agents",
    "Settings": "netra.config",
    "Thought": "netra.agents",
    "agent": "netra.agents",
    "tool": "netra.agents",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'netra' has no attribute {name!r}") from None
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
