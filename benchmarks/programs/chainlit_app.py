"""A peer of `run_overhead.py`: the trivial agent's work as a Chainlit application. It keeps nothing, as it comes.

chainlit run chainlit_app.py --headless --port PORT
"""

from __future__ import annotations

import chainlit as cl

REASONING = "Looking at the next part of the data, which is about as long as this sentence."
DELTAS = 200


@cl.step(type="tool")
async def look_up(query: str) -> str:
    """A tool that takes no time."""
    return f"found {query}"


@cl.on_message
async def answer(message: cl.Message) -> None:
    """One thought, two tools, 200 pieces of text."""
    async with cl.Step(name="thinking", type="llm") as step:
        step.output = REASONING
    await look_up("first")
    await look_up("second")
    reply = cl.Message(content="")
    for _ in range(DELTAS):
        await reply.stream_token("word ")
    await reply.update()
