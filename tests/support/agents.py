"""Agents for servers under test: `ServerProcess(data_dir, agents=["support.agents:echo"])`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netra import RunContext, agent
from netra.errors import AgentError


@agent(title="Echo", description="Says what you said.")
async def echo(ctx: RunContext) -> str:
    """The message, as the answer."""
    await ctx.think("Nothing to think about.")
    return ctx.message.content


@agent(title="Steps", description="Does as many steps as the message says, each a durable tool call.")
async def steps(ctx: RunContext) -> str:
    """`5` does five steps; `5 /path` waits before each step but the first until `/path/<number>` exists."""
    words = ctx.message.content.split()
    folder = Path(words[1]) if len(words) > 1 else None

    async def step(number: int) -> int:
        while folder is not None and number > 1 and not (folder / str(number)).exists():
            await asyncio.sleep(0.02)
        if folder is not None:
            with (folder / "done").open("a") as done:
                done.write(f"{number}\n")
        return number

    total = 0
    for number in range(1, int(words[0]) + 1):
        await ctx.think(f"Step {number}")
        total += await ctx.tool(step, number, name="step", purpose="Do a step")
        await ctx.stream(f"{number} ")
    return f"sum {total}"


@agent(title="Broken", description="Fails, with a reason for people.")
async def broken(ctx: RunContext) -> str:
    """Always fails."""
    raise AgentError("This agent cannot do anything.", hint="Ask another one.")
