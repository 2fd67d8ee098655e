"""Agents whose answers are good or bad on purpose, for the checks of answers."""

from __future__ import annotations

from netra import RunContext, agent


@agent(title="Ledger", description="Has a tool add up the spend; `wrong` states another total than the tool did.")
async def ledger(ctx: RunContext) -> str:
    """The tool's total is 12.40 USD; the answer states it, or 99.10."""

    async def add_up() -> dict[str, object]:
        return {"total_usd": "12.40", "requests": 310}

    await ctx.tool(add_up, purpose="Add up the ledger")
    stated = "99.10" if "wrong" in ctx.message.content else "12.40"
    return f"The total is ${stated}. It is the sum of all rows of the ledger, as the tool has added them up."


@agent(title="Silent", description="Answers nothing.")
async def silent(ctx: RunContext) -> str:
    """An empty answer, and a run that succeeds."""
    return ""
