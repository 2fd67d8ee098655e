"""The smallest agent that shows every step. Run it with: netra serve examples.word_counter:word_counter"""

from collections.abc import AsyncIterator

from netra import RunContext, agent


def count_words(text: str) -> int:
    return len(text.split())


@agent(title="Word counter", examples=["How many words are in this sentence?"])
async def word_counter(ctx: RunContext) -> AsyncIterator[str]:
    await ctx.think("Counting the words of your message.")
    count = await ctx.tool(count_words, ctx.message.content, purpose="to know how many there are")
    yield f"Your message has **{count}** words."
