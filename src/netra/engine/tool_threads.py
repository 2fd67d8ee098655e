"""Threads for synchronous tools: bounded, and never in the way of the server's end.

`run` is for the port; as an `Executor` they serve frameworks that bring their own tools.

A tool whose run is over cannot be stopped from outside, only asked to stop (`ctx.cancelled`). Its thread is given up:
another takes its place, up to a limit, and being a daemon it does not keep the process alive.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

ABANDONED = 64
"""Threads that may be given up before tools have to wait for them."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    future: Future[Any]
    running: bool = False
    abandoned: bool = False


class _Outcome(Future[T]):
    """Of a job; whoever cancels it gives up the thread that works on it."""

    abandon: Callable[[], None]

    def cancel(self) -> bool:
        self.abandon()
        return super().cancel()


class ToolThreads(Executor):
    """See the module.

    Args:
        size: tools that run at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._unstarted = 0
        self._abandoned = 0
        self._stopped = False

    async def run(self, work: Callable[[], Any]) -> Any:
        """Run `work` in a thread, with the caller's context variables. When the caller is cancelled, it is given up."""
        return await asyncio.wrap_future(self.submit(contextvars.copy_context().run, work))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread. To cancel its future gives the thread up."""
        future: _Outcome[T] = _Outcome()
        job = _Job(functools.partial(fn, *args, **kwargs), future)
        future.abandon = lambda: self._abandon(job)
        with self._lock:
            if self._stopped:
                raise RuntimeError("the tool threads have stopped")
            self._unstarted += 1
            self._grow()
        self._jobs.put(job)
        return future

    def _abandon(self, job: _Job) -> None:
        with self._lock:
            if job.abandoned or job.future.done():
                return
            job.abandoned = True
            if job.running:
                self._abandoned += 1
                self._grow()

    def stop(self) -> None:
        """Let idle threads end. One that is in a tool ends when the tool does."""
        with self._lock:
            self._stopped = True
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _grow(self) -> None:
        if self._unstarted > self._idle and self._threads < self._size + min(self._abandoned, ABANDONED):
            self._threads += 1
            self._idle += 1
            threading.Thread(target=self._serve, name="netra-tool", daemon=True).start()

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            with self._lock:
                self._idle -= 1
                self._unstarted -= 1
                job.running = not job.abandoned
            if job.running:
                self._run(job)
            with self._lock:
                if job.running:
                    job.running = False
                    self._abandoned -= job.abandoned
                    if self._threads > self._size + self._abandoned:
                        self._threads -= 1  # the one that took its place stays
                        return
                self._idle += 1

    @staticmethod
    def _run(job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            result = job.work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits, whatever it is
            job.future.set_exception(_passable(error))
        else:
            job.future.set_result(result)


def _passable(error: BaseException) -> BaseException:
    # asyncio refuses StopIteration in a future, and an exit must not end the server.
    if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):
        return RuntimeError(f"the tool raised {type(error).__name__}")
    return error
