"""Runs a pydantic-ai `Agent` as one of ours.

Its text is streamed through the run's context, each model request is a durable step, each tool call a durable step
that people see, the model's thinking is shown, and what it spends is counted, with prices from genai-prices where the
model is known. The thread's history goes in as messages. Tools get the `RunContext` as `deps` when the agent was made
with `deps_type=RunContext`. Tools that need approval ask for it in the conversation, if the agent's `output_type`
includes `DeferredToolRequests`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from pydantic_ai import DeferredToolRequests, DeferredToolResults, ModelRetry, ToolDenied, ToolReturn
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import ReinjectSystemPrompt
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import RunContext as ToolContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset

from netra.errors import AgentError
from netra.monitoring import tracing

from .context import Answer, File, RunContext, ToolCall
from .results import to_json
from .tools import Isolated, ToolMark, isolated, mark_of, plain

log = structlog.get_logger(__name__)

IMAGE_BYTES = 10 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}
MOST_ROUNDS = 20
"""How often a run may come back with tools that need approval."""


async def run_pydantic_agent(agent: AbstractAgent[Any, Any], ctx: RunContext) -> Answer:
    """Run the agent on the context's message.

    Raises:
        AgentError: the agent has no model, or the model or a limit of pydantic-ai ended the run.
    """
    if agent.model is None:
        raise AgentError("This agent has no model.", hint="Give it one: Agent('openai:gpt-5-mini').")
    text = _Text(ctx)
    model = _Model(agent.model, ctx, text)
    toolsets = [_Tools(each, ctx) for each in agent.toolsets]
    messages = _history(ctx)
    prompt: str | Sequence[UserContent] | None = _prompt(ctx)
    results: DeferredToolResults | None = None
    executor = ctx.port.executor
    threads = agent.using_thread_executor(executor) if executor is not None else nullcontext()
    with threads, agent.override(model=model, toolsets=toolsets, tools=[]):
        for _ in range(MOST_ROUNDS):
            try:
                with agent.parallel_tool_call_execution_mode("parallel_ordered_events"):
                    outcome = await agent.run(
                        prompt,
                        message_history=messages,
                        deferred_tool_results=results,
                        deps=ctx if agent.deps_type is RunContext else None,
                        capabilities=[ReinjectSystemPrompt()] if messages and prompt is not None else None,
                    )
            except AgentRunError as error:
                log.warning("model_failed", run_id=ctx.run_id, error=type(error).__name__, detail=str(error)[:500])
                raise AgentError(f"The model could not answer: {error.message}") from error
            if not isinstance(outcome.output, DeferredToolRequests):
                return _answer(outcome.output, text.streamed)
            messages, prompt = outcome.all_messages(), None
            results = await _approvals(outcome.output, ctx)
    raise AgentError(f"The agent asked for approval {MOST_ROUNDS} times without coming to an answer.")


def _answer(output: Any, streamed: str) -> Answer:
    if isinstance(output, str):
        return Answer(None if streamed.endswith(output) else output)
    return Answer(streamed or None, to_json(output))


async def _approvals(asked: DeferredToolRequests, ctx: RunContext) -> DeferredToolResults:
    if asked.calls:
        names = ", ".join(call.tool_name for call in asked.calls)
        raise AgentError(f"The agent called tools that run elsewhere, which Netra does not carry out: {names}.")
    results = DeferredToolResults()
    for call in asked.approvals:
        arguments = plain(call.args_as_dict())
        shown = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        decision = await ctx.ask_approval(f"May I run {call.tool_name}({shown})?", tool_call_id=call.tool_call_id)
        approved = decision.decision == "approved"
        results.approvals[call.tool_call_id] = True if approved else ToolDenied(f"The user said: {decision.decision}.")
    return results


class _Text:
    """The streamed answer: the texts of several responses with a blank line between them."""

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._begins = True
        self.streamed = ""

    def begin(self) -> None:
        """A new response begins."""
        self._begins = True

    async def add(self, text: str) -> None:
        """More of the present response."""
        if not text:
            return
        if self._begins and self.streamed:
            text = "\n\n" + text
        self._begins = False
        self.streamed += text
        await self._ctx.stream(text)


class _Model(WrapperModel):
    """A model whose requests are durable steps; their text is streamed while it comes."""

    def __init__(self, wrapped: Model | str, ctx: RunContext, text: _Text) -> None:
        super().__init__(wrapped)
        self._ctx = ctx
        self._text = text

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        ran = False

        async def ask() -> list[Any]:
            nonlocal ran
            ran = True
            with tracing.chat(self.wrapped.system, self.wrapped.model_name, self._host()) as span:
                response = await self._stream(messages, model_settings, model_request_parameters)
                if span is not None:
                    tokens = response.usage.input_tokens, response.usage.output_tokens
                    span.answered(response.model_name, tokens, response.finish_reason)
            self._count(response)
            dumped: list[Any] = ModelMessagesTypeAdapter.dump_python([response], mode="json")
            return dumped

        self._text.begin()
        recorded = await self._ctx.port.step(self._ctx.agent_name, "model request", ask, host=self._host())
        (response,) = ModelMessagesTypeAdapter.validate_python(recorded)
        assert isinstance(response, ModelResponse)
        if not ran:  # what the first attempt streamed has to be streamed again by this one
            for part in response.parts:
                if isinstance(part, TextPart):
                    await self._text.add(part.content)
        for part in response.parts:
            if isinstance(part, ThinkingPart) and part.content.strip():
                await self._ctx.think(part.content)
        return response

    def _host(self) -> str | None:
        """The server that is asked, which rests after repeated failures."""
        return host_of(self.wrapped.base_url or "")

    async def _stream(
        self, messages: list[ModelMessage], settings: ModelSettings | None, parameters: ModelRequestParameters
    ) -> ModelResponse:
        opened = False
        try:
            async with self.wrapped.request_stream(messages, settings, parameters) as stream:
                opened = True
                async for event in stream:
                    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                        await self._text.add(event.part.content)
                    elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                        await self._text.add(event.delta.content_delta)
                return stream.get()
        except (NotImplementedError, AssertionError):
            if opened:
                raise
        # A model that cannot stream.
        response = await self.wrapped.request(messages, settings, parameters)
        for part in response.parts:
            if isinstance(part, TextPart):
                await self._text.add(part.content)
        return response

    def _count(self, response: ModelResponse) -> None:
        try:
            cost = float(response.cost().total_price)
        except (LookupError, ValueError, AssertionError):  # a model nobody has a price for
            cost = 0.0
        usage = response.usage
        try:
            self._ctx.add_usage(usage.input_tokens, usage.output_tokens, cost)
        except (TypeError, ValueError) as error:  # what a provider says of itself must not cost the user the answer
            log.warning("usage_not_counted", run_id=self._ctx.run_id, model=response.model_name, error=str(error))


def host_of(url: str) -> str | None:
    """The server a URL names, with its port unless that is its scheme's own; None where it names none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, _PORTS.get(parts.scheme)) else f"{shown}:{port}"


def _marked(tool: ToolsetTool[Any], arguments: dict[str, Any]) -> tuple[ToolMark | None, Isolated | None]:
    """What `@tool` says of the function behind a tool, and its call if that belongs into a process of its own."""
    schema = getattr(getattr(tool, "call_func", None), "__self__", None)  # pydantic-ai's, around the function
    function = getattr(schema, "function", None)
    if not callable(function):
        return None, None
    mark = mark_of(function)
    if not mark.process:
        return mark, None
    if getattr(schema, "takes_ctx", False):
        raise AgentError(
            f"The tool {mark.name!r} cannot run in a process of its own: it takes pydantic-ai's context, which is here."
        )
    named = dict(arguments)
    args = [named.pop(each) for each in getattr(schema, "positional_fields", ())]
    rest = getattr(schema, "var_positional_field", None)
    args.extend(named.pop(rest, ()) if rest else ())
    return mark, isolated(function, tuple(args), named, mark)


@dataclass
class _Tools(WrapperToolset[Any]):
    """A toolset whose calls are durable steps that people see."""

    ctx: RunContext

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: ToolContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        async def call() -> Any:
            value = await self.wrapped.call_tool(name, tool_args, ctx, tool)
            return value.return_value if isinstance(value, ToolReturn) else value

        description = tool.tool_def.description
        purpose = description.strip().splitlines()[0] if description and description.strip() else None
        mark, apart = _marked(tool, tool_args)
        made = ToolCall(
            name=name,
            purpose=purpose,
            parameters=plain(tool_args),
            work=call,
            isolated=apart,
            timeout=None if mark is None else mark.timeout,
            host=None if mark is None else mark.host,
        )
        try:
            return await self.ctx.port.tool(self.ctx.agent_name, made)
        except AgentError as error:
            if error.details.get("type") == ModelRetry.__name__:  # recorded before a crash
                raise ModelRetry(error.message) from error
            raise


def _history(ctx: RunContext) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    for turn in ctx.history:
        if turn.answer:
            question = turn.question + _named(turn.attachments)
            messages.append(ModelRequest(parts=[UserPromptPart(content=question)]))
            messages.append(ModelResponse(parts=[TextPart(content=turn.answer)]))
    return messages


def _prompt(ctx: RunContext) -> str | Sequence[UserContent]:
    attachments = ctx.message.attachments
    text = ctx.message.content + _named(attachments)
    images = [
        BinaryContent(file.path.read_bytes(), media_type=file.media_type)
        for file in attachments
        if file.media_type.startswith("image/") and file.size <= IMAGE_BYTES
    ]
    return [text, *images] if images else text  # plain text where it will do: not every server takes parts


def _named(files: Sequence[File]) -> str:
    return "\n\nAttached: " + ", ".join(file.name for file in files) if files else ""
