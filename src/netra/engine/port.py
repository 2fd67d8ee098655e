"""The `RunPort` of a real run: what an agent does becomes events in the log and recorded steps in the engine.

Each thought, tool and question has a number, in the order in which the agent asks. The number makes its events'
keys, so that after a crash the same step finds its events there and its result recorded. Inside a tool numbers have
a second part: they belong to the tool, which is recorded as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import msgspec
import structlog

from netra.agents.context import Budget, BudgetExceeded, Decision, RunCancelled, ToolCall, UsageCounter, current_step
from netra.agents.results import encode_json, shorten, storable
from netra.agents.tools import ToolTimedOut
from netra.clock import Clock, rfc3339
from netra.errors import AgentError
from netra.events import AgentThinking, Event, Failure, ToolCompleted, ToolExecuting
from netra.executions import Breakers, Phase
from netra.ids import new_id
from netra.log import Entry
from netra.monitoring import tracing

from .approvals import ApprovalDesk
from .durable import Durable, Place
from .failures import failure_of, host_failed, rebuilt
from .outbox import Outbox
from .runs import Attempt
from .streamed import StreamedAnswer
from .tool_processes import ToolProcesses
from .tool_threads import ToolThreads
from .tracking import Tracked

log = structlog.get_logger(__name__)

MOST_STEPS = 10_000
TOO_MANY = f"A run may take {MOST_STEPS:,} steps."
MOST_ANSWER_CHARS = 4_000_000
SHOWN_BYTES = 32 * 1024
"""Of a thought, a question or a purpose, which are for people to read; the rest is cut."""
TOO_LONG = f"An answer may have {MOST_ANSWER_CHARS:,} characters."
MOST_RESULT_BYTES = 16 * 1024 * 1024
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


OpenedSpan = Callable[[], AbstractContextManager[tracing.Traced | None]]


class Flood(AgentError):
    """The agent has taken more steps or written more text than a run may."""

    code = "too_much"


class DurablePort:
    """See the module.

    Args:
        usage: the run's counter, shared with its context.
        budget_usd: what the run may spend on models; None for no limit.
        left: says what is left of the run's limits.
        flooded: called when the agent has done more than a run may; the run must end, whatever the agent makes of it.
        pause: called with True when the run begins to wait for a person, with False when it goes on.
        tracked: told what the run does.
    """

    def __init__(
        self,
        attempt: Attempt,
        *,
        durable: Durable,
        outbox: Outbox,
        threads: ToolThreads,
        processes: ToolProcesses,
        breakers: Breakers,
        desk: ApprovalDesk,
        clock: Clock,
        usage: UsageCounter,
        budget_usd: float | None,
        left: Callable[[], Budget],
        flooded: Callable[[Flood], None],
        pause: Callable[[bool], None],
        tracked: Tracked,
    ) -> None:
        self._attempt = attempt
        self._durable = durable
        self._outbox = outbox
        self._threads = threads
        self._processes = processes
        self._breakers = breakers
        self._desk = desk
        self._clock = clock
        self._usage = usage
        self._budget = budget_usd
        self._left = left
        self._flooded = flooded
        self._pause = pause
        self._tracked = tracked
        self._cancelled = threading.Event()
        self._first = attempt.number == 1
        self._steps = 0
        self._inner: defaultdict[str, int] = defaultdict(int)
        self._spent: dict[str, UsageCounter] = {}
        self._answer = StreamedAnswer(attempt, put=self._put, head=self._head)

    @property
    def cancelled(self) -> threading.Event:
        return self._cancelled

    @property
    def budget(self) -> Budget:
        return self._left()

    @property
    def executor(self) -> Executor:
        return self._threads

    @property
    def streamed(self) -> str:
        """The answer as far as it was streamed."""
        return self._answer.text

    def close(self) -> None:
        """The run is over: whatever its agent still tries, fails."""
        self._cancelled.set()
        self._processes.end_run(self._attempt.run_id)
        self._answer.close()

    # What agents call

    async def think(self, agent_name: str, text: str) -> None:
        key, _ = self._number(durable=False)
        self._put(
            f"{key}:thought",
            AgentThinking(**self._head(agent_name), step_number=self._steps, reasoning=shorten(text, SHOWN_BYTES)),
        )
        await self._wait_if_full()

    async def tool(self, agent_name: str, call: ToolCall) -> Any:
        key, place = self._number()
        call_id = stable_id("call", key)
        name = shorten(call.name, SHOWN_BYTES)
        self._put(
            f"{key}:executing",
            ToolExecuting(
                **self._head(agent_name),
                tool_call_id=call_id,
                tool_name=name,
                parameters=call.parameters,
                tool_purpose=shorten(call.purpose, SHOWN_BYTES) if call.purpose else None,
            ),
        )
        await self._outbox.flush()  # what a tool is about to do must be known before it does it
        with self._tracked.step(Phase.TOOL, name):
            record, raised = await self._recorded(
                name,
                key,
                place,
                partial(self._asking, call.host, partial(self._timed, call)),
                partial(tracing.tool, agent_name, name, call_id, call.parameters),
            )
        failure = record.get("e")
        self._put(
            f"{key}:completed",
            ToolCompleted(
                **self._head(agent_name),
                tool_call_id=call_id,
                tool_name=name,
                success=failure is None,
                results=record.get("v"),
                error=Failure(code=failure["code"], message=failure["message"]) if failure else None,
                duration_ms=record["ms"],
            ),
        )
        return self._outcome(record, raised)

    async def step(
        self, agent_name: str, name: str, work: Callable[[], Awaitable[Any]], *, host: str | None = None
    ) -> Any:
        key, place = self._number()
        name = storable(name)
        with self._tracked.step(Phase.MODEL, name):
            record, raised = await self._recorded(
                name, key, place, partial(self._asking, host, work), partial(tracing.step, agent_name, name)
            )
        return self._outcome(record, raised)

    async def stream(self, agent_name: str, text: str) -> None:
        self._check_open()
        if not text:
            return
        text = storable(text)
        if self._answer.chars + len(text) > MOST_ANSWER_CHARS:
            self._answer.keep(text)
            raise self._flood(TOO_LONG)
        self._tracked.progressed = True
        self._answer.add(agent_name, text)
        await self._wait_if_full()

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
        key, _ = self._number(durable=False)
        await self._outbox.flush()
        self._pause(True)
        try:
            return await self._desk.ask(
                self._attempt,
                stable_id("apr", key),
                self._head(agent_name),
                prompt=shorten(prompt, SHOWN_BYTES),
                schema=dict(schema) if schema is not None else None,
                tool_call_id=tool_call_id,
                expires_in=expires_in,
                default=default,
            )
        finally:
            self._pause(False)

    def progress(self, note: str | None) -> None:
        self._check_open()
        self._tracked.progress(note)

    def add_usage(self, input_tokens: int, output_tokens: int, cost_usd: float) -> None:
        self._tracked.progressed = True
        self._usage.add(input_tokens, output_tokens, cost_usd)
        inside = current_step.get()
        if inside is not None and inside in self._spent:
            self._spent[inside].add(input_tokens, output_tokens, cost_usd)
        self._check_budget()

    # Steps

    def _number(self, *, durable: bool = True) -> tuple[str, Place | None]:
        """The key of the next step, and its place among the recorded ones unless it belongs to one of them."""
        self._check_open()
        inside = current_step.get()
        if inside is not None and inside.startswith(self._attempt.run_id):
            self._inner[inside] += 1
            if self._inner[inside] > MOST_STEPS:
                raise self._flood(TOO_MANY)
            return f"{inside}.{self._inner[inside]}", None
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise self._flood(TOO_MANY)
        return f"{self._attempt.run_id}:{self._steps}", self._durable.reserve() if durable else None

    async def _recorded(
        self, name: str, key: str, place: Place | None, work: Callable[[], Awaitable[Any]], opened: OpenedSpan
    ) -> tuple[dict[str, Any], Exception | None]:
        """The record of a step, and the exception it raised if it ran just now, in a span of its own."""
        raised: Exception | None = None
        ran = False

        async def attempt() -> str:
            nonlocal raised, ran
            ran = True
            spent = self._spent[key] = UsageCounter()
            token = current_step.set(key)
            started = self._clock.monotonic()
            record: dict[str, Any]
            try:
                with opened() as span:
                    result = await work()
                    value = encode_json(result)
                    if len(value) > MOST_RESULT_BYTES:
                        raise AgentError(f"The result of {name} is larger than {MOST_RESULT_BYTES >> 20} MiB.")
                    if span is not None:
                        span.result(result)
                record = {"v": msgspec.Raw(value)}
            except Exception as error:  # noqa: BLE001 - a tool may raise anything; the agent decides what to do about it
                raised = error
                record = {"e": failure_of(error)}
            finally:
                current_step.reset(token)
                self._spent.pop(key, None)
                around = self._spent.get(current_step.get() or "")
                if around is not None:  # only the outermost step is recorded, so it answers for those inside
                    around.add(spent.input_tokens, spent.output_tokens, spent.cost_usd)
            record["ms"] = max(0, round((self._clock.monotonic() - started) * 1000))
            if spent.input_tokens or spent.output_tokens or spent.cost_usd:
                record["u"] = [spent.input_tokens, spent.output_tokens, spent.cost_usd]
            return msgspec.json.encode(record).decode()

        if place is None:
            text = await attempt()
        else:
            text = await self._durable.step(place, name, attempt, first=self._first)
        found: dict[str, Any] = msgspec.json.decode(text)
        if not ran and (spent := found.get("u")):
            self._usage.add(*spent)
        return found, raised

    def _outcome(self, record: dict[str, Any], raised: Exception | None) -> Any:
        self._check_open()
        self._check_budget()
        if raised is not None:
            raise raised
        if (failure := record.get("e")) is not None:
            raise rebuilt(failure)
        return record.get("v")

    async def _asking(self, host: str | None, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do `work`, which asks a host, unless that has failed too often; and note how it went."""
        if host is None:
            return await work()
        breaker = self._breakers.get("host", host)
        admission = breaker.admit()
        try:
            result = await work()
        except BaseException as error:
            if host_failed(error):
                breaker.failed(f"{type(error).__name__}: {error}", admission)
            else:
                breaker.ignored(admission)
            raise
        breaker.succeeded(admission)
        return result

    async def _timed(self, call: ToolCall) -> Any:
        if call.timeout is None:
            return await self._make(call)
        try:
            async with asyncio.timeout(call.timeout) as limit:
                return await self._make(call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ToolTimedOut(f"{call.name} took longer than {call.timeout:g} seconds.") from error

    async def _make(self, call: ToolCall) -> Any:
        if call.isolated is not None:
            return await self._processes.run(call.isolated, self._attempt.run_id)
        work = call.work
        function = work
        while isinstance(function, partial):
            function = function.func
        if inspect.iscoroutinefunction(function):
            return await work()
        value = await self._threads.run(work)
        return await value if inspect.isawaitable(value) else value

    # Events

    def _head(self, agent_name: str) -> dict[str, Any]:
        return {
            "event_id": new_id("evt"),
            "thread_id": self._attempt.thread_id,
            "run_id": self._attempt.run_id,
            "user_id": self._attempt.scope.user_id,
            "agent_name": agent_name,
            "timestamp": rfc3339(self._clock.now()),
        }

    def _put(self, key: str, event: Event) -> None:
        self._tracked.progressed = True
        self._outbox.put(Entry(key, event))

    async def _wait_if_full(self) -> None:
        if self._outbox.full:
            await self._outbox.flush()

    def _flood(self, message: str) -> Flood:
        flood = Flood(message)
        self._flooded(flood)
        return flood

    def _check_open(self) -> None:
        if self._cancelled.is_set():
            raise RunCancelled("The run has ended.")

    def _check_budget(self) -> None:
        if self._budget is not None and self._usage.cost_usd > self._budget:
            raise BudgetExceeded(f"This run may spend ${self._budget:g} on models and has spent more.")


def stable_id(prefix: str, key: str) -> str:
    """An id that is the same each time the same step is tried."""
    number = int.from_bytes(hashlib.sha256(f"{prefix}:{key}".encode()).digest()[:17], "big")
    return prefix + "_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
