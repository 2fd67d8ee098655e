"""The live view of executions behind every tracker: entries, their moves, and the rules by which they are judged.

`AgentExecutionTracker` is the only caller and says on each call for whom it asks: None for everybody, or one user,
whose entries alone are touched. Everything is in memory and under one lock; nothing waits.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from netra.clock import Clock
from netra.errors import Conflict, IllegalTransition, NotFound

from .records import ExecutionRecord, Signal, Step, TrackerLimits, Verdict
from .states import FINAL, STATE_OF_PHASE, WORK, ExecutionState, Phase, check_phase, check_state

if TYPE_CHECKING:
    from .tracker import AgentExecutionTracker

STEPS_KEPT = 50
NOTE_CHARS = 200
ERROR_CHARS = 1000


class Foreign(Exception):
    """The execution belongs to somebody else than the one who asked."""


@dataclass(slots=True)
class Entry:
    """An execution. Times are monotonic seconds unless they are datetimes."""

    execution_id: str
    agent_name: str
    user_id: str
    thread_id: str
    attempt: int
    timeout_seconds: float | None
    metadata: Mapping[str, object]
    created_at: datetime
    heartbeat_at: datetime
    beat: float
    state: ExecutionState = ExecutionState.PENDING
    phase: Phase = Phase.CREATED
    started_at: datetime | None = None
    progress_at: datetime | None = None
    progressed: float | None = None
    ended_at: datetime | None = None
    ended: float = 0.0
    working_since: float | None = None
    worked: float = 0.0
    waits: int = 0
    phase_before_waiting: Phase = Phase.WORKING
    alive: Callable[[], bool] | None = None
    error: str | None = None
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=STEPS_KEPT))

    def worked_seconds(self, now: float) -> float:
        return self.worked + (0.0 if self.working_since is None else now - self.working_since)

    def stop_working(self, now: float) -> None:
        self.worked = self.worked_seconds(now)
        self.working_since = None


@dataclass(slots=True)
class Shelf:
    """One user's executions. Holds the user's handle, if there is one, so that it stays the same object."""

    entries: dict[str, Entry] = field(default_factory=dict)
    handle: AgentExecutionTracker | None = None


class Book:
    """See the module.

    Args:
        clock: the time.
        limits: thresholds.
    """

    def __init__(self, clock: Clock, limits: TrackerLimits) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.limits = limits
        self.handles: weakref.WeakValueDictionary[str, AgentExecutionTracker] = weakref.WeakValueDictionary()
        self.shelves: dict[str, Shelf] = {}
        self.refusals: Counter[str] = Counter()
        self._entries: dict[str, Entry] = {}
        self._ended: OrderedDict[str, Entry] = OrderedDict()  # the longest ended first

    # Moves

    def create(
        self,
        owner: str | None,
        *,
        execution_id: str,
        agent_name: str,
        user_id: str,
        thread_id: str,
        timeout_seconds: float | None,
        attempt: int,
        metadata: Mapping[str, object] | None,
    ) -> None:
        with self.lock:
            self.forget_old()
            earlier = self._entries.get(execution_id)
            if earlier is not None:
                self._check_again(self.find(execution_id, owner), user_id, attempt)
                self._remove(earlier)
            now = self.clock.now()
            entry = Entry(
                execution_id=execution_id,
                agent_name=agent_name,
                user_id=user_id,
                thread_id=thread_id,
                attempt=attempt,
                timeout_seconds=timeout_seconds,
                metadata=MappingProxyType(dict(metadata or {})),
                created_at=now,
                heartbeat_at=now,
                beat=self.clock.monotonic(),
            )
            entry.steps.append(Step(Phase.CREATED, ExecutionState.PENDING, now, None))
            self._entries[execution_id] = entry
            shelf = self.shelves.setdefault(user_id, Shelf())
            shelf.entries[execution_id] = entry
            shelf.handle = self.handles.get(user_id)

    def _check_again(self, earlier: Entry, user_id: str, attempt: int) -> None:
        if earlier.user_id != user_id:
            raise Conflict(f"Execution {earlier.execution_id} is another user's.")
        if earlier.state in FINAL:
            raise IllegalTransition(
                f"Execution {earlier.execution_id}", earlier.state.value, ExecutionState.PENDING.value
            )
        if attempt <= earlier.attempt:
            raise Conflict(
                f"Execution {earlier.execution_id} is tracked already, at attempt {earlier.attempt}.",
                hint="Give the number of a later attempt when its run begins again.",
            )

    def start(self, execution_id: str, owner: str | None, alive: Callable[[], bool] | None) -> None:
        with self.lock:
            entry = self.find(execution_id, owner)
            check_phase(execution_id, entry.phase, Phase.PREPARING)
            self._move(entry, Phase.PREPARING, ExecutionState.STARTING, None)
            entry.alive = alive
            entry.started_at = self.clock.now()
            entry.working_since = self.clock.monotonic()

    def transition(self, execution_id: str, owner: str | None, phase: Phase, note: str | None) -> None:
        with self.lock:
            entry = self.find(execution_id, owner)
            if phase in (Phase.WAITING, Phase.ENDED):
                verb = "pause" if phase is Phase.WAITING else "finish"
                raise ValueError(f"An execution comes to the phase {phase.value!r} by {verb}().")
            check_phase(execution_id, entry.phase, phase)
            self._move(entry, phase, STATE_OF_PHASE[phase], note)

    def heartbeat(self, execution_id: str, owner: str | None) -> None:
        with self.lock:
            self._beat(self._active(execution_id, owner))

    def progress(self, execution_id: str, owner: str | None, note: str | None) -> None:
        with self.lock:
            entry = self._active(execution_id, owner)
            self._progress(entry)
            if note is not None:
                entry.steps.append(Step(entry.phase, entry.state, self.clock.now(), note[:NOTE_CHARS]))

    def pause(self, execution_id: str, owner: str | None) -> None:
        with self.lock:
            entry = self._active(execution_id, owner)
            check_phase(execution_id, entry.phase, Phase.WAITING)
            if entry.waits == 0:
                entry.stop_working(self.clock.monotonic())
            if entry.phase in WORK:
                entry.phase_before_waiting = entry.phase
                self._move(entry, Phase.WAITING, ExecutionState.RUNNING, None)
            entry.waits += 1

    def resume(self, execution_id: str, owner: str | None) -> None:
        with self.lock:
            entry = self._active(execution_id, owner)
            if entry.waits == 0:
                raise IllegalTransition(f"Execution {execution_id}", entry.phase.value, "resumed")
            entry.waits -= 1
            self._progress(entry)
            if entry.waits == 0:
                entry.working_since = self.clock.monotonic()
                if entry.phase is Phase.WAITING:
                    self._move(entry, entry.phase_before_waiting, ExecutionState.RUNNING, None)

    def finish(
        self, execution_id: str, owner: str | None, state: ExecutionState, error: str | None, attempt: int | None
    ) -> bool:
        with self.lock:
            entry = self.find(execution_id, owner)
            if attempt is not None and attempt != entry.attempt:
                return False
            if state not in FINAL:
                raise ValueError(f"{state.value!r} is no end; there are {', '.join(sorted(FINAL))}.")
            check_state(execution_id, entry.state, state)
            check_phase(execution_id, entry.phase, Phase.ENDED)
            entry.stop_working(self.clock.monotonic())
            self._move(entry, Phase.ENDED, state, None)
            entry.waits = 0
            entry.alive = None
            entry.error = None if error is None else error[:ERROR_CHARS]
            entry.ended_at = self.clock.now()
            entry.ended = self.clock.monotonic()
            self._ended[execution_id] = entry
            self.forget_old()
            return True

    def leave(self, execution_id: str, owner: str | None, attempt: int | None) -> bool:
        with self.lock:
            entry = self.find(execution_id, owner)
            if entry.state in FINAL or attempt not in (None, entry.attempt):
                return False
            self._remove(entry)
            return True

    def _move(self, entry: Entry, phase: Phase, state: ExecutionState, note: str | None) -> None:
        check_state(entry.execution_id, entry.state, state)
        entry.phase, entry.state = phase, state
        entry.steps.append(Step(phase, state, self.clock.now(), None if note is None else note[:NOTE_CHARS]))
        self._progress(entry)

    def _beat(self, entry: Entry) -> None:
        entry.beat = self.clock.monotonic()
        entry.heartbeat_at = self.clock.now()

    def _progress(self, entry: Entry) -> None:
        self._beat(entry)
        entry.progressed, entry.progress_at = entry.beat, entry.heartbeat_at

    # Finding and forgetting

    def find(self, execution_id: str, owner: str | None) -> Entry:
        entry = self._entries.get(execution_id)
        if entry is None:
            raise NotFound(f"There is no execution {execution_id} here.")
        if owner is not None and entry.user_id != owner:
            raise Foreign
        return entry

    def _active(self, execution_id: str, owner: str | None) -> Entry:
        entry = self.find(execution_id, owner)
        if entry.state in FINAL:
            raise IllegalTransition(f"Execution {execution_id}", entry.state.value, "active")
        return entry

    def entries(self, owner: str | None) -> list[Entry]:
        """Under the lock: what `owner` may see, in the order of creation."""
        self.forget_old()
        if owner is None:
            return list(self._entries.values())
        shelf = self.shelves.get(owner)
        return [] if shelf is None else list(shelf.entries.values())

    def remove_user(self, user_id: str) -> int:
        with self.lock:
            shelf = self.shelves.get(user_id)
            mine = [] if shelf is None else list(shelf.entries.values())
            for entry in mine:
                self._remove(entry)
            return len(mine)

    def forget_old(self) -> None:
        """Under the lock: drop ended executions that are too many or too old."""
        oldest = self.clock.monotonic() - self.limits.kept_seconds
        while self._ended:
            entry = next(iter(self._ended.values()))
            if len(self._ended) <= self.limits.kept and entry.ended >= oldest:
                return
            self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.execution_id]
        self._ended.pop(entry.execution_id, None)
        shelf = self.shelves[entry.user_id]
        del shelf.entries[entry.execution_id]
        if not shelf.entries:
            del self.shelves[entry.user_id]  # from here on the handle lives as long as somebody holds it

    # Reading and judging

    def records(self, entries: Iterable[Entry]) -> list[ExecutionRecord]:
        """Under the lock."""
        now = self.clock.monotonic()
        return [self.record(entry, now) for entry in entries]

    def record(self, entry: Entry, now: float) -> ExecutionRecord:
        """Under the lock: the entry as a frozen value."""
        active = entry.state not in FINAL
        works = active and entry.waits == 0 and entry.progressed is not None
        return ExecutionRecord(
            execution_id=entry.execution_id,
            agent_name=entry.agent_name,
            user_id=entry.user_id,
            thread_id=entry.thread_id,
            attempt=entry.attempt,
            state=entry.state,
            phase=entry.phase,
            created_at=entry.created_at,
            started_at=entry.started_at,
            last_heartbeat_at=entry.heartbeat_at,
            last_progress_at=entry.progress_at,
            ended_at=entry.ended_at,
            heartbeat_age=now - entry.beat if active else None,
            progress_age=now - entry.progressed if works and entry.progressed is not None else None,
            worked_seconds=entry.worked_seconds(now),
            timeout_seconds=entry.timeout_seconds,
            paused=entry.waits > 0,
            error=entry.error,
            steps=tuple(entry.steps),
            metadata=entry.metadata,
        )

    def judge(self, owner: str | None, now: float | None) -> list[Verdict]:
        with self.lock:
            now = self.clock.monotonic() if now is None else now
            active = [entry for entry in self.entries(owner) if entry.state not in FINAL]
            asked = [(entry, entry.attempt, entry.alive) for entry in active]
        # A task is asked without the lock: what answers is not ours.
        gone = {id(entry) for entry, _, alive in asked if alive is not None and not alive()}
        with self.lock:
            verdicts = []
            for entry, attempt, _ in asked:
                if entry.state in FINAL or self._entries.get(entry.execution_id) is not entry:
                    continue
                found = self._judge(entry, now, gone=id(entry) in gone)
                if found is not None:
                    verdicts.append(self._verdict(entry, attempt, *found))
            return verdicts

    def _judge(self, entry: Entry, now: float, *, gone: bool) -> tuple[Signal, float] | None:
        if gone:
            return "task", 0.0
        if entry.timeout_seconds is not None and entry.started_at is not None and entry.waits == 0:
            over = entry.worked_seconds(now) - entry.timeout_seconds
            if over > 0:
                return "deadline", over
        over = now - entry.beat - self.limits.silent_seconds
        if over > 0:
            return "heartbeat", over
        if entry.progressed is not None and entry.waits == 0:
            over = now - entry.progressed - self.limits.stalled_seconds
            if over > 0:
                return "progress", over
        return None

    def _verdict(self, entry: Entry, attempt: int, signal: Signal, over: float) -> Verdict:
        match signal:
            case "task":
                status, reason = "died", "The task that worked on it is gone and left no end."
            case "deadline":
                status, reason = "timed_out", f"It may work for {entry.timeout_seconds:g} seconds."
            case "heartbeat":
                status, reason = "died", f"Nothing was heard of it for {self.limits.silent_seconds:g} seconds."
            case "progress":
                status, reason = "stalled", f"It made no progress for {self.limits.stalled_seconds:g} seconds."
        state = ExecutionState.TIMEOUT if status == "timed_out" else ExecutionState.DEAD
        return Verdict(entry.execution_id, entry.user_id, attempt, status, state, signal, over, reason)  # type: ignore[arg-type]
