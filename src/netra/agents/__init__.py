"""Agents: the interface they are written against, and how the server finds and runs them.

from netra import RunContext, agent

@agent(title="Echo")
async def echo(ctx: RunContext) -> str:
    return ctx.message.content
"""

from .context import Answer, Budget, BudgetExceeded, Decision, File, Files, Message, RunContext, Thought, Turn
from .spec import Agent, AgentSpec, agent, load, load_all
from .tools import tool

__all__ = [
    "Agent",
    "AgentSpec",
    "Answer",
    "Budget",
    "BudgetExceeded",
    "Decision",
    "File",
    "Files",
    "Message",
    "RunContext",
    "Thought",
    "Turn",
    "agent",
    "load",
    "load_all",
    "tool",
]
