"""Agents that make the log busy: text, large values, questions, and work without end."""

from __future__ import annotations

import asyncio

from netra import RunContext, agent


@agent(title="Talk", description="`300 20` streams 300 pieces of 20 characters, with a tool call in the middle.")
async def talk(ctx: RunContext) -> str:
    """`count size [tools]`: streams, uses a tool now and then, and answers with the count."""
    words = ctx.message.content.split()
    count, size = int(words[0]), int(words[1])
    every = max(1, count // int(words[2])) if len(words) > 2 and words[2].isdigit() else 0

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        return number

    await ctx.think(f"I shall say {count} pieces.")
    for number in range(count):
        await ctx.stream(f"{number}:".ljust(size, "."))
        if every and number % every == 0:
            await ctx.tool(work, number, name="work")
    return f"said {count}"


@agent(title="Flood", description="`200 8000` thinks 200 thoughts of 8,000 characters; `200 8000 singly` one by one.")
async def flood(ctx: RunContext) -> str:
    """Events that stay in the log, as many and as large as the message says."""
    words = ctx.message.content.split()

    async def stored() -> None:
        """A tool runs only after what was said before it is stored."""

    for number in range(int(words[0])):
        await ctx.think(f"{number}:".ljust(int(words[1]), "x"))
        if "singly" in words:
            await ctx.tool(stored, name="stored")
    return "flooded"


@agent(title="Verbose", description="`5000 20` answers with 5000 words of 20 characters.")
async def verbose(ctx: RunContext) -> str:
    """An answer that may be too large for its event."""
    words = ctx.message.content.split()
    return "\n".join(f"{number}:".ljust(int(words[1]), "é") for number in range(int(words[0])))


@agent(title="Hang", description="Works until it is stopped.")
async def hang(ctx: RunContext) -> str:
    """Never ends by itself."""
    await ctx.think("This takes long.")
    await asyncio.Event().wait()
    raise AssertionError


@agent(title="Big", description="A tool with a result of 200 KB, and NUL in the answer.")
async def big(ctx: RunContext) -> str:
    """One value too large for an event, and a character PostgreSQL cannot keep as text."""

    async def rows() -> list[str]:
        return ["canary-of-the-blob" + "x" * 982] * 200

    await ctx.tool(rows, name="rows")
    return f"done\0 {ctx.message.content}"


@agent(title="Ask", description="Asks before it goes on.")
async def ask(ctx: RunContext) -> str:
    """Waits for a decision."""
    decision = await ctx.ask_approval("May I?")
    return decision.decision
