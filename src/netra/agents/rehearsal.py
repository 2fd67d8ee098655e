"""Run an agent without a server, in memory: for the tests of people who write agents, and for trying one out.

rehearsal = Rehearsal("How much did I spend?", files=[Path("usage.csv")])
answer = await rehearsal.run(my_agent)
assert [step.kind for step in rehearsal.steps] == ["think", "tool"]
"""

from __future__ import annotations

import asyncio
import inspect
import mimetypes
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netra.identity.scope import Scope
from netra.ids import new_id

from .adapters import run_agent
from .context import (
    Answer,
    Budget,
    BudgetExceeded,
    Decision,
    File,
    Files,
    Message,
    RunContext,
    ToolCall,
    Turn,
    UsageCounter,
    current_step,
)
from .results import to_json

__all__ = ["Rehearsal", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """Something the agent showed. `kind` is think, tool, text or approval."""

    kind: str
    agent_name: str
    text: str
    parameters: dict[str, Any] | None = None
    result: Any = None
    error: str | None = None


class Rehearsal:
    """One run in memory.

    Args:
        content: the user's message.
        files: files on this machine that come with it.
        history: earlier turns.
        decisions: the answers to `ask_approval`, in order; then its default is taken.
        cost_usd: the budget; None for none.
        seconds: the time `ctx.budget` counts down from; nothing enforces it.
    """

    def __init__(
        self,
        content: str,
        *,
        files: Iterable[Path] = (),
        history: Iterable[Turn] = (),
        decisions: Iterable[Decision] = (),
        cost_usd: float | None = None,
        seconds: float = 600.0,
        agent_name: str = "agent",
    ) -> None:
        attachments = tuple(_file(path) for path in files)
        self.history = tuple(history)
        earlier = tuple(file for turn in self.history for file in turn.attachments)
        self.steps: list[Step] = []
        self.streamed = ""
        self._cancelled = threading.Event()
        self._decisions = list(decisions)
        self._budget = cost_usd
        self._until = time.monotonic() + seconds
        self.usage = UsageCounter()
        self.context = RunContext(
            run_id=new_id("run"),
            thread_id=new_id("thr"),
            agent_name=agent_name,
            attempt=1,
            scope=Scope(new_id("usr")),
            message=Message(new_id("msg"), content, attachments),
            history=self.history,
            files=Files(earlier + attachments),
            usage=self.usage,
            port=self,
        )

    async def run(self, agent: Any) -> Answer:
        """Run an agent in any of its forms; what it streamed is the text when it returned none."""
        answer = await run_agent(agent, self.context)
        return Answer(self.streamed if answer.text is None else answer.text, to_json(answer.result))

    @property
    def cancelled(self) -> threading.Event:
        return self._cancelled

    @property
    def budget(self) -> Budget:
        left = None if self._budget is None else max(0.0, self._budget - self.usage.cost_usd)
        return Budget(max(0.0, self._until - time.monotonic()), left)

    @property
    def executor(self) -> None:
        return None

    async def think(self, agent_name: str, text: str) -> None:
        self.steps.append(Step("think", agent_name, text))

    async def tool(self, agent_name: str, call: ToolCall) -> Any:
        token = current_step.set(f"{self.context.run_id}:{len(self.steps)}")
        try:
            if inspect.iscoroutinefunction(getattr(call.work, "func", call.work)):
                result = to_json(await call.work())
            else:
                value = await asyncio.to_thread(call.work)
                result = to_json(await value if inspect.isawaitable(value) else value)
        except Exception as error:
            self.steps.append(Step("tool", agent_name, call.name, call.parameters, error=str(error)))
            raise
        finally:
            current_step.reset(token)
        self.steps.append(Step("tool", agent_name, call.name, call.parameters, result))
        return result

    async def step(
        self, agent_name: str, name: str, work: Callable[[], Awaitable[Any]], *, host: str | None = None
    ) -> Any:
        return to_json(await work())

    async def stream(self, agent_name: str, text: str) -> None:
        self.streamed += text
        self.steps.append(Step("text", agent_name, text))

    async def ask_approval(
        self,
        agent_name: str,
        prompt: str,
        *,
        schema: Mapping[str, Any] | None,
        tool_call_id: str | None,
        expires_in: float,
        default: str,
    ) -> Decision:
        decision = self._decisions.pop(0) if self._decisions else Decision(default, None, "timeout")
        self.steps.append(Step("approval", agent_name, prompt, result=decision.decision))
        return decision

    def progress(self, note: str | None) -> None:
        pass  # a rehearsal has no one who watches

    def add_usage(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        self.usage.add(input_tokens, output_tokens, cost_usd)
        if self._budget is not None and self.usage.cost_usd > self._budget:
            raise BudgetExceeded(f"This run may spend ${self._budget:.2f} on models and has spent more.")


def _file(path: Path) -> File:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(new_id("fil"), path.name, path.stat().st_size, kind, path)
