"""The tracker of executions: which agents work for whom, in which state, and whether they still live.

The engine tells it every move and its detector asks it for verdicts; administrators and the exporters of figures read
it. The row of a run stays the truth: the tracker is the live view of this process and the rules of life and death,
forgets what ended a while ago, and starts empty with the process.

There is one store of executions for the process, reached by `get_execution_tracker`: without arguments the tracker that
sees everything, for the engine and administrators; with `{"user_id": …}` a handle that is bound to that user for as
long as it lives. A handle sees its user's executions and nothing else: other users' do not exist for its reads, and its
writes to them are refused and counted. All methods may be called from any thread, none waits for anything.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final, NoReturn, final

import structlog

from netra.clock import Clock, SystemClock
from netra.errors import NotFound
from netra.monitoring.daily import daily
from netra.monitoring.metrics import metrics

from .book import Book, Foreign
from .records import ExecutionRecord, TrackerLimits, TrackerMetrics, UserContext, Verdict
from .states import FINAL, ExecutionState, Phase

log = structlog.get_logger(__name__)

_BLOCKED = (
    "An AgentExecutionTracker is obtained by get_execution_tracker(): a second one would not see the executions of "
    "the first, and one without a user's context would see everybody's."
)


@final
class AgentExecutionTracker:
    """See the module. Obtained by `get_execution_tracker`; immutable itself."""

    __slots__ = ("__weakref__", "_book", "_context")

    _book: Book
    _context: UserContext | None

    def __new__(cls, *_: object, **__: object) -> AgentExecutionTracker:
        _blocked()

    def __init_subclass__(cls, **_: Any) -> NoReturn:
        _blocked()

    def __reduce_ex__(self, _: object) -> NoReturn:  # copy, deepcopy and pickle all come here
        _blocked()

    def __getattr__(self, name: str) -> NoReturn:
        if name in AgentExecutionTracker.__slots__:  # an empty shell, made around the factory
            _blocked()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"{name} cannot be set: a tracker and whose it is never change.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name} cannot be deleted: a tracker and whose it is never change.")

    def __repr__(self) -> str:
        whose = "of everybody" if self._context is None else f"of {self._context.user_id}"
        return f"<AgentExecutionTracker {whose}>"

    @property
    def user_context(self) -> UserContext | None:
        """Whose handle this is; None for the tracker that sees everything."""
        return self._context

    # Moves

    def create_execution(
        self,
        *,
        execution_id: str,
        agent_name: str,
        user_id: str,
        thread_id: str,
        timeout_seconds: float | None = None,
        attempt: int = 1,
        metadata: Mapping[str, object] | None = None,
    ) -> str:
        """Begin to follow an execution, as pending.

        The same id again is a new attempt at a run that is taken up again: its number must be higher than the tracked
        one's, whose place it takes. An execution that has ended stays so.

        Args:
            timeout_seconds: how long it may work from its start on, the time a person takes to decide aside.
            attempt: from 1.

        Returns:
            The id.

        Raises:
            PermissionError: from a handle, for another user.
            Conflict: the id is tracked with this attempt or a later one.
            IllegalTransition: the execution has ended.
            ValueError: a name is blank, the attempt below 1 or the timeout negative.
        """
        given = {"execution_id": execution_id, "agent_name": agent_name, "user_id": user_id, "thread_id": thread_id}
        for name, value in given.items():
            if not isinstance(value, str) or not value.strip():
                raise ValueError(f"{name} must be a text that is not blank.")
        if attempt < 1:
            raise ValueError("attempt counts from 1.")
        if timeout_seconds is not None and not timeout_seconds >= 0:
            raise ValueError("timeout_seconds must not be negative.")
        if self._owner not in (None, user_id):
            self._refuse("create")
        with self._own("create"):
            self._book.create(self._owner, **given, timeout_seconds=timeout_seconds, attempt=attempt, metadata=metadata)
        return execution_id

    def start_execution(self, execution_id: str, *, alive: Callable[[], bool] | None = None) -> None:
        """The work begins: from pending to starting; the timeout counts from here.

        Args:
            alive: whether the task that works on it is there, asked by `judge` from whichever thread calls that.

        Raises:
            NotFound, PermissionError, IllegalTransition: as for every move.
        """
        with self._own("write"):
            self._book.start(execution_id, self._owner, alive)

    def transition(self, execution_id: str, phase: Phase | str, note: str | None = None) -> None:
        """Come to another phase, and with it to the state it belongs to. Counts as progress.

        Args:
            phase: not `waiting` (`pause`) nor `ended` (`finish`).
            note: for people, kept with the step; 200 characters.

        Raises:
            IllegalTransition: the graph of phases has no such step.
            NotFound: there is no such execution here.
            PermissionError: from a handle, on anything but an execution of its user.
            ValueError: there is no such phase.
        """
        with self._own("write"):
            self._book.transition(execution_id, self._owner, Phase(phase), note)

    def heartbeat(self, execution_id: str) -> None:
        """What works on it lives. Raises as `transition` does."""
        with self._own("write"):
            self._book.heartbeat(execution_id, self._owner)

    def progress(self, execution_id: str, note: str | None = None) -> None:
        """It got on, within its phase. Raises as `transition` does."""
        with self._own("write"):
            self._book.progress(execution_id, self._owner, note)

    def pause(self, execution_id: str) -> None:
        """A person is to decide: neither timeout nor lack of progress count until `resume`. Several waits may overlap.

        Raises as `transition` does.
        """
        with self._own("write"):
            self._book.pause(execution_id, self._owner)

    def resume(self, execution_id: str) -> None:
        """One `pause` is over; the time counts again after the last one. Raises as `transition` does."""
        with self._own("write"):
            self._book.resume(execution_id, self._owner)

    def finish(
        self, execution_id: str, state: ExecutionState | str, error: str | None = None, *, attempt: int | None = None
    ) -> bool:
        """The one end of an execution. `completed` is reached from the phase `finalising`, the others from any.

        Args:
            error: why, for people; 1,000 characters.
            attempt: only if this is the tracked attempt.

        Returns:
            False when another attempt is tracked, which goes on.

        Raises:
            IllegalTransition: it has ended, or cannot end like this from where it is.
            NotFound, PermissionError, ValueError: as `transition`.
        """
        with self._own("write"):
            return self._book.finish(execution_id, self._owner, ExecutionState(state), error, attempt)

    def leave(self, execution_id: str, *, attempt: int | None = None) -> bool:
        """Stop following an execution that has no end here: another process carries on, or ended its run.

        Returns:
            False when it has ended or another attempt is tracked, and stays.

        Raises:
            NotFound, PermissionError: as `transition`.
        """
        with self._own("write"):
            return self._book.leave(execution_id, self._owner, attempt)

    def cleanup_user_data(self, user_id: str) -> int:
        """Forget all executions of a user, active ones too, and nobody else's.

        Returns:
            How many there were: 0 when called again.

        Raises:
            PermissionError: from a handle, for another user.
        """
        if self._owner not in (None, user_id):
            self._refuse("clean_up")
        return self._book.remove_user(user_id)

    # Reading

    def get_execution(self, execution_id: str) -> ExecutionRecord | None:
        """One execution, active or ended a while ago; None when there is none for the asker."""
        book = self._book
        with book.lock:
            book.forget_old()
            try:
                return book.record(book.find(execution_id, self._owner), book.clock.monotonic())
            except NotFound:
                return None
            except Foreign:
                pass
        self._count_refusal("read")
        return None

    def get_user_executions(self, user_id: str) -> list[ExecutionRecord]:
        """All executions of a user, in the order of their creation. From another user's handle: none."""
        if self._owner not in (None, user_id):
            self._count_refusal("read")
            return []
        with self._book.lock:
            return self._book.records(self._book.entries(user_id))

    def get_executions_by_thread(self, thread_id: str) -> list[ExecutionRecord]:
        """All executions in a thread, in the order of their creation."""
        if self._owner is not None and self._is_foreign_thread(thread_id):
            self._count_refusal("read")
            return []
        with self._book.lock:
            mine = self._book.entries(self._owner)
            return self._book.records(entry for entry in mine if entry.thread_id == thread_id)

    def get_executions_by_agent(self, agent_name: str) -> list[ExecutionRecord]:
        """All executions of an agent, in the order of their creation; from a handle, its user's."""
        with self._book.lock:
            mine = self._book.entries(self._owner)
            return self._book.records(entry for entry in mine if entry.agent_name == agent_name)

    def get_active_executions(self) -> list[ExecutionRecord]:
        """Executions that have not ended, in the order of their creation; from a handle, its user's."""
        with self._book.lock:
            mine = self._book.entries(self._owner)
            return self._book.records(entry for entry in mine if entry.state not in FINAL)

    def get_ended_executions(self) -> list[ExecutionRecord]:
        """Kept executions that have ended, in the order of their creation; from a handle, its user's."""
        with self._book.lock:
            mine = self._book.entries(self._owner)
            return self._book.records(entry for entry in mine if entry.state in FINAL)

    def judge(self, now: float | None = None) -> list[Verdict]:
        """Which active executions should be ended, and why. Changes nothing. The first signal that is passed counts:

        1. *task*: what `alive` asks is gone: died;
        2. *deadline*: it has worked for longer than `timeout_seconds`: timed out;
        3. *heartbeat*: none for `silent_seconds`: died;
        4. *progress*: none for `stalled_seconds` since its start: stalled.

        While a person decides, 2 and 4 do not count.

        Args:
            now: monotonic seconds of the tracker's clock; None for the present.
        """
        return self._book.judge(self._owner, now)

    def get_metrics(self) -> TrackerMetrics:
        """What there is, counted; from a handle, of its user."""
        with self._book.lock:
            states = Counter(entry.state for entry in self._book.entries(self._owner))
            everybody = self._context is None
            return TrackerMetrics(
                active={state.value: states[state] for state in ExecutionState if state not in FINAL},
                ended={state.value: states[state] for state in ExecutionState if state in FINAL},
                refusals=dict(self._book.refusals) if everybody else None,
                blocked_constructions=blocked_constructions() if everybody else None,
            )

    # Isolation

    @property
    def _owner(self) -> str | None:
        return None if self._context is None else self._context.user_id

    @contextmanager
    def _own(self, kind: str) -> Iterator[None]:
        """Turn what is not the handle's into a refusal, which reads the same whether the execution exists or not."""
        try:
            yield
        except Foreign:
            self._refuse(kind)
        except NotFound:
            if self._context is None:
                raise
            raise PermissionError(_REFUSED) from None

    def _refuse(self, kind: str) -> NoReturn:
        self._count_refusal(kind)
        raise PermissionError(_REFUSED) from None

    def _count_refusal(self, kind: str) -> None:
        book = self._book
        with book.lock:
            book.refusals[kind] += 1
        metrics.isolation_refusals.labels(kind).inc()
        daily.count("refused_accesses")
        log.warning("execution_refused", kind=kind, user_id=self._owner)

    def _is_foreign_thread(self, thread_id: str) -> bool:
        with self._book.lock:
            users = {entry.user_id for entry in self._book.entries(None) if entry.thread_id == thread_id}
        return bool(users) and self._owner not in users


_REFUSED: Final = "This user has no such execution."


class _Process:
    """What there is once in a process."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    tracker: ClassVar[AgentExecutionTracker | None] = None
    blocked: ClassVar[int] = 0


def _make(book: Book, context: UserContext | None) -> AgentExecutionTracker:
    tracker: AgentExecutionTracker = object.__new__(AgentExecutionTracker)
    object.__setattr__(tracker, "_book", book)
    object.__setattr__(tracker, "_context", context)
    return tracker


def _blocked() -> NoReturn:
    with _Process.lock:
        _Process.blocked += 1
    metrics.blocked_constructions.inc()
    daily.count("blocked_constructions")
    log.warning("construction_blocked", what="AgentExecutionTracker")
    raise RuntimeError(_BLOCKED)


def blocked_constructions() -> int:
    """How often this process tried to make a tracker without the factory."""
    return _Process.blocked


def get_execution_tracker(user_context: dict[str, Any] | None = None) -> AgentExecutionTracker:
    """The process's tracker, or one user's handle on it.

    For one user there is one handle: the identical object for as long as somebody holds it or the user has executions.

    Args:
        user_context: None, or a dict with the text `user_id`; what else is in it is not looked at, and changing it
            later changes nothing.

    Raises:
        TypeError: the context is no dict.
        ValueError: it names no user, or a blank one.
    """
    if user_context is None:
        with _Process.lock:
            if _Process.tracker is None:
                _Process.tracker = _make(Book(SystemClock(), TrackerLimits()), None)
            return _Process.tracker
    if not isinstance(user_context, dict):
        raise TypeError(f"user_context must be a dict with a user_id, not {type(user_context).__name__}.")
    user_id = user_context.get("user_id")
    if not isinstance(user_id, str) or not user_id.strip():
        raise ValueError("user_context must name its user: a user_id that is a text and not blank.")
    book = get_execution_tracker()._book
    with book.lock:
        handle = book.handles.get(user_id)
        if handle is None:
            handle = book.handles[user_id] = _make(book, UserContext(user_id))
        shelf = book.shelves.get(user_id)
        if shelf is not None:
            shelf.handle = handle
        return handle


def configure_execution_tracker(
    *, limits: TrackerLimits | None = None, clock: Clock | None = None
) -> AgentExecutionTracker:
    """Give the process's tracker its limits and clock; what is not given is the default. Executions stay.

    Called by `netra.app` once, before anything is tracked; every handle follows.

    Returns:
        The process's tracker.
    """
    tracker = get_execution_tracker()
    book = tracker._book
    with book.lock:
        book.limits = limits or TrackerLimits()
        book.clock = clock or SystemClock()
    return tracker
