"""Children and their states: started, waited for, restarted when they crash or their sources change, stopped in stages.

Everything that happens (a child is ready, a child has ended, files have changed, somebody wants to stop) comes through
one queue and is handled by the one thread that calls `run`. Other threads only watch and report.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from netra.errors import IllegalTransition

from .logs import LogStreamer
from .ownership import OwnedProcesses
from .processes import Command, ProcessManager, RunningProcess

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
SETTLED_SECONDS = 10.0
"""A child that was ready for so long and crashes then begins again with the first delay."""
_ASK_SECONDS = 0.05
_OUTPUT_SECONDS = 1.0
"""How long the output of a child that has ended is read on, when something it has started keeps it open."""

State = Literal["idle", "starting", "ready", "stopping", "stopped", "waiting", "broken"]
_STEPS: dict[State, tuple[State, ...]] = {
    "idle": ("starting",),
    "starting": ("ready", "stopping", "waiting", "broken", "stopped"),
    "ready": ("stopping", "waiting"),
    "stopping": ("stopped",),
    "stopped": ("starting",),
    "waiting": ("starting", "stopped"),  # for its time to be started again
    "broken": ("starting", "stopped"),  # for its sources to be changed
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a child is.

    Args:
        command: how it is started.
        ready: whether it can be used now; asked from a thread until it says yes.
        address: where people or programs reach it.
        reloads: whether it is restarted when sources change.
        stage: children of the highest stage are stopped first, because they use those below.
    """

    command: Command
    ready: Callable[[], bool]
    address: str
    reloads: bool = False
    stage: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.command.name


@dataclass(slots=True)
class Child:
    """A service and what has become of it."""

    service: Service
    state: State = "idle"
    process: RunningProcess | None = None
    started: float = 0.0
    ready_at: float = 0.0
    crashes: int = 0
    again: bool = False
    """Whether it is started again once it has stopped."""
    starts: int = 0

    def move(self, state: State) -> None:
        """Take a step.

        Raises:
            IllegalTransition: there is no such step.
        """
        if state not in _STEPS[self.state]:
            raise IllegalTransition(f"child {self.service.name}", self.state, state)
        self.state = state


@dataclass(frozen=True, slots=True)
class _Ready:
    child: Child
    start: int
    at: float


@dataclass(frozen=True, slots=True)
class _Ended:
    child: Child
    start: int
    code: int


@dataclass(frozen=True, slots=True)
class _Changed:
    files: list[Path]


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(order=True, slots=True)
class _Timer:
    at: float
    action: Callable[[], None] = field(compare=False)


class Supervisor:
    """The children of one launcher.

    Args:
        manager: starts and ends processes.
        ownership: records them, for the next launcher.
        logs: shows what they print.
        grace_seconds: how long a child that is restarted may take to stop.
        ready_seconds: how long one may take to be ready before this is said.
        on_ready: called whenever a child is ready.
    """

    def __init__(
        self,
        manager: ProcessManager,
        ownership: OwnedProcesses,
        logs: LogStreamer,
        *,
        grace_seconds: float = 4.0,
        ready_seconds: float = 60.0,
        on_ready: Callable[[Child], None] = lambda _: None,
    ) -> None:
        self._manager = manager
        self._ownership = ownership
        self._logs = logs
        self._grace = grace_seconds
        self._ready_seconds = ready_seconds
        self._on_ready = on_ready
        self._inbox: queue.SimpleQueue[_Ready | _Ended | _Changed | _Stop] = queue.SimpleQueue()
        self._timers: list[_Timer] = []
        self._root: Path | None = None
        self.children: dict[str, Child] = {}
        self.stopping = threading.Event()
        """Set when somebody wants to stop."""
        self._hurry = False

    # Called from any thread and from signal handlers

    def ask_to_stop(self) -> None:
        """Stop soon; asked a second time, at once."""
        if self.stopping.is_set():
            self._hurry = True
        self.stopping.set()
        self._inbox.put(_Stop())

    def changed(self, files: list[Path]) -> None:
        """Sources have other contents."""
        self._inbox.put(_Changed(files))

    # Called from the one thread

    def add(self, service: Service) -> Child:
        """Start a child."""
        child = self.children[service.name] = Child(service)
        self._start(child)
        return child

    def run(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Handle what happens until `until()` holds or somebody wants to stop. Whether `until()` holds."""
        while not (done := until()) and not self.stopping.is_set():
            self._handle(self._timeout())
        return done

    def ready(self, *names: str) -> bool:
        """Whether these children are ready; none named: all."""
        return all(self.children[name].state == "ready" for name in names or self.children)

    def stop(self, seconds: float) -> None:
        """Stop every child, those that use others first; end what does not stop in time.

        Args:
            seconds: for all of them together.
        """
        self.stopping.set()
        self._timers.clear()
        deadline = time.monotonic() + seconds
        stages = sorted({child.service.stage for child in self.children.values()}, reverse=True)
        for number, stage in enumerate(stages, 1):
            concerned = [child for child in self.children.values() if child.service.stage == stage]
            left = deadline - time.monotonic()
            self._stop_all(concerned, left * 0.8 if number == len(stages) else left * 0.6)

    def _stop_all(self, concerned: list[Child], seconds: float) -> None:
        for child in concerned:
            child.again = False
            if child.state in ("starting", "ready"):
                self._ask(child)
            elif child.state in ("waiting", "broken"):
                child.move("stopped")

        def gone() -> bool:
            return all(child.state in ("stopped", "idle") for child in concerned)

        until = time.monotonic() + seconds
        while not gone() and time.monotonic() < until and not self._hurry:
            self._handle(min(0.1, max(0.0, until - time.monotonic())))
        for child in concerned:
            if child.process is not None and child.state == "stopping":
                self._logs.say(f"{child.service.name} does not stop: ended", "yellow")
                self._manager.kill(child.process)
        until = time.monotonic() + 2
        while not gone() and time.monotonic() < until:
            self._handle(0.05)

    def _timeout(self) -> float:
        # Never long: on Windows, Ctrl-C is seen between two waits only.
        until = min((timer.at for timer in self._timers), default=float("inf"))
        return max(0.0, min(0.5, until - time.monotonic()))

    def _handle(self, timeout: float) -> None:
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.at <= now]
        self._timers = [timer for timer in self._timers if timer.at > now]
        for timer in sorted(due):
            timer.action()
        try:
            event = self._inbox.get(timeout=0 if due else timeout)
        except queue.Empty:
            return
        match event:
            case _Ready(child, start, at) if start == child.starts and child.state == "starting":
                self._became_ready(child, at)
            case _Ended(child, start, code) if start == child.starts:
                self._ended(child, code)
            case _Changed(files) if not self.stopping.is_set():
                self._reload(files)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._timers.append(_Timer(time.monotonic() + seconds, action))

    def _start(self, child: Child) -> None:
        child.move("starting")
        child.starts += 1
        child.again = False
        start = child.starts
        child.started = time.monotonic()
        try:
            process = self._manager.start(child.service.command)
        except OSError as error:
            self._logs.say(f"{child.service.name} cannot be started: {error}", "bold red")
            child.move("broken")
            return
        child.process = process
        self._ownership.add(process)
        assert process.popen.stdout is not None
        reader = self._logs.follow(child.service.name, process.popen.stdout)
        ended = threading.Event()

        def wait() -> None:
            code = process.popen.wait()
            ended.set()
            reader.join(_OUTPUT_SECONDS)
            self._manager.bury(process)
            self._inbox.put(_Ended(child, start, code))

        def ask() -> None:
            while not ended.wait(_ASK_SECONDS):
                if child.service.ready():
                    if not ended.is_set():
                        self._inbox.put(_Ready(child, start, time.monotonic()))
                    return

        threading.Thread(target=wait, name=f"wait-{child.service.name}", daemon=True).start()
        threading.Thread(target=ask, name=f"ready-{child.service.name}", daemon=True).start()
        self._later(self._ready_seconds, lambda: self._late(child, start))

    def _late(self, child: Child, start: int) -> None:
        if child.starts == start and child.state == "starting":
            self._logs.say(
                f"{child.service.name} is not ready after {self._ready_seconds:g} s; still waiting", "yellow"
            )

    def _became_ready(self, child: Child, at: float) -> None:
        child.move("ready")
        child.ready_at = at
        seconds = child.ready_at - child.started
        self._logs.say(f"{child.service.name} ready in {seconds:.1f} s: {child.service.address}", "green")
        self._on_ready(child)
        for other in self.children.values():  # what failed for want of this one may work now
            if other.state == "broken" and other is not child:
                self._start(other)

    def _ended(self, child: Child, code: int) -> None:
        self._ownership.remove(child.service.name)
        child.process = None
        if child.state == "stopping":
            child.move("stopped")
            if child.again and not self.stopping.is_set():
                self._start(child)
            return
        name, was_ready = child.service.name, child.state == "ready"
        settled = was_ready and time.monotonic() - child.ready_at >= SETTLED_SECONDS
        child.crashes = 1 if settled else child.crashes + 1
        cause = self._logs.buffer(name).cause
        self._logs.say(f"{name} {_ending(code)}" + (f": {cause}" if cause else ""), "bold red")
        self._logs.show_last(name)
        if self.stopping.is_set():
            child.move("waiting")
            child.move("stopped")
        elif child.service.reloads and not was_ready and code > 0:
            child.move("broken")
            self._logs.say(f"{name} is started again when a source file is saved (Ctrl-C ends)", "yellow")
        else:
            child.move("waiting")
            delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** (child.crashes - 1))
            self._logs.say(f"{name} is started again in {delay:g} s", "yellow")
            start = child.starts
            self._later(delay, lambda: self._retry(child, start))

    def _retry(self, child: Child, start: int) -> None:
        if child.state == "waiting" and child.starts == start:
            self._start(child)

    def _reload(self, files: list[Path]) -> None:
        names = ", ".join(path.name for path in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
        for child in self.children.values():
            if not child.service.reloads:
                continue
            self._logs.say(f"{names} changed: {child.service.name} is started again", "cyan")
            if child.state in ("starting", "ready"):
                child.again = True
                self._ask(child)
                start, process = child.starts, child.process
                self._later(self._grace, lambda c=child, s=start, p=process: self._overdue(c, s, p))  # type: ignore[misc]
            elif child.state == "stopping":
                child.again = True
            else:
                self._start(child)

    def _overdue(self, child: Child, start: int, process: RunningProcess | None) -> None:
        if child.starts == start and child.state == "stopping" and process is not None:
            self._logs.say(f"{child.service.name} does not stop: ended", "yellow")
            self._manager.kill(process)

    def _ask(self, child: Child) -> None:
        child.move("stopping")
        assert child.process is not None
        self._manager.ask(child.process)


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
