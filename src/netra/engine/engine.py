"""The engine: picks queued runs, sees each through to its end, and carries on what an earlier process left.

`netra.app` builds one and starts it after the database; `netra.chat` stores what is wanted and calls `wake`, `cancel`
or `signal`. A run starts within the transaction that claims it: its `agent_started` is stored before its workflow is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import structlog
from sqlalchemy import select

from netra.agents.spec import AgentSpec
from netra.clock import Clock
from netra.config import Settings
from netra.errors import NetraError, Unavailable
from netra.events import Failure, RunStatus
from netra.executions import AgentExecutionTracker, Breakers, get_execution_tracker
from netra.log import ThreadLog, Transaction
from netra.monitoring import tracing
from netra.monitoring.metrics import metrics
from netra.sessions import RequestScopedSessionFactory
from netra.storage.tables import runs

from .approvals import ApprovalDesk
from .detector import Detector
from .durable import Durable, Progress
from .ends import Ends
from .execution import Execution, Left
from .interface import EndedRun, OnEnded
from .ownership import Ownership
from .retention import Tidier
from .runs import Attempt, Claimed, Note, begin_again, claim, hand_over, is_queued, note
from .sweep import look
from .tool_processes import ToolProcesses
from .tool_threads import ToolThreads
from .workers import Worker
from .workshop import Workshop

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
NOTE_SECONDS = 5.0
"""How often is written down what running runs have taken of their limits; a crash loses as much of it at most."""
RETRY_SECONDS = 0.5
RETIRE_SECONDS = 2.0
"""How long a stopping server tries to say so in its worker's row."""


class Engine:
    """See the module; implements `RunEngine`.

    Args:
        settings: limits of runs.
        agents: by name.
        database: started before, stopped after.
        log: where events go.
        clock: the time.
        executor: this process's name among several on one database; the same after a restart.
        tracker: told of every run; None for the process's own.
        breakers: of agents and of the hosts of tools; None for ones of its own.
    """

    def __init__(
        self,
        settings: Settings,
        agents: dict[str, AgentSpec],
        database: RequestScopedSessionFactory,
        log: ThreadLog,
        clock: Clock,
        *,
        executor: str = "netra",
        tracker: AgentExecutionTracker | None = None,
        breakers: Breakers | None = None,
    ) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._database = database
        self._ownership = Ownership(settings.database, settings.data_dir)
        self._durable = Durable(settings.database, settings.data_dir, executor, self._work)
        self._desk = ApprovalDesk(log, clock)
        self._workshop = Workshop(
            settings,
            agents,
            database,
            log,
            self._durable,
            ToolThreads(settings.tool_workers),
            ToolProcesses(settings.tool_processes, settings.tool_memory_mb),
            breakers or Breakers(),
            self._desk,
            clock,
        )
        self._worker = Worker(clock)
        self._ends = Ends(database, log, clock)
        self._active: dict[str, Execution] = {}
        self._claimed: dict[str, Attempt] = {}
        self._beginning: set[str] = set()
        self._cancelled: set[str] = set()
        self._detector = Detector(
            settings,
            tracker or get_execution_tracker(),
            clock,
            active=self._active,
            is_coming=self._is_here,
            lost=self._end_outside,
            each_time=self._beat_while_draining,
        )
        self._tidier = Tidier(log, self._durable, clock, keep_days=settings.run_retention_days)
        self._launches: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._scheduler: asyncio.Task[None] | None = None
        self._draining = False
        self._leaving = False
        self._waiting = False
        self._in_doubt = False
        self._owner = False
        self._next_note = 0.0

    # RunEngine

    async def start(self) -> None:
        """See `RunEngine.start`.

        Raises:
            ConfigurationError: another process works on this database.
            Unavailable: the database cannot be reached.
        """
        if self._scheduler is not None:
            return
        self._draining = False
        await self._ownership.take()
        self._owner = True
        self._workshop = replace(self._workshop, threads=ToolThreads(self._settings.tool_workers))
        try:
            self._worker = Worker(self._clock)
            await self._log.transact(self._worker.register)  # before any work is taken
            await self._durable.start()
            await self._repair(fresh=True)
        except BaseException:
            await self._leave()
            raise
        self._scheduler = asyncio.create_task(self._schedule(), name="engine scheduler")
        self._tidier.start()
        self._detector.start()

    def begin_no_more(self) -> None:
        """See `RunEngine.begin_no_more`."""
        self._draining = True
        if self._scheduler is not None:
            self._scheduler.cancel()

    async def drain(self, seconds: float) -> None:
        """See `RunEngine.drain`."""
        self.begin_no_more()
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            await asyncio.wait([scheduler])
        await self._tidier.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._active or self._claimed or self._beginning:
                    self._ended.clear()
                    await self._ended.wait()

    async def stop(self) -> None:
        """See `RunEngine.stop`."""
        if self._scheduler is not None:
            await self.drain(self._settings.drain_seconds)
        elif not self._draining:
            return
        await self._leave()

    async def _leave(self) -> None:
        """Leave every run to the next start, and close."""
        self._draining = self._leaving = True
        left = [execution.attempt for execution in self._active.values()]
        notes = [execution.note for execution in self._active.values()]
        for execution in tuple(self._active.values()):
            execution.leave()
        for launch in tuple(self._launches):
            launch.cancel()
        if self._launches:
            await asyncio.wait(self._launches)
        left.extend(self._claimed.values())
        for run_id in self._claimed:
            self._detector.let_go(run_id)
        self._claimed.clear()
        await self._hand_over(left, notes)
        while self._active or self._beginning:
            self._ended.clear()
            await self._ended.wait()
        await self._detector.stop()  # not before: what ends while the server drains is judged as ever
        await self._durable.stop()
        with contextlib.suppress(Unavailable, TimeoutError):  # a worker that is not seen any more is as good
            async with asyncio.timeout(RETIRE_SECONDS):
                await self._log.transact(self._worker.retire)
        await self._ownership.release()
        self._owner = False
        self._workshop.threads.stop()
        self._cancelled.clear()
        self._draining = self._leaving = False

    async def _hand_over(self, left: Sequence[Attempt], notes: Sequence[Note] = ()) -> None:
        def work(tx: Transaction) -> None:
            note(tx, notes)
            hand_over(tx, left)

        if left:
            log.info("runs_left", runs=len(left))
            with contextlib.suppress(Unavailable):  # then it counts as a death, which is safe
                await self._log.transact(work)

    def wake(self) -> None:
        """See `RunEngine.wake`."""
        self._wake.set()

    async def cancel(self, run_id: str) -> None:
        """See `RunEngine.cancel`."""
        if self._cancel_here(run_id):
            return
        ended = await self._ends.store(run_id, "cancelled", None, unless=lambda tx: not is_queued(tx, run_id))
        if ended is None:
            self._cancel_here(run_id)  # it began meanwhile
        else:
            self._ends.tell(ended, None)

    def signal(self, approval_id: str) -> None:
        """See `RunEngine.signal`."""
        self._desk.signal(approval_id)

    def on_ended(self, callback: OnEnded) -> None:
        """See `RunEngine.on_ended`."""
        self._ends.on_ended(callback)

    # Picking

    async def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        next_sweep = 0.0
        while True:
            if not self._wake.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(next_sweep):
                        await self._wake.wait()
            self._wake.clear()
            free = max(0, self._settings.run_capacity - len(self._active) - len(self._claimed))
            try:
                if loop.time() >= next_sweep:
                    next_sweep = loop.time() + SWEEP_SECONDS
                    await self._own()
                    if self._owner:
                        await self._sweep(free)
                elif free and self._owner:
                    self._launch_all(await self._log.transact(lambda tx, free=free: self._claim(tx, free)))  # type: ignore[misc]
            except Unavailable:
                # Whether runs were claimed is not known: those that were are found by the repair.
                self._in_doubt = True
                self._wake.set()
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # the scheduler must outlive anything, and say so
                log.exception("scheduler_failed")
                await asyncio.sleep(RETRY_SECONDS)

    async def _own(self) -> None:
        """See whether this is the database's engine still. Who was not for a while does not know what happened."""
        was = self._owner
        self._owner = False
        self._owner = await self._ownership.check()
        if self._owner and not was:
            self._in_doubt = True

    def _claim(self, tx: Transaction, free: int) -> Claimed:
        return claim(
            tx,
            worker=self._worker.id,
            most=free,
            per_user=self._settings.runs_running,
            greeting=self._greeting,
        )

    async def _sweep(self, free: int) -> None:
        if self._in_doubt:
            self._in_doubt = False  # before: what comes up during the repair is for the next one
            try:
                await self._repair(fresh=False)
            except BaseException:
                self._in_doubt = True
                raise
        notes: list[Note] = []
        if (now := self._clock.monotonic()) >= self._next_note:
            self._next_note = now + NOTE_SECONDS
            notes = [execution.note for execution in self._active.values()]
        worker = self._worker if self._worker.due(busy=self._detector.watches) else None
        active, waiting = tuple(self._active), self._desk.waiting
        found = await self._log.transact(
            lambda tx: look(
                tx,
                worker=worker,
                notes=notes,
                active=active,
                waiting=waiting,
                claim=lambda tx: self._claim(tx, free) if free else Claimed((), True),
            )
        )
        self._launch_all(found.claimed)
        metrics.runs.labels("queued").set(found.queued)
        metrics.runs.labels("running").set(len(self._active))
        for approval_id in found.decided:
            self._desk.signal(approval_id)
        for run_id in found.lost:  # ended by another process, or deleted, while somebody here works on it
            if (execution := self._active.get(run_id)) is not None:
                execution.leave()
        for run_id in found.unwanted:
            await self.cancel(run_id)

    def _greeting(self, agent: str) -> tuple[str, dict[str, float]]:
        spec = self._workshop.agents.get(agent)
        limits = {"seconds": self._settings.run_seconds}
        if self._settings.run_cost_usd is not None:
            limits["cost_usd"] = self._settings.run_cost_usd
        return f"{spec.title if spec else agent} is starting.", limits

    def _launch_all(self, claimed: Claimed) -> None:
        self._waiting = claimed.waiting
        for attempt in claimed.attempts:
            self._claimed[attempt.run_id] = attempt
            self._detector.track(attempt)
            self._launch(attempt.run_id)

    def _launch(self, run_id: str) -> None:
        task = asyncio.create_task(self._launching(run_id), name=f"launch {run_id}")
        self._launches.add(task)
        task.add_done_callback(self._launches.discard)

    async def _launching(self, run_id: str) -> None:
        try:
            await self._durable.launch(run_id)
        except Exception:
            if self._claimed.pop(run_id, None) is not None:
                self._detector.let_go(run_id)
                self._cancelled.discard(run_id)
            self._ended.set()
            self._in_doubt = True  # the next sweep finds out what became of it
            log.exception("launch_failed", run_id=run_id)

    # Working

    async def _work(self, run_id: str) -> None:
        """One workflow: begin an attempt unless the claim has, and see it to the run's end."""
        attempt = self._claimed.pop(run_id, None)
        if run_id in self._active or run_id in self._beginning:
            raise asyncio.CancelledError  # the same run twice in one process: the first one carries on
        if attempt is None:
            self._beginning.add(run_id)
            try:
                attempt = await self._begin_again(run_id)
            finally:
                self._beginning.discard(run_id)
                self._ended.set()
            if attempt is None:
                self._cancelled.discard(run_id)
                return
            self._detector.track(attempt)
        if self._leaving:
            self._detector.let_go(run_id)
            await self._hand_over([attempt])
            raise asyncio.CancelledError
        execution = self._active[run_id] = Execution(self._workshop, attempt, self._detector.tracked(run_id))
        if run_id in self._cancelled:
            execution.cancel()
        started = self._clock.monotonic()
        ended: EndedRun | None = None
        session = self._database.scope(
            request_id=f"{run_id}.{attempt.number}",
            user_id=attempt.scope.user_id,
            thread_id=attempt.thread_id,
            run_id=run_id,
        )
        try:
            with session, tracing.attempt(run_id, attempt.number):
                ended = await self._see_through(execution)
        except Left:
            raise asyncio.CancelledError from None  # leaves the workflow open
        except asyncio.CancelledError:  # not by us
            self._in_doubt = True
            raise
        except Exception:
            self._in_doubt = True  # the run has no end: the next sweep gives it one
            log.exception("run_failed", run_id=run_id)
            raise
        finally:
            if self._active.get(run_id) is execution:
                del self._active[run_id]
            self._detector.let_go(run_id, None if ended is None else ended.status, execution.error)
            self._cancelled.discard(run_id)
            self._ended.set()
            if self._waiting:
                self._wake.set()
            if ended is not None:
                self._ends.tell(ended, self._clock.monotonic() - started)

    async def _see_through(self, execution: Execution) -> EndedRun | None:
        """Work until a run has ended; what somebody else has ended meanwhile is read from its row.

        Returns:
            Its end, or None when the run was deleted.

        Raises:
            Left: it goes on elsewhere, or later.
        """
        attempt = execution.attempt
        try:
            status = await execution.run()
        except Left:
            if self._leaving:
                raise
            execution.judge_agent(None)
            found = await self._ends.read(attempt.run_id)
            if found == "open":
                raise
            if found is not None:
                log.warning("run_ended_elsewhere", run_id=attempt.run_id, status=found.status)
                await self._tell_readers(attempt.thread_id)
            else:
                tracing.ended(execution.traced_end("deleted"))
            return found
        execution.judge_agent(status)
        if status is None:
            found = await self._ends.read(attempt.run_id)
            if found is None:
                tracing.ended(execution.traced_end("deleted"))
            return None if found == "open" else found
        tracing.ended(execution.traced_end(status))
        return EndedRun(
            attempt.run_id,
            attempt.scope.user_id,
            attempt.thread_id,
            attempt.agent,
            status,
            execution.seconds,
            attempt.number,
        )

    async def _tell_readers(self, thread_id: str) -> None:
        """What another process has stored nobody here has heard of."""
        with contextlib.suppress(NetraError):  # then they see it when they come back
            await self._log.announce(thread_id)

    async def _beat_while_draining(self) -> None:
        if self._draining and self._detector.watches:  # there are no sweeps any more
            await self._log.transact(self._worker.beat)

    async def _begin_again(self, run_id: str) -> Attempt | None:
        while True:
            if self._draining:
                raise asyncio.CancelledError
            if not self._owner:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                return await self._log.transact(
                    lambda tx: begin_again(
                        tx,
                        run_id,
                        worker=self._worker.id,
                        most_deaths=self._settings.run_attempts,
                        greeting=self._greeting,
                    )
                )
            except Unavailable:
                await asyncio.sleep(RETRY_SECONDS)

    # Tidying, repairing, and ending from outside

    async def tidy(self) -> None:
        """Forget what is over; see `Tidier`.

        Raises:
            Unavailable: the database is away.
        """
        await self._tidier.tidy()

    async def _repair(self, *, fresh: bool) -> None:
        """Bring together what our rows and DBOS say of running runs that nobody here works on."""
        async with self._database.read() as connection:
            rows = (
                await connection.execute(select(runs.c.id).where(runs.c.state == "running", runs.c.ended_at.is_(None)))
            ).scalars()
            orphans = [each for each in rows if not self._is_here(each)]
        for run_id, progress in (await self._durable.progress(orphans)).items():
            if self._is_here(run_id):
                continue
            try:
                await self._bring_together(run_id, progress, fresh=fresh)
            except Unavailable:
                raise
            except Exception:  # others must not stay without an end because of this one
                self._in_doubt = True
                log.exception("repair_failed", run_id=run_id)

    async def _bring_together(self, run_id: str, progress: Progress, *, fresh: bool) -> None:
        if progress == "unknown":
            self._launch(run_id)
        elif progress == "closed":
            log.error("run_without_end", run_id=run_id)
            await self._end_outside(run_id, "died", "The server lost this run's end.")
        elif not fresh:  # at the start DBOS itself carries on what is open
            await self._durable.resume(run_id)

    def _is_here(self, run_id: str) -> bool:
        return run_id in self._active or run_id in self._claimed or run_id in self._beginning

    def _cancel_here(self, run_id: str) -> bool:
        execution = self._active.get(run_id)
        if execution is not None:
            execution.cancel()
        elif run_id in self._claimed or run_id in self._beginning:
            self._cancelled.add(run_id)
        else:
            return False
        return True

    async def _end_outside(self, run_id: str, status: RunStatus, message: str) -> None:
        """End a run that no execution here ends any more."""
        ended = await self._ends.store(run_id, status, Failure(code=status, message=message))
        self._detector.let_go(run_id, None if ended is None else status, message)
        if ended is not None:
            self._ends.tell(ended, None)
