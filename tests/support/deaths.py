"""Agents that do to a server what the matrix of deaths asks for: `ServerProcess(…, agents=["support.deaths:busy"])`."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

from netra import RunContext, agent


@agent
async def raises(ctx: RunContext) -> str:
    """Fails in a way nobody foresaw."""
    await ctx.think("This will not end well.")
    raise KeyError("unforeseen")


@agent
async def returns_early(ctx: RunContext) -> None:
    """Returns without a word."""


@agent
async def waits_for_ever(ctx: RunContext) -> None:
    """Awaits what never comes."""
    await ctx.think("Waiting.")
    await asyncio.Event().wait()


@agent
async def busy(ctx: RunContext) -> None:
    """Holds the event loop with a loop of its own; `stubborn` swallows every exception on the way."""
    await ctx.think("Counting.")
    number = 0
    while True:
        try:
            number += 1
        except Exception:
            if "stubborn" not in ctx.message.content:
                raise


@agent
async def blocks(ctx: RunContext) -> None:
    """Holds the event loop in a call that waits: `sleep`, or `socket` for one that reads and hears nothing."""
    await ctx.think("Blocking.")
    if "socket" in ctx.message.content:
        near, far = socket.socketpair()
        with near, far:
            near.recv(1)
    time.sleep(600)


@agent
async def blocks_in_a_task(ctx: RunContext) -> None:
    """As `blocks`, in a task that the agent starts, and in a tool."""

    async def nap() -> None:
        time.sleep(600)

    await asyncio.gather(ctx.tool(nap))


@agent
async def steps(ctx: RunContext) -> str:
    """`5 /path` does five steps and waits before each but the first until `/path/<number>` exists."""
    words = ctx.message.content.split()
    folder = Path(words[1]) if words[1].startswith("/") else None

    async def step(number: int) -> int:
        while folder is not None and number > 1 and not (folder / str(number)).exists():
            await asyncio.sleep(0.02)
        return number

    total = 0
    for number in range(1, int(words[0]) + 1):
        total += await ctx.tool(step, number)
        await ctx.stream(f"{number} ")
    return f"sum {total}"


@agent
async def quiet(ctx: RunContext) -> str:
    """Works for as many seconds as the message says and says that it gets on, and nothing else."""
    for _ in range(int(float(ctx.message.content.split()[0]) * 10)):
        await asyncio.sleep(0.1)
        ctx.progress()
    return "done"
