"""The composition root: builds every part from Settings, starts them in order and stops them in reverse.

This is the only place that wires. `serve` runs the whole in uvicorn; `create_app` gives the parts to whoever embeds
or tests them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from netra import __version__
from netra.agents import AgentSpec, load_all
from netra.agents.optimizer import NetraOptimizer, build_optimizer
from netra.chat import Approvals, Feedback, Files, Messages, Runs, Threads
from netra.chat.trace import Trace
from netra.clock import Clock, SystemClock
from netra.config import Settings
from netra.engine.engine import Engine
from netra.errors import ConfigurationError, NetraError
from netra.events import Draining, encode
from netra.executions import BreakerRules, Breakers, TrackerLimits, configure_execution_tracker
from netra.executions.breaker import Change
from netra.executions.overview import ExecutionOverview
from netra.gateway.http.admin.accounts import accounts_admin_routes
from netra.gateway.http.admin.alerts import alerts_admin_routes
from netra.gateway.http.admin.compliance import compliance_admin_routes
from netra.gateway.http.admin.executions import executions_admin_routes
from netra.gateway.http.admin.operations import operations_admin_routes
from netra.gateway.http.admin.quality import quality_admin_routes
from netra.gateway.http.admin.report import report_routes
from netra.gateway.http.admin.sessions import sessions_admin_routes
from netra.gateway.http.api import api_routes
from netra.gateway.http.auth import auth_routes
from netra.gateway.http.docs import docs_routes
from netra.gateway.http.feedback import feedback_routes
from netra.gateway.http.guard import Guard
from netra.gateway.http.page import page_routes
from netra.gateway.http.problems import install_problems
from netra.gateway.http.security import Doors
from netra.gateway.http.sse import Streams
from netra.gateway.http.system import system_routes
from netra.gateway.operations import OperationsDesk
from netra.gateway.server import Server
from netra.gateway.socket.commands import Commands
from netra.gateway.socket.endpoint import SocketEndpoint
from netra.gateway.socket.hub import Connection, Hub
from netra.gateway.socket.operations import OperationsCommands
from netra.gateway.socket.quality import QualityCommands
from netra.gateway.socket.transport import text_frame
from netra.identity import Identity, Principal
from netra.log import Bus, ThreadLog
from netra.monitoring import tracing
from netra.monitoring.alerts import AlertManager, alert_manager
from netra.monitoring.channels import Channels
from netra.monitoring.daily import Daily, daily
from netra.monitoring.delivery import Delivery
from netra.monitoring.history import History
from netra.monitoring.lag import LoopMonitor
from netra.monitoring.metrics import metrics
from netra.monitoring.standard import standard_rules
from netra.quality.measures import Measures
from netra.quality.monitor import QualityMonitor
from netra.routing import MessageRouter
from netra.sessions import RequestScopedSessionFactory
from netra.sessions.door import serve_sessions
from netra.sessions.identifiers import UserID
from netra.sessions.provider import UnifiedSessionMetricsProvider
from netra.sessions.tracker import UserSessionTracker
from netra.storage import Database
from netra.storage.alerts import Alerts
from netra.storage.audit import AuditLog
from netra.storage.checked_versions import CheckedVersions
from netra.storage.figures import DailyFigures
from netra.storage.migrate import migrate
from netra.storage.run_health import RunHealth
from netra.storage.samples import Samples
from netra.storage.silences import Silences

log = structlog.get_logger(__name__)

NOT_AUTHENTICATED = 4401
RECHECK_SECONDS = 1.0
"""How often open connections are checked against revocations made by other processes."""
RECONNECT_MILLISECONDS = 1000
STOP_SECONDS = 4.0
"""How long the parts may take to stop once the runs were given their time, whatever the database does."""
ABANDON_SECONDS = 1.0
"""After so much more the parts are left as they are, and after so much again the process ends itself."""


class Netra:
    """The server's parts. `asgi` is the application; `start` and `stop` are what its lifespan calls."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.agents = _with_model(load_all(settings.agents), settings)
        self.database = RequestScopedSessionFactory(
            Database(
                settings.database,
                read_connections=settings.read_connections,
                session_connections=settings.session_connections,
                session_wait_seconds=settings.session_wait_seconds,
            ),
            self.clock,
            held_seconds=settings.session_held_seconds,
            strict=settings.strict_sessions,
        )
        self.audit = AuditLog(self.database, self.clock)
        self.identity = Identity(self.database, self.clock, settings, self.audit)
        self.bus = Bus()
        self.activity = UserSessionTracker(self.database, self.clock, idle_seconds=settings.user_session_idle_seconds)
        self.sessions = UnifiedSessionMetricsProvider(self.database, self.activity, self.clock)
        self.log = ThreadLog(self.database, self.bus, self.clock, on_stored=self.activity.stored)
        self.tracker = configure_execution_tracker(limits=TrackerLimits.of(settings), clock=self.clock)
        self.breakers = Breakers(BreakerRules.of(settings), self.clock, on_change=self._circuit_changed)
        self.engine = Engine(
            settings,
            self.agents,
            self.database,
            self.log,
            self.clock,
            tracker=self.tracker,
            breakers=self.breakers,
        )
        self.files = Files(
            self.database,
            settings.data_dir / "files",
            self.clock,
            max_bytes=settings.file_bytes,
            max_bytes_of_user=settings.files_bytes_per_user,
            note=self.activity.note,
        )
        self.threads = Threads(self.database, self.log, self.engine, self.files, note=self.activity.note)
        self.messages = Messages(self.log, self.engine, settings, self.clock, self.agents, self.breakers)
        self.runs = Runs(self.database, self.log, self.engine, self.audit, note=self.activity.note)
        self.approvals = Approvals(self.log, self.engine, self.clock)
        self.feedback = Feedback(self.database, self.clock, note=self.activity.note)
        self.hub = Hub(self.log, self.bus, buffer_bytes=settings.socket_buffer_bytes, note=self.activity.note)
        self.router: MessageRouter[Connection] = MessageRouter()
        Commands(self.hub, self.threads, self.messages, self.runs, self.approvals, self.clock).register(self.router)
        self.quality = QualityMonitor(self.database, self.clock, lambda: self.alerts)
        self.measures = Measures(self.database, self.clock)
        self.engine.on_ended(lambda ended: self.quality.note(ended.run_id))
        spoken = QualityCommands(self.hub, self.measures, self.clock)
        spoken.register(self.router)
        self.quality.on_checked(spoken.checked)
        self.quality.on_turn(spoken.turned)
        self.streams = Streams(settings, note=self.activity.note)
        self.lag = LoopMonitor()
        self.figures, self.alerts = daily, alert_manager
        self._process = f"{socket.gethostname()}:{settings.port}"
        self.health = RunHealth(
            self.database, self.clock, run_seconds=settings.run_seconds, runs_running=settings.runs_running
        )
        self.history = History(Samples(self.database), self.clock, self._process)
        self.desk = OperationsDesk(self.history, self.tracker, self.health, lambda: self.alerts, self.clock)
        self.operations = OperationsCommands(self.hub, self.desk)
        self.operations.register(self.router)
        self.checked_versions = CheckedVersions(self.database, self.clock)
        self._sample_lock = threading.Lock()
        self._running: AsyncExitStack | None = None
        self._drain_until: float | None = None
        self.failure: NetraError | None = None
        """Why the server could not start, for whoever runs it."""
        self.asgi = self._application()

    async def start(self) -> None:
        """Migrate the database and start every part.

        Raises:
            ConfigurationError: the settings cannot work here; says what to change.
            Unavailable: the database cannot be reached.
        """
        async with AsyncExitStack() as stack:
            _make_private(self.settings.data_dir)
            traces = tracing.start(self.settings.tracing, content=self.settings.tracing_content)
            stack.push_async_callback(asyncio.to_thread, traces)
            before, after = await asyncio.to_thread(migrate, self.settings.database)
            if before != after:
                log.info("database migrated", before=before, after=after)
            await self.database.start()
            stack.push_async_callback(self.database.stop)
            await self._start_alerts(stack)
            metrics.build.info({"version": __version__, "python": platform.python_version()})
            for part in (
                self.identity,
                self.activity,
                self.files,
                self.quality,
                self.engine,
                self.lag,
                self.history,
                self.operations,
                self.checked_versions,
            ):
                await part.start()
                if hasattr(part, "stop"):
                    stack.push_async_callback(part.stop)
            serve_sessions(self.database)
            stack.callback(serve_sessions, None)
            self.identity.on_revoked(self._revoked)
            recheck = asyncio.create_task(self._recheck())
            stack.callback(recheck.cancel)
            self._running = stack.pop_all()
        log.info("started", version=__version__, database=self.database.dialect, agents=list(self.agents))

    async def _start_alerts(self, stack: AsyncExitStack) -> None:
        """Count for reports, and watch the rules. A second server in one process does so beside the process's own."""
        if daily.started or alert_manager.started:
            self.figures, self.alerts = Daily(), AlertManager()
        channels = Channels(self.settings.alert_urls)
        stack.push_async_callback(channels.stop)
        self.figures.configure(DailyFigures(self.database), clock=self.clock)
        store = Alerts(self.database)
        self.alerts.configure(
            store,
            clock=self.clock,
            rules=standard_rules(self.settings, self.clock, self.figures, self.health),
            delivery=Delivery(store, channels, self.clock, origin=self.settings.origin),
            process=self._process,
        )
        await self.figures.start()
        stack.push_async_callback(self.figures.stop)
        await self.alerts.start()
        stack.push_async_callback(self.alerts.stop)

    async def stop(self) -> None:
        """Stop every part, the last one first. Runs that do not end in time go on after the next start.

        It takes `drain_seconds` and a few more at most, whatever the database does. What is stored was confirmed; what
        was not confirmed to anybody may be lost.
        """
        running, self._running = self._running, None
        if running is None:
            return
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.drain_seconds if self._drain_until is None else self._drain_until
        self._drain_until = None
        seconds = max(0.0, until - loop.time())
        closing = asyncio.create_task(self._close(running, seconds), name="stop")
        await asyncio.wait({closing}, timeout=seconds + STOP_SECONDS + ABANDON_SECONDS)
        if closing.done():
            closing.result()
            log.info("stopped")
        else:
            closing.cancel()
            log.error("stop_abandoned", hint="Something does not answer, most likely the database.")

    async def _close(self, running: AsyncExitStack, drain_seconds: float) -> None:
        self.database.finish_within(drain_seconds + STOP_SECONDS)
        await self.engine.drain(drain_seconds)
        self.database.finish_within(STOP_SECONDS)
        await running.aclose()

    def drain(self) -> None:
        """Tell every reader that the server goes away. Called before their connections are closed.

        The time that runs have to end begins now, and no further one begins.
        """
        self.engine.begin_no_more()
        self._drain_until = asyncio.get_running_loop().time() + self.settings.drain_seconds
        farewell = text_frame(encode(Draining(retry_after_ms=RECONNECT_MILLISECONDS)))
        for connection in self.hub.connections():
            connection.transport.write(farewell)
        self.streams.end()

    async def check(self) -> dict[str, str]:
        """The state of the parts, for `/health`: `ok`, or what is wrong."""
        parts = {"database": "ok"}
        try:
            async with asyncio.timeout(5), self.database.read() as connection:
                await connection.exec_driver_sql("SELECT 1")
        except (NetraError, TimeoutError):
            parts["database"] = "cannot be reached"
        return parts

    def _application(self) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            try:
                await self.start()
            except NetraError as error:
                self.failure = error
                raise
            try:
                yield
            finally:
                await self.stop()

        app = FastAPI(
            title="Netra",
            version=__version__,
            summary="AI agents in front of many users: every step is seen live, and nothing is lost.",
            openapi_url="/api/openapi.json",
            docs_url=None,
            redoc_url=None,
            lifespan=lifespan,
        )
        install_problems(app)
        doors = Doors(self.identity, self.settings)
        app.include_router(
            system_routes(version=__version__, check=self.check, started=lambda: self._running is not None)
        )
        app.include_router(auth_routes(self.identity, self.settings))
        app.include_router(
            api_routes(
                require=doors.principal,
                settings=self.settings,
                agents=self.agents,
                threads=self.threads,
                messages=self.messages,
                runs=self.runs,
                approvals=self.approvals,
                files=self.files,
                streams=self.streams,
                sample=self._sample,
            )
        )
        app.include_router(feedback_routes(doors.principal, self.feedback))
        overview = ExecutionOverview(self.tracker, self.database)
        trace = Trace(self.database)
        app.include_router(executions_admin_routes(doors.administrator, overview, self.breakers, self.runs, trace))
        app.include_router(
            accounts_admin_routes(doors.administrator, self.identity.accounts, self.audit, self._principals)
        )
        app.include_router(sessions_admin_routes(doors.administrator, self.sessions, self.audit))
        app.include_router(quality_admin_routes(doors.administrator, self.measures, self.clock))
        app.include_router(operations_admin_routes(doors.administrator, self.desk, self.history))
        silences = Silences(self.database, self.clock, self.audit)
        app.include_router(alerts_admin_routes(doors.administrator, lambda: self.alerts, silences, self.audit))
        app.include_router(compliance_admin_routes(doors.administrator, self.checked_versions))
        figures = DailyFigures(self.database)
        app.include_router(report_routes(doors.administrator, figures, self.checked_versions, self.clock))
        app.include_router(docs_routes())
        endpoint = SocketEndpoint(self.hub, self.router, self.identity, self.settings, self.clock, self.database)
        app.router.routes.append(WebSocketRoute("/ws", endpoint))
        app.include_router(page_routes())
        app.add_middleware(Guard, settings=self.settings, sessions=self.database)
        if self.settings.allowed_origins:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self.settings.allowed_origins,
                allow_methods=["*"],
                allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
                expose_headers=["X-Request-ID", "Retry-After"],
                max_age=600,
            )
        return app

    def _sample(self, spec: AgentSpec) -> Path:
        """The file to try an agent with. Written once, under a temporary name, so that nobody reads half of it."""
        assert spec.sample is not None
        suffix = next(iter(spec.accepts), ".txt")
        path = self.settings.data_dir / "samples" / f"{spec.name}-sample{suffix}"
        with self._sample_lock:
            if not path.is_file():
                path.parent.mkdir(mode=0o700, exist_ok=True)
                part = path.with_name(f"part-{path.name}")
                spec.sample(part)
                part.replace(path)
        return path

    def _revoked(self, *, user_id: str, login_id: str | None, access_token_id: str | None) -> None:
        """End the open connections of credentials that were revoked."""
        if login_id is None and access_token_id is None:  # everything of this user: the account is disabled
            self.activity.sessions.invalidate_user(UserID(user_id))

        def meant(principal: Principal) -> bool:
            if principal.scope.user_id != user_id:
                return False
            if login_id is None and access_token_id is None:
                return True
            return (principal.login_id, principal.access_token_id) == (login_id, access_token_id)

        self._disconnect({principal for principal in self._principals() if meant(principal)})

    def _circuit_changed(self, change: Change) -> None:
        if change.after == "open":
            self.database.aggregator.breaker_tripped()

    def _principals(self) -> list[Principal]:
        return [connection.principal for connection in self.hub.connections()] + self.streams.principals()

    def _disconnect(self, principals: set[Principal]) -> None:
        if not principals:
            return
        sockets = [connection for connection in self.hub.connections() if connection.principal in principals]
        self.hub.disconnect(sockets, NOT_AUTHENTICATED, "not authenticated any more")
        self.streams.end(principals)

    async def _recheck(self) -> None:
        """Notice what expired, and what another process (the command line, another server) revoked."""
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            principals = list(dict.fromkeys(self._principals()))
            if not principals:
                continue
            try:
                valid = await self.identity.still_valid_many(principals)
            except NetraError as error:
                log.warning("recheck failed", error=error.code)
                continue
            except Exception:
                log.exception("recheck failed")  # the next one may succeed; without any, a revocation is never noticed
                continue
            self._disconnect({principal for principal, good in zip(principals, valid, strict=True) if not good})


def _with_model(agents: dict[str, AgentSpec], settings: Settings) -> dict[str, AgentSpec]:
    """The agents, the built-in one with the configured language model."""
    if settings.model is None:
        return agents
    return {
        name: replace(spec, target=build_optimizer(settings.model, settings.model_base_url))
        if isinstance(spec.target, NetraOptimizer)
        else spec
        for name, spec in agents.items()
    }


def create_app(settings: Settings | None = None) -> Netra:
    """The server's parts, wired and not started."""
    return Netra(settings or Settings())


def serve(settings: Settings) -> None:
    """Serve until stopped by SIGINT or SIGTERM. Ends the process with an error when it cannot start.

    Raises:
        ConfigurationError: the settings cannot work here; says what to change.
        Unavailable: the database cannot be reached.
    """
    netra = Netra(settings)

    def ready(port: int) -> None:
        origin = settings.public_url or settings.model_copy(update={"port": port}).origin
        log.info("serving", url=origin)
        if netra.identity.setup_token is not None:
            announce_setup(f"{origin}/setup#token={netra.identity.setup_token}")
        gc.freeze()  # what is there now stays: no later collection has to go through it, which takes 0.1 s
        gc.enable()

    def drain() -> None:
        netra.drain()
        _end_after(max(1.0, settings.drain_seconds) + STOP_SECONDS + 2 * ABANDON_SECONDS)

    server = Server(netra.asgi, settings, on_ready=ready, on_drain=drain)
    with suppress(SystemExit):  # uvicorn's way to say that it could not start; what follows says why
        server.run()
    if netra.failure is not None:
        raise netra.failure
    if not server.started:
        raise ConfigurationError("The server did not start.", hint="The lines above say why; `netra doctor` checks.")


def _end_after(seconds: float) -> None:
    """End this process if it is still there then: a thread that hangs in a database's driver cannot be interrupted, and
    the interpreter would wait for it. Everything that was confirmed is stored by then.
    """

    def end() -> None:
        log.error("stop_forced", hint="Something does not answer, most likely the database.")
        os._exit(1)

    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()


def announce_setup(link: str) -> None:
    """Print the link that creates the first administrator. To the terminal and not to the log: it is a secret."""
    print(f"\n  Create the first administrator (this link works once):\n\n    {link}\n", flush=True)


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The data directory {directory} cannot be written: {error.strerror}.",
            hint="Choose another one with --data-dir, or change its owner.",
        ) from error
