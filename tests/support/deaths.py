"""Agents that do to a server what the matrix of deaths asks for: `ServerProcess(…, agents=["support.deaths:busy"])`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

from netra import RunContext, agent, tool
from netra.agents.tools import ToolDied


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
async def leaves_something(ctx: RunContext) -> str:
    """Starts a process that outlives the server and keeps its output open; says which."""
    return str(subprocess.Popen(["sleep", "60"], start_new_session=True).pid)


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


# Tools in processes of their own


@tool(process=True, memory_mb=512)
def swallow(megabytes: int) -> int:
    """Take so much memory."""
    return len(bytearray(megabytes * 1024 * 1024))


@tool(process=True)
def end_with(number: int) -> None:
    """End by a signal, as a crash does."""
    os.kill(os.getpid(), number)


@tool(process=True)
def nap(folder: str, seconds: float) -> str:
    """Say who works, with a process of its own beside it, and sleep."""
    with subprocess.Popen(["sleep", str(seconds)]) as child:
        Path(folder, f"pids-{os.getpid()}").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(seconds)
    return "slept"


def named_by_naps(folder: Path) -> list[int]:
    """The processes of the calls of `nap` so far: of each its own, and the one it has started."""
    named = [path.read_text().split() for path in folder.glob("pids-*")]
    return [int(pid) for pids in named if len(pids) == 2 for pid in pids]


@tool(process=True, timeout=0.5)
def nap_too_long() -> None:
    """Sleep for longer than it may."""
    time.sleep(600)


@tool(process=True)
def add(a: int, b: int, *, loud: bool = False) -> dict[str, object]:
    """Add two numbers."""
    if loud:
        print("this goes to the server's standard error, and into no result")
    return {"sum": a + b, "pid": os.getpid(), "words": ("a", "b")}


@tool(process=True)
def complain(what: str) -> None:
    """Raise what a tool may raise."""
    raise {"value": ValueError, "key": KeyError}[what](what)


@tool(process=True, host="reports.example.com")
def ask_in_vain(what: str) -> None:
    """Ask a host that is down, or that knows nothing of it."""
    request = httpx.Request("GET", "https://reports.example.com")
    if what == "down":
        raise httpx.ConnectError("refused", request=request)
    raise httpx.HTTPStatusError("404", request=request, response=httpx.Response(404, request=request))


@agent
async def hungry(ctx: RunContext) -> str:
    """Has a tool that takes more memory than it may; `careful` copes with that."""
    if "careful" not in ctx.message.content:
        return str(await ctx.tool(swallow, 4096))
    try:
        await ctx.tool(swallow, 4096)
    except MemoryError:
        return "not this one"
    except ToolDied as error:
        return f"coped with {type(error).__name__}"
    return "never"


@agent
async def napping(ctx: RunContext) -> str:
    """Sleeps in a process of its own, and says in the folder of the message which."""
    return str(await ctx.tool(nap, ctx.message.content.split()[0], 600))


@agent
async def crashing(ctx: RunContext) -> None:
    """Has a tool whose process crashes."""
    await ctx.tool(end_with, int(signal.SIGSEGV))
