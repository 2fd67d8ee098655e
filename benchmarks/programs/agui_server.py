"""A peer of `run_overhead.py`: pydantic-ai's AG-UI adapter with a model that does the trivial agent's work.

    python agui_server.py PORT

The first request to the model streams one thought and calls two tools; the second streams 200 pieces of text. It keeps
nothing. Runs in an environment of its own that has `pydantic-ai-slim[ag-ui]` and uvicorn.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from fanout import REASONING
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.ui.ag_ui import AGUIAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

DELTAS = 200


async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
    """What a model that reasons and calls tools would stream."""
    if any(isinstance(part, ToolReturnPart) for part in messages[-1].parts):
        for _ in range(DELTAS):
            yield "word "
        return
    yield {0: DeltaThinkingPart(content=REASONING)}
    yield {1: DeltaToolCall(name="look_up", json_args='{"query": "first"}', tool_call_id="call_1")}
    yield {2: DeltaToolCall(name="look_up", json_args='{"query": "second"}', tool_call_id="call_2")}


agent = Agent(FunctionModel(stream_function=model))


@agent.tool_plain
async def look_up(query: str) -> str:
    """A tool that takes no time."""
    return f"found {query}"


async def run(request: Request) -> Response:
    """Answer one run."""
    return await AGUIAdapter.dispatch_request(request, agent=agent)


if __name__ == "__main__":
    app = Starlette(routes=[Route("/", run, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
