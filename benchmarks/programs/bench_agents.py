"""The agents that Netra's benchmarks run."""

from __future__ import annotations

import asyncio

from fanout import REASONING

from netra import RunContext, agent

WORD = "word "
DELTAS = 200


@agent(description="Shows N thoughts, one every S seconds, when told `N S`.")
async def ticker(ctx: RunContext) -> str:
    count, interval = ctx.message.content.split()
    for _ in range(int(count)):
        await ctx.think(REASONING)
        await asyncio.sleep(float(interval))
    return "done"


def look_up(query: str) -> str:
    """A tool that takes no time."""
    return f"found {query}"


@agent(description="One thought, two tools that take no time, 200 pieces of text.")
async def trivial(ctx: RunContext) -> None:
    await ctx.think(REASONING)
    await ctx.tool(look_up, query="first")
    await ctx.tool(look_up, query="second")
    for _ in range(DELTAS):
        await ctx.stream(WORD)


@agent(description="Says what you said.")
async def echo(ctx: RunContext) -> str:
    return ctx.message.content
