"""An agent whose libraries trace by themselves: `ServerProcess(…, agents=["support.traced:library"])`."""

from __future__ import annotations

from opentelemetry import trace

from netra import RunContext, agent


@agent(title="Library", description="Uses a library that knows OpenTelemetry.")
async def library(ctx: RunContext) -> str:
    """Calls it in a tool's thread, and once where no run is meant."""

    def look_up() -> str:
        with trace.get_tracer("library").start_as_current_span("GET library"):
            return "found"

    with trace.get_tracer("library").start_as_current_span("of nobody", context=trace.Context()):
        pass
    return str(await ctx.tool(look_up))
