"""A process that works on runs until it is killed: `python recovering_process.py DATABASE_URL DATA_DIR`.

The agent counts what its tools do in the file `counts` of the data directory, one letter for each execution, and waits
in its third step until the file `go` is there. What it says on standard output tells the test where it is.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from netra.agents import Answer, RunContext
from netra.agents.spec import AgentSpec
from support.engine import workbench


def make_agent(data_dir: Path) -> AgentSpec:
    """The agent that counts."""

    def count(letter: str) -> str:
        with (data_dir / "counts").open("a") as file:
            file.write(letter)
        return letter * 2

    def fail(letter: str) -> str:
        count(letter)
        raise LookupError(f"no {letter}")

    async def wait() -> str:
        count("c")
        print("waiting", flush=True)
        while not (data_dir / "go").exists():
            await asyncio.sleep(0.02)
        return "gone"

    async def run(ctx: RunContext) -> Answer:
        await ctx.think("First.")
        await ctx.stream(f"attempt {ctx.attempt} ")
        first = await ctx.tool(count, "a")
        try:
            await ctx.tool(fail, "b")
        except LookupError as error:
            second = str(error)
        third = await ctx.tool(wait)
        fourth = await ctx.tool(count, "d")
        await ctx.stream("done")
        return Answer(result=[first, second, third, fourth])

    return AgentSpec("counting", run)


async def main(database_url: str, data_dir: Path) -> None:
    """Work until the process is told to end."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with workbench(database_url, data_dir, [make_agent(data_dir)], run_attempts=2):
        print("started", flush=True)
        await stop.wait()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
