"""Gives the event loop back when an agent holds it: a coroutine that never awaits stops everybody's conversation.

A thread asks the loop for a sign of life. When none comes for too long it looks up the task that is being run and
sends the loop's thread a signal. The handler runs in that thread, between two instructions of whatever holds the loop
(a blocking call is broken off first), makes sure that a run's own code is still at work, and raises `LoopHeld` there.

What keeps Python from running at all, such as a C extension that never gives back the interpreter, cannot be broken
off from within; the worker's row then tells another process (see `netra.engine.watch`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

import structlog

from netra.monitoring.lag import culprit

T = TypeVar("T")

log = structlog.get_logger(__name__)

SIGNAL = signal.SIGURG
"""Ignored by whoever does not expect it, used by nothing else here; Go breaks into its own threads with it too."""
AGAIN_SECONDS = 1.0
"""How long an interrupted task has to let go before it is interrupted again."""

Held = Callable[[str, str], None]
"""Told the run that held the loop, and where."""

_run: contextvars.ContextVar[str | None] = contextvars.ContextVar("netra_run_on_the_loop", default=None)
"""The run whose agent's code is at work; tasks that the agent starts inherit it."""


class LoopHeld(BaseException):
    """Raised in the middle of a run's code that holds the event loop. Not an Exception, which agents may well catch."""


def agent_task(run_id: str, work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """A task for a run's own code, which may be interrupted when it holds the loop."""
    context = contextvars.copy_context()
    context.run(_run.set, run_id)
    return asyncio.get_running_loop().create_task(work, name=name, context=context)


def server_task(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """A task for the server's own work, whoever causes it: never interrupted."""
    if _run.get() is None:
        return asyncio.get_running_loop().create_task(work, name=name)
    context = contextvars.copy_context()
    context.run(_run.set, None)
    return asyncio.get_running_loop().create_task(work, name=name, context=context)


class LoopWatchdog:
    """See the module.

    Args:
        seconds: how long the loop may be held.
        held: called on the loop, once for each time, after the interruption.
    """

    def __init__(self, seconds: float, held: Held) -> None:
        self._seconds = seconds
        self._held = held
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: int = 0
        self._beat = 0.0
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._before: Any = None
        self._armed = False
        self._expecting = False

    def start(self) -> None:
        """Watch the running loop. Elsewhere than in the main thread, where there are no signals, it can only report."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._beat = time.monotonic()
        self._armed = threading.current_thread() is threading.main_thread()
        if self._armed:
            self._before = signal.signal(SIGNAL, self._interrupt)
        self._stopping.clear()
        self._watcher = threading.Thread(target=self._watch, name="netra-loop-watchdog", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Watch no more. Safe to call twice."""
        watcher, self._watcher = self._watcher, None
        if watcher is None:
            return
        self._stopping.set()
        watcher.join(AGAIN_SECONDS)
        if self._armed:
            signal.signal(SIGNAL, self._before or signal.SIG_DFL)
        self._loop = None

    # In the watchdog's thread

    def _watch(self) -> None:
        loop = self._loop
        assert loop is not None
        pause = min(1.0, self._seconds / 4)
        asked = waited = 0.0
        while not self._stopping.wait(pause):
            # Counted by this thread's own turns: when the whole process stood still, nobody held the loop.
            waited += pause
            if self._beat >= asked:
                asked, waited = time.monotonic(), 0.0
                try:
                    loop.call_soon_threadsafe(self._note)
                except RuntimeError:  # closed
                    return
            elif waited >= self._seconds:
                self._break_in(loop, asked)

    def _break_in(self, loop: asyncio.AbstractEventLoop, asked: float) -> None:
        """Interrupt whatever holds the loop, again and again until it turns."""
        frame = sys._current_frames().get(self._thread)
        task: asyncio.Task[Any] | None = None
        with contextlib.suppress(RuntimeError):  # the set of tasks changed while it was looked at
            task = asyncio.current_task(loop)
        log.error(
            "loop_held",
            seconds=round(time.monotonic() - asked, 1),
            task=None if task is None else task.get_name(),
            stack="".join(traceback.format_stack(frame, limit=12)) if frame is not None else "",
        )
        while self._beat < asked and not self._stopping.is_set():
            if self._armed:
                self._expecting = True
                signal.pthread_kill(self._thread, SIGNAL)
            self._stopping.wait(AGAIN_SECONDS)
        self._expecting = False

    # In the loop's thread

    def _note(self) -> None:
        self._beat = time.monotonic()

    def _taken_back(self, run_id: str, where: str) -> None:
        log.error("loop_taken_back", run_id=run_id, where=where)
        self._held(run_id, where)

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        """The signal's handler. Runs in the context of whatever it breaks into, which tells whose code that is."""
        loop = self._loop
        if loop is None or not self._expecting:
            return
        self._expecting = False
        run_id = _run.get()
        if run_id is None or asyncio.current_task(loop) is None:
            return  # the server itself, or the loop turns already
        where = culprit(frame)
        loop.call_soon_threadsafe(self._taken_back, run_id, where)  # to log here could break into another log line
        raise LoopHeld(where)
