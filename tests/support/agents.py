"""Agents for servers under test: `ServerProcess(data_dir, agents=["support.agents:echo"])`."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import httpx
from sqlalchemy import text

from netra import RunContext, agent, tool
from netra.agents import Answer
from netra.errors import AgentError, CircuitOpen, SessionReclaimed
from netra.sessions import get_session

from .payloads import MARKUP, PAYLOADS


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


def pieces(count: int) -> str:
    """What `streaming` answers: every piece names its place, so that one that is lost, doubled or moved shows."""
    return "".join(f"w{number:04d} " for number in range(1, count + 1))


async def _gate(folder: Path | None, name: str) -> None:
    while folder is not None and not (folder / name).exists():
        await asyncio.sleep(0.02)


@agent(title="Streaming", description="Streams as many pieces of text as the message says.")
async def streaming(ctx: RunContext) -> None:
    """`2400` streams `pieces(2400)`; `2400 /path` waits in the middle until `/path/go` exists."""
    words = ctx.message.content.split()
    count, folder = int(words[0]), Path(words[1]) if len(words) > 1 else None
    for number in range(1, count + 1):
        await ctx.stream(f"w{number:04d} ")
        await asyncio.sleep(0.001)
        if number == count // 2:
            await _gate(folder, "go")


@agent(title="Tools", description="Uses three tools at once; one of them fails.")
async def tools(ctx: RunContext) -> str:
    """A message that is a path holds the tools until `/path/go` exists, and the answer until `/path/end` does."""
    content = ctx.message.content
    folder = Path(content) if content.startswith("/") else None

    async def search(query: str, api_key: str) -> dict[str, object]:
        await _gate(folder, "go")
        return {"query": query, "hits": 3}

    async def fetch(source: str) -> str:
        await _gate(folder, "go")
        raise AgentError(f"The source {source} did not answer.")

    await ctx.think("Three sources have to be asked.")
    research = ctx.sub("research")
    await asyncio.gather(
        ctx.tool(search, query="spend", api_key="sk-secret", purpose="Search the archive"),
        research.tool(search, name="lookup", query="prices", api_key="sk-secret", purpose="Look up prices"),
        research.tool(fetch, source="ledger", purpose="Fetch the ledger"),
        return_exceptions=True,
    )
    await ctx.think("Two of them answered.")
    await _gate(folder, "end")
    return "Two sources answered, **one did not**."


@agent(title="Approving", description="Does nothing without your approval.")
async def approving(ctx: RunContext) -> str:
    """Asks, and repeats the decision."""
    schema = {"type": "object", "properties": {"reason": {"type": "string", "title": "Reason"}}}
    decision = await ctx.ask_approval("Send the report to everybody?", schema=schema, expires_in=600)
    reason = (decision.payload or {}).get("reason") if isinstance(decision.payload, dict) else None
    return f"Decision: {decision.decision}, reason: {reason}"


@agent(title="Endless", description="Begins a sentence and never ends it.")
async def endless(ctx: RunContext) -> None:
    """Runs until it is stopped."""
    await ctx.think("This will take for ever.")
    await ctx.stream("## Half a report\n\nThe first half of a sentence")
    await asyncio.Event().wait()


@agent(title="Holding", description="Keeps a database connection until somebody takes it back.")
async def holding(ctx: RunContext) -> str:
    """Asks the database again and again in one session."""
    try:
        async with get_session() as session:
            while True:
                await session.execute(text("SELECT 1"))
                await asyncio.sleep(0.05)
    except SessionReclaimed:
        return "The connection was taken back."


@tool(host="archive.example.com")
async def _ask_archive() -> str:
    raise httpx.ConnectError("no route to the archive")


@agent(title="Calling", description="Calls a host that is down until it is left alone.")
async def calling(ctx: RunContext) -> str:
    """Succeeds as soon as the host's circuit is open."""
    while True:
        try:
            await ctx.tool(_ask_archive)
        except CircuitOpen:
            return "The archive is left alone."
        except httpx.ConnectError:
            continue


@agent(title="Document", description="Answers with a long text.")
async def document(ctx: RunContext) -> str:
    """`40` answers with forty sections of headings, lists, tables and code."""
    section = (
        "## Section {number}\n\nSome *words* about `code {number}` and [a link](https://example.com/{number}).\n\n"
        "- one\n- two\n\n| Model | Spend |\n|:--|--:|\n| gpt-4o | ${number}.00 |\n\n"
        "```python\ndef total(rows: list[int]) -> int:\n    return sum(rows)  # {number}\n```\n\n"
    )
    return "".join(section.replace("{number}", str(number)) for number in range(1, int(ctx.message.content) + 1))


@agent(title="Hostile", description="Says whatever could break a page, wherever an agent can say something.")
async def hostile(ctx: RunContext) -> Answer:
    """The payloads in thoughts, tools, sub-agents, errors, the answer, charts and suggestions."""

    async def attack(query: str) -> dict[str, str]:
        return {query: query}

    async def fail() -> None:
        raise AgentError(MARKUP, hint=MARKUP)

    await ctx.think(MARKUP)
    await ctx.sub(MARKUP[:60]).tool(attack, MARKUP, name="attack", purpose=MARKUP)
    with contextlib.suppress(AgentError):
        await ctx.tool(fail, name="fail", purpose=MARKUP)
    for number, payload in enumerate(PAYLOADS):
        await ctx.stream(f"Payload {number}\n\n{payload}\n\n")
    await ctx.stream("```chart\nattack\n```\n")
    chart = {
        "id": "attack",
        "title": MARKUP,
        "kind": "bar",
        "x": {"label": MARKUP, "type": "category", "values": [MARKUP, "b"]},
        "y": {"label": MARKUP, "unit": "usd"},
        "series": [{"name": MARKUP, "values": [1, 2]}],
        "note": MARKUP,
    }
    return Answer(text=None, result={"charts": [chart], "suggestions": [MARKUP]})
