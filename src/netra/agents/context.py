"""What an agent is given: one `RunContext` for each run, and the plain values it works with.

An agent sees its message, the thread's history and files through this object and shows its work through it: thoughts,
tools, streamed text, questions to a person. The context itself does no work. It hands every call to a `RunPort`, which
`netra.engine` implements with durable steps and the thread log, and `netra.agents.rehearsal` in memory.

After a crash the agent's function runs again from its first line. Steps that had finished give their recorded results
and are not shown twice, so an agent must do the same things in the same order between its steps.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

from netra.errors import AgentError
from netra.identity.scope import Scope

from .tools import Isolated, describe

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""What a result or a payload may be made of."""

__all__ = [
    "JSON",
    "Answer",
    "Budget",
    "BudgetExceeded",
    "Decision",
    "File",
    "Files",
    "Message",
    "RunCancelled",
    "RunContext",
    "RunPort",
    "Thought",
    "ToolCall",
    "Turn",
    "UsageCounter",
]


MOST_TOKENS = 10**15
MOST_USD = 10**9
"""More than any run can have spent: a figure beyond is a mistake, and one that JSON and databases can still hold."""


class BudgetExceeded(AgentError):
    """The run has spent more on models than `run_cost_usd` allows; it ends as failed."""

    code: ClassVar[str] = "budget_exceeded"


class RunCancelled(AgentError):
    """Raised by `RunContext.check_cancelled` when the run has ended: stop working."""

    code: ClassVar[str] = "cancelled"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the thread. `path` is a real path on this machine's disk, to be read and not written."""

    id: str
    name: str
    size: int
    media_type: str
    path: Path


@dataclass(frozen=True, slots=True)
class Message:
    """What the user wrote, with the files that came with it."""

    id: str
    content: str
    attachments: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and its answer. `agent` gave the answer; `result` is its structured part."""

    question: str
    answer: str
    attachments: tuple[File, ...] = ()
    result: Any = None
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent returns.

    Args:
        text: the answer as Markdown; None when it was streamed.
        result: structured JSON that programs and the page read, such as `{"charts": […]}`.
    """

    text: str | None = None
    result: Any = None


@dataclass(frozen=True, slots=True)
class Thought:
    """Yielded by an async generator to show a step of reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's answer to `ask_approval`. `by` is a user id, or `timeout` when nobody answered in time."""

    decision: str
    payload: Any
    by: str


class Files:
    """Every file of the thread, oldest first, including those of the present message."""

    __slots__ = ("_files",)

    def __init__(self, files: tuple[File, ...] = ()) -> None:
        self._files = files

    def all(self) -> tuple[File, ...]:
        """The files, oldest first."""
        return self._files

    def get(self, file_id: str) -> File | None:
        """The file with this id, or None."""
        return next((file for file in self._files if file.id == file_id), None)

    def __iter__(self) -> Iterator[File]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@dataclass(slots=True)
class UsageCounter:
    """What a run has spent on models so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def add(self, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Count more.

        Raises:
            ValueError: tokens that are no whole number, or something negative, not finite or too large to be true;
                then nothing is counted.
        """
        read = _total("input_tokens", self.input_tokens, input_tokens)
        written = _total("output_tokens", self.output_tokens, output_tokens)
        cost = float(cost_usd)
        if not 0 <= cost <= MOST_USD - self.cost_usd:  # also False for what is no number
            raise ValueError(f"cost_usd must be between 0 and {MOST_USD:,} in all, not {cost_usd!r}")
        self.input_tokens, self.output_tokens, self.cost_usd = read, written, self.cost_usd + cost


def _total(name: str, before: int, more: float) -> int:
    if not 0 <= more <= MOST_TOKENS - before or more != int(more):
        raise ValueError(f"{name} must be a whole number between 0 and {MOST_TOKENS:,} in all, not {more!r}")
    return before + int(more)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left to a run, all its attempts together. Never below 0; `cost_usd` is None where nothing limits it."""

    seconds: float
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the port carries it out.

    Args:
        parameters: what people see: JSON, secrets masked.
        work: makes the call.
        isolated: the same call, to be made in a process of its own instead.
        timeout: seconds it may take.
        host: the server it asks.
    """

    name: str
    purpose: str | None
    parameters: dict[str, Any]
    work: Callable[[], Any]
    isolated: Isolated | None = None
    timeout: float | None = None
    host: str | None = None


class RunPort(Protocol):
    """What carries out the calls of a `RunContext`."""

    @property
    def cancelled(self) -> threading.Event: ...

    @property
    def budget(self) -> Budget: ...

    @property
    def executor(self) -> Executor | None:
        """Where a framework's synchronous tools run; None for wherever it pleases."""
        ...

    async def think(self, agent_name: str, text: str) -> None: ...

    async def tool(self, agent_name: str, call: ToolCall) -> Any: ...

    async def step(
        self, agent_name: str, name: str, work: Callable[[], Awaitable[Any]], *, host: str | None = None
    ) -> Any: ...

    async def stream(self, agent_name: str, text: str) -> None: ...

    async def ask_approval(
        self,
        agent_name: str,
        prompt: str,
        *,
        schema: Mapping[str, Any] | None,
        tool_call_id: str | None,
        expires_in: float,
        default: str,
    ) -> Decision: ...

    def add_usage(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None: ...

    def progress(self, note: str | None) -> None: ...


current_step: ContextVar[str | None] = ContextVar("netra_current_step", default=None)
"""The idempotency key of the step that runs now; set by the port around each step."""


@dataclass(frozen=True, slots=True, eq=False)
class RunContext:
    """One run of one agent for one user. Nothing in it is shared with another run.

    Args:
        run_id: the run; the same after a crash.
        thread_id: the conversation.
        agent_name: who speaks; differs from the run's agent in a context made by `sub`.
        attempt: 1, and one more each time the run had to begin again.
        scope: whose data this run may touch.
        message: what the user wrote.
        history: earlier turns of the thread, oldest first.
        files: every file of the thread.
        usage: what the run has spent so far; add to it with `add_usage`.
        port: who carries out the calls.
    """

    run_id: str
    thread_id: str
    agent_name: str
    attempt: int
    scope: Scope
    message: Message
    history: tuple[Turn, ...]
    files: Files
    usage: UsageCounter
    port: RunPort = field(repr=False)

    async def think(self, text: str) -> None:
        """Show a step of reasoning, as text for people."""
        await self.port.think(self.agent_name, text)

    async def tool(
        self,
        fn: Callable[..., Any],
        /,
        *args: Any,
        name: str | None = None,
        purpose: str | None = None,
        process: bool | None = None,
        **parameters: Any,
    ) -> Any:
        """Run `fn(*args, **parameters)` as a durable step that people can see.

        A coroutine function runs on the event loop, any other in a bounded pool of threads or, with `process`, in a
        process of its own, which is killed when the run ends. The result must be
        JSON-serialisable and comes back as JSON (tuples as lists), the same now and after a crash. It is recorded: a
        step that has finished is not run again.

        Args:
            fn: the tool; its `@tool` mark gives name and purpose unless they are given here.
            name: what to call it in the timeline.
            purpose: why it is called, for people.
            process: whether it runs in a process of its own; default: what its mark says.

        Raises:
            ToolDied: its process crashed, was killed, or needed too much memory (`ToolOutOfMemory`).
            ToolTimedOut: it took longer than its mark allows.
            CircuitOpen: the host that its mark names has failed repeatedly.
            Exception: whatever `fn` raised; after a crash an `AgentError` with the same message.
            TypeError: the result is not JSON-serialisable.
        """
        call = describe(fn, args, parameters, name=name, purpose=purpose, process=process)
        return await self.port.tool(self.agent_name, call)

    async def step(
        self, fn: Callable[..., Awaitable[Any]], /, *args: Any, name: str | None = None, **parameters: Any
    ) -> Any:
        """Run `fn(*args, **parameters)` as a durable step that nobody sees, such as a model request."""
        label = name or str(getattr(fn, "__name__", type(fn).__name__))
        return await self.port.step(self.agent_name, label, lambda: fn(*args, **parameters))

    async def stream(self, text: str) -> None:
        """Append to the answer while it is being made."""
        await self.port.stream(self.agent_name, text)

    async def ask_approval(
        self,
        prompt: str,
        *,
        schema: dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        expires_in: float = 3600,
        default: str = "denied",
    ) -> Decision:
        """Ask the user, and wait for the decision; it survives restarts of the server.

        Args:
            prompt: the question.
            schema: JSON Schema of the payload that may come with the decision, for whoever draws a form; what comes
                back is not checked against it.
            tool_call_id: the tool call that waits for it.
            expires_in: seconds until `default` is taken as the decision.
            default: the decision when nobody answers.
        """
        return await self.port.ask_approval(
            self.agent_name, prompt, schema=schema, tool_call_id=tool_call_id, expires_in=expires_in, default=default
        )

    def add_usage(self, input_tokens: int = 0, output_tokens: int = 0, cost_usd: float = 0.0) -> None:
        """Count what a model call has spent.

        Raises:
            BudgetExceeded: the run has spent more than it may.
            ValueError: figures that cannot be (see `UsageCounter.add`).
        """
        self.port.add_usage(input_tokens, output_tokens, cost_usd)

    def progress(self, note: str | None = None) -> None:
        """Say that the run gets on, during work that is long and quiet; one without progress ends as stalled.

        Every thought, tool, word and model request says so by itself. May be called from a tool's thread.

        Args:
            note: what it does, for administrators, who see the latest ones; the conversation does not show it.
        """
        self.port.progress(note)

    @property
    def budget(self) -> Budget:
        """What the run has left: seconds until its deadline (waiting for a person is free) and dollars for models."""
        return self.port.budget

    def sub(self, name: str) -> RunContext:
        """The same run seen as a sub-agent: its events carry `name`."""
        return replace(self, agent_name=name)

    @property
    def cancelled(self) -> threading.Event:
        """Set when the run has been cancelled, has run out of time or has ended; for work in threads."""
        return self.port.cancelled

    def check_cancelled(self) -> None:
        """Raise when the run is over; for long synchronous work.

        Raises:
            RunCancelled: the run was cancelled, has run out of time or has ended.
        """
        if self.port.cancelled.is_set():
            raise RunCancelled("The run has ended.")

    @property
    def idempotency_key(self) -> str | None:
        """Inside a tool: a key that is the same each time this step is tried, to be sent with side effects."""
        return current_step.get()
