"""One attempt at one run, from its beginning to its end.

The agent runs in a task of its own. Whatever happens first ends the run: the agent's answer or error, a cancel, the
deadline, or the log's refusal. The end is stored at once, in one transaction; a task that has not stopped by then can
store nothing more. An attempt that is left (the server stops) stores no end: the next start carries on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from netra.agents.adapters import run_agent
from netra.agents.context import Answer, Budget, RunContext, UsageCounter
from netra.agents.results import storable, to_json
from netra.clock import rfc3339
from netra.errors import AgentError, CircuitOpen, IllegalTransition, NetraError, Unavailable
from netra.events import AgentCompleted, Failure, RunStatus, TextDelta, Usage
from netra.executions.breaker import Admission
from netra.ids import new_id
from netra.log import Entry, Fence, Fenced
from netra.monitoring import tracing

from .durable import StepsDiffer
from .failures import failure_of
from .outbox import Outbox
from .port import MOST_ANSWER_CHARS, TOO_LONG, DurablePort, Flood
from .runs import Attempt, End, Note, end
from .time_limit import TimeLimit, seconds_left
from .tracking import Tracked
from .turns import read_past
from .watchdog import LoopHeld, agent_task
from .workshop import Workshop

T = TypeVar("T")

log = structlog.get_logger(__name__)

STOP_SECONDS = 5.0
"""How long an agent that was told to stop may take before that is logged."""
RETRY_SECONDS = 0.2
_BREAKS: frozenset[str] = frozenset({"timed_out", "stalled", "died"})
_UNFORESEEN = frozenset({"internal", "not_repeatable"})
"""What speaks against an agent, and not against what its user asked for (see `netra.executions.breaker`)."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """How an attempt went."""

    status: RunStatus
    text: str | None = None
    result: Any = None
    error: Failure | None = None


class Left(Exception):
    """The attempt stops without an end; somebody else carries on."""


class Execution:
    """See the module. `run` once."""

    def __init__(self, workshop: Workshop, attempt: Attempt, tracked: Tracked) -> None:
        self.attempt = attempt
        self.tracked = tracked
        self._began = workshop.clock.monotonic()
        self.seconds = 0.0
        """How long the run took, once it has ended."""
        self.error: str | None = None
        """Why it ended, once it has."""
        self._code: str | None = None
        self._question = ""
        self._text: str | None = None
        self._is_left = False
        self._admission: Admission | None = None
        self._workshop = workshop
        self._usage = UsageCounter()
        self._interrupted: asyncio.Future[AttemptOutcome] = asyncio.get_running_loop().create_future()
        self._time = TimeLimit(seconds_left(workshop.settings, attempt), self._time_is_up)
        self._outbox = Outbox(workshop.log, attempt.thread_id, Fence(attempt.run_id, attempt.number), self._refused)
        self._port = DurablePort(
            attempt,
            durable=workshop.durable,
            outbox=self._outbox,
            threads=workshop.threads,
            processes=workshop.processes,
            breakers=workshop.breakers,
            desk=workshop.desk,
            clock=workshop.clock,
            usage=self._usage,
            budget_usd=workshop.settings.run_cost_usd,
            left=self._budget,
            flooded=self._flooded,
            pause=self._pause,
            tracked=tracked,
        )

    def cancel(self) -> None:
        """End the run as cancelled, at once."""
        self._interrupt(AttemptOutcome("cancelled"))

    def leave(self) -> None:
        """Stop without an end, unless it is being stored at this moment and the database takes it."""
        self._is_left = True
        self._interrupt(Left())

    def condemn(self, status: RunStatus, reason: str) -> None:
        """End the run at once, as the detector has judged."""
        if status == "timed_out":
            self._time_is_up()
        else:
            self._interrupt(AttemptOutcome(status, error=Failure(code=status, message=reason)))

    def held_loop(self, where: str) -> None:
        """End the run, whose code has held the event loop; whatever it makes of the interruption."""
        self._interrupt(self._held(where))

    @property
    def note(self) -> Note:
        """What the run has taken of its limits."""
        worked = self._workshop.settings.run_seconds - self._time.left
        return Note(self.attempt, worked, self._spent_usd())

    async def run(self) -> RunStatus | None:
        """Work until the run has ended.

        Returns:
            How it ended, or None when it had ended elsewhere.

        Raises:
            Left: the attempt was left, or a newer one has begun.
        """
        if self.attempt.cancelled:
            self.cancel()
        self._time.start()
        task = asyncio.current_task()
        self.tracked.starting(lambda: task is not None and not task.done())
        body = agent_task(self.attempt.run_id, self._agent(), name=f"agent {self.attempt.run_id}")
        try:
            first: set[asyncio.Future[Any]] = {body, self._interrupted}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._interrupted.done():
                outcome = self._interrupted.result()
                self._halt(body)
            else:
                outcome = self._outcome_of(body)
            return await self._end(outcome)
        finally:
            self._time.stop()
            self._halt(body)
            if not self._interrupted.done():
                self._interrupted.cancel()
            await self._outbox.close()

    async def _agent(self) -> Answer:
        attempt, workshop = self.attempt, self._workshop
        if attempt.exhausted:
            raise _Ended(
                AttemptOutcome(
                    "died",
                    error=Failure(
                        code="died", message=f"The server stopped {attempt.number - 1} times while working on this."
                    ),
                )
            )
        spec = workshop.agents.get(attempt.agent)
        if spec is None:
            names = ", ".join(workshop.agents)
            raise AgentError(f"There is no agent {attempt.agent!r} on this server any more. Agents: {names}.")
        self._admission = workshop.breakers.get("agent", attempt.agent).admit()
        past = await _patiently(lambda: read_past(workshop.database, attempt, workshop.files_dir))
        self._question = past.message.content
        context = RunContext(
            run_id=attempt.run_id,
            thread_id=attempt.thread_id,
            agent_name=attempt.agent,
            attempt=attempt.number,
            scope=attempt.scope,
            message=past.message,
            history=past.history,
            files=past.files,
            usage=self._usage,
            port=self._port,
        )
        self.tracked.working()
        answer = await run_agent(spec.target, context)
        try:
            text = None if answer.text is None else storable(answer.text)
            if text is not None and len(text) > MOST_ANSWER_CHARS:
                raise Flood(TOO_LONG)
            return Answer(text, to_json(answer.result))
        except TypeError as error:
            raise AgentError(f"The agent's result cannot be stored: {error}") from error

    def _outcome_of(self, body: asyncio.Task[Answer]) -> AttemptOutcome:
        if body.cancelled():  # the agent cancelled itself
            return AttemptOutcome("failed", error=self._unexpected(asyncio.CancelledError()))
        error = body.exception()
        match error:
            case None:
                answer = body.result()
                return AttemptOutcome("succeeded", answer.text, answer.result)
            case _Ended():
                return error.outcome
            case LoopHeld():
                return self._held(str(error))
            case NetraError() if self._outbox.refused:
                raise Left from error
            case CircuitOpen():
                return AttemptOutcome("failed", error=Failure(**_shown(error)))
            case AgentError():
                return AttemptOutcome("failed", error=Failure(code=error.code, message=storable(error.message)))
            case _:
                return AttemptOutcome("failed", error=self._unexpected(error))

    def _held(self, where: str) -> AttemptOutcome:
        seconds = self._workshop.settings.loop_stall_seconds
        message = (
            f"The agent held up the whole server for {seconds:g} seconds, at {where}. "
            "Blocking work belongs into a tool: await ctx.tool(function, …) runs it in a thread."
        )
        return AttemptOutcome("stalled", error=Failure(code="loop_held", message=message))

    def _unexpected(self, error: BaseException) -> Failure:
        run_id = self.attempt.run_id
        log.error("agent_failed", run_id=run_id, agent=self.attempt.agent, exc_info=error)
        if isinstance(error, StepsDiffer):
            return Failure(
                code="not_repeatable",
                message="The agent took other steps after the restart than before it, so its work cannot go on.",
            )
        return Failure(code="internal", message=f"The agent failed unexpectedly. The server's log names it {run_id}.")

    async def _end(self, outcome: AttemptOutcome) -> RunStatus | None:
        self._time.stop()
        self._port.close()
        self.tracked.finalising()
        # Streamed text that is not stored yet would be removed in the same breath.
        left = tuple(each for each in await self._outbox.close() if not isinstance(each.event, TextDelta))
        try:
            return await self._store_end(outcome, self._spent(), left)
        except (Left, IllegalTransition):
            raise
        except Exception as error:  # noqa: BLE001 - logged; what could not be stored must not keep the run from ending
            return await self._store_end(AttemptOutcome("failed", text="", error=self._unexpected(error)), Usage(), ())

    def _spent(self) -> Usage:
        return Usage(
            input_tokens=self._usage.input_tokens,
            output_tokens=self._usage.output_tokens,
            cost_usd=round(self._usage.cost_usd, 9),
        )

    async def _store_end(self, outcome: AttemptOutcome, usage: Usage, left: tuple[Entry, ...]) -> RunStatus | None:
        text = self._text = outcome.text if outcome.text is not None else self._port.streamed
        event_id, timestamp = new_id("evt"), rfc3339(self._workshop.clock.now())
        attempt = self.attempt

        def completed(row: Any, milliseconds: int) -> AgentCompleted:
            self.seconds = milliseconds / 1000
            return AgentCompleted(
                event_id=event_id,
                thread_id=attempt.thread_id,
                run_id=attempt.run_id,
                user_id=attempt.scope.user_id,
                agent_name=attempt.agent,
                timestamp=timestamp,
                status=outcome.status,
                final_response=text,
                result=outcome.result,
                error=outcome.error,
                duration_ms=milliseconds,
                usage=usage,
            )

        if outcome.error is not None:
            self.error, self._code = outcome.error.message, outcome.error.code
        how = End(attempt.run_id, outcome.status, attempt.number, completed, usage, left)
        try:
            return await _patiently(
                lambda: self._workshop.log.transact(lambda tx: end(tx, how)), give_up=lambda: self._is_left
            )
        except (Fenced, Unavailable) as error:
            raise Left from error

    def traced_end(self, status: str) -> tracing.TracedEnd:
        """What the run's trace says of its end, once it has ended like that."""
        attempt, text = self.attempt, self._text
        now = self._workshop.clock.monotonic()
        return tracing.TracedEnd(
            run_id=attempt.run_id,
            thread_id=attempt.thread_id,
            user_id=attempt.scope.user_id,
            agent=attempt.agent,
            status=status,
            attempts=attempt.number,
            seconds=max(self.seconds, now - self._began),
            last_seconds=now - self._began,
            tokens=(self._usage.input_tokens, self._usage.output_tokens),
            cost_usd=self._usage.cost_usd,
            error=self._code,
            content=None if text is None else (self._question, text),
        )

    def judge_agent(self, status: RunStatus | None) -> None:
        """Tell the agent's breaker how it did; None when the run ended elsewhere or goes on there."""
        if self._admission is None:
            return
        breaker = self._workshop.breakers.get("agent", self.attempt.agent)
        if status == "succeeded":
            breaker.succeeded(self._admission)
        elif status in _BREAKS or (status == "failed" and self._code in _UNFORESEEN):
            breaker.failed(f"{status}: {self.error}", self._admission)
        else:
            breaker.ignored(self._admission)

    # What can interrupt

    def _interrupt(self, outcome: AttemptOutcome | Left) -> None:
        if self._interrupted.done():
            return
        if isinstance(outcome, Left):
            self._interrupted.set_exception(outcome)
            self._interrupted.exception()
        else:
            self._interrupted.set_result(outcome)

    def _flooded(self, error: Flood) -> None:
        self._interrupt(AttemptOutcome("failed", error=Failure(code=error.code, message=error.message)))

    def _refused(self, error: Exception) -> None:
        if not isinstance(error, NetraError):
            log.error("append_refused", run_id=self.attempt.run_id, exc_info=error)
            self._interrupt(AttemptOutcome("failed", error=self._unexpected(error)))
            return
        self._interrupt(Left())

    def _budget(self) -> Budget:
        limit = self._workshop.settings.run_cost_usd
        return Budget(self._time.left, None if limit is None else max(0.0, limit - self._spent_usd()))

    def _spent_usd(self) -> float:
        # What an interrupted step had spent is in the note of the attempt before, and in no record.
        return max(self.attempt.spent_usd, self._usage.cost_usd)

    def _pause(self, waits: bool) -> None:
        self.tracked.waiting(waits)
        self._time.pause(waits)

    def _time_is_up(self) -> None:
        seconds = self._workshop.settings.run_seconds
        self._interrupt(
            AttemptOutcome("timed_out", error=Failure(code="timed_out", message=f"A run may take {seconds:g} seconds."))
        )

    def _halt(self, body: asyncio.Task[Answer]) -> None:
        """Tell the agent to stop, and see that somebody notices when it does not."""
        self._port.close()
        if body.done():
            if not body.cancelled():
                body.exception()
            return
        if body.cancelling():
            return
        body.cancel()
        run_id, agent = self.attempt.run_id, self.attempt.agent
        handle = asyncio.get_running_loop().call_later(
            STOP_SECONDS, lambda: log.warning("agent_does_not_stop", run_id=run_id, agent=agent)
        )

        def stopped(task: asyncio.Task[Answer]) -> None:
            handle.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                task.exception()

        body.add_done_callback(stopped)


def _shown(error: CircuitOpen) -> dict[str, str]:
    failure = failure_of(error)
    return {"code": failure["code"], "message": failure["message"]}


class _Ended(Exception):
    """Carries an outcome out of the agent's task."""

    def __init__(self, outcome: AttemptOutcome) -> None:
        self.outcome = outcome


async def _patiently(work: Callable[[], Awaitable[T]], *, give_up: Callable[[], bool] = lambda: False) -> T:
    """Repeat `work` while the database is away; the caller's deadline may cancel it.

    Raises:
        Unavailable: it is away still, and `give_up` says True.
    """
    while True:
        try:
            return await work()
        except Unavailable:
            if give_up():
                raise
            await asyncio.sleep(RETRY_SECONDS)
