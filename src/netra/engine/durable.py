"""DBOS behind our own words: start a run as a workflow, record its steps, find what a dead process left.

DBOS is one per process, and so is `Durable` while it is started. It keeps its own SQLite file (or its own schema in
the same PostgreSQL), writes JSON only, and runs our workflow on the event loop that started it. What it knows of a run
is that it must be carried on, and the recorded results of its steps; states, events and ends are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID
from dbos import StepReservation as Place
from dbos import error as dbos_error
from sqlalchemy import Engine, create_engine, event

from netra.errors import Unavailable
from netra.storage.database import BUSY_MILLISECONDS, parse_url

log = structlog.get_logger(__name__)

APPLICATION = "netra"
APPLICATION_VERSION = "1"
"""Constant, so that a newer version of the server carries on the runs of the one before."""
WORKFLOW = "netra.run"
SETTLE_SECONDS = 2.0
CLOSE_SECONDS = 4.0
"""How long DBOS may take to close; its threads sleep for longer than that while its database is away."""
NOTICE_SECONDS = 0.1
"""How long DBOS's listener for notices, of which we send none, sleeps between two looks; closing waits for it."""
TIDY = 500

Progress = Literal["unknown", "open", "closed"]
"""What DBOS says of a run: never heard of it, to be carried on, or finished."""

__all__ = ["Durable", "Place", "Progress", "StepsDiffer"]

StepsDiffer = dbos_error.DBOSException
"""Raised by a step when the agent took other steps before a restart."""

_current: Durable | None = None


class _Quiet(logging.Filter):
    """Leaves out what is no news: that a run was interrupted is in our own log already."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "Asyncio task cancelled" not in str(record.msg)


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)  # how often a run is tried is counted in its row
async def _workflow(run_id: str) -> None:
    if _current is None:
        raise asyncio.CancelledError  # stopping: whoever starts next carries on
    await _current.work(run_id)


class Durable:
    """See the module.

    Args:
        database_url: where the server's own data is.
        data_dir: where `engine.db` goes when that is SQLite.
        executor: the name under which this process takes and recovers runs.
        work: carries out one run; when it is cancelled, the run stays open.
    """

    def __init__(
        self, database_url: str, data_dir: Path, executor: str, work: Callable[[str], Awaitable[None]]
    ) -> None:
        self._url = parse_url(database_url)
        self._data_dir = data_dir
        self._executor = executor
        self.work = work
        self._engine: Engine | None = None
        self._handles: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        """Open the engine's database and carry on what this executor left.

        Raises:
            RuntimeError: another one is started in this process.
            Unavailable: the database cannot be reached.
        """
        global _current
        if _current is not None:
            raise RuntimeError("one engine is started in this process already")
        logger = logging.getLogger("dbos")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())  # or DBOS adds one that writes to the console
        logger.propagate = True
        logger.addFilter(_QUIET)
        config: DBOSConfig = {
            "name": APPLICATION,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor,
            "serializer": DBOSPortableJSONSerializer(),  # the default would be pickle
            "run_migrations": True,
            "enable_otlp": False,
            "log_level": "WARNING",
            "use_listen_notify": False,
            "scheduler_polling_interval_sec": 3600.0,
            "notification_listener_polling_interval_sec": NOTICE_SECONDS,
        }
        if self._url.get_backend_name() == "sqlite":
            self._engine = _sqlite(self._data_dir / "engine.db")
            config["system_database_url"] = f"sqlite:///{self._data_dir.absolute() / 'engine.db'}"
            config["system_database_engine"] = self._engine
        else:
            url = self._url.set(drivername="postgresql")
            config["system_database_url"] = url.render_as_string(hide_password=False)
            config["sys_db_pool_size"] = 8
        _current = self
        try:
            DBOS(config=config)
            DBOS.launch()  # on the loop's own thread: DBOS runs workflows on the loop it is launched from
        except Exception as error:
            await self.stop()
            raise Unavailable("The engine's database cannot be opened.", hint=str(error)) from error

    async def stop(self) -> None:
        """Close everything. Runs must have ended or been left before. Safe to call twice."""
        global _current
        if _current is not self:
            return
        if self._handles:
            await asyncio.wait(self._handles, timeout=SETTLE_SECONDS)
        _current = None
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            try:
                DBOS.destroy()
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
                    loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="netra-durable-close", daemon=True).start()
        try:
            await asyncio.wait_for(closed.wait(), CLOSE_SECONDS)
        except TimeoutError:
            log.warning("durable_left_behind")
        # DBOS made its own threads the loop's default; give the loop some that live.
        loop.set_default_executor(ThreadPoolExecutor())
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    async def launch(self, run_id: str) -> None:
        """Start a run's workflow; at most once for each run, ever."""
        with SetWorkflowID(run_id):
            handle = await DBOS.start_workflow_async(_workflow, run_id)
        task = getattr(handle, "task", None)
        if task is not None:
            self._handles.add(task)
            task.add_done_callback(self._handles.discard)

    def reserve(self) -> Place:
        """A place for the next step of the workflow this is called from."""
        return DBOS.reserve_step()

    async def step(self, place: Place, name: str, work: Callable[[], Awaitable[str]], *, first: bool) -> str:
        """What `work` returns, recorded; or what it returned when it was recorded before.

        Args:
            first: this is the run's first attempt, so nothing can be recorded yet and `work` may run before DBOS is
                asked, which saves a trip to its database.
        """
        if first:
            record = await work()
            return await place.run_async({"name": name}, lambda: record)
        return await place.run_async({"name": name}, _as_coroutine(work))

    async def progress(self, run_ids: Sequence[str]) -> dict[str, Progress]:
        """What DBOS knows of these runs."""
        found: dict[str, Progress] = dict.fromkeys(run_ids, "unknown")
        if run_ids:
            for status in await DBOS.list_workflows_async(
                workflow_ids=list(run_ids), load_input=False, load_output=False
            ):
                open_ = status.status in ("PENDING", "ENQUEUED", "DELAYED")
                found[status.workflow_id] = "open" if open_ else "closed"
        return found

    async def tidy(self) -> int:
        """Forget finished runs, whose rows and events say all there is to say; at most a few hundred at a time.

        Returns:
            How many; call again while it is not 0.
        """
        done = await DBOS.list_workflows_async(
            name=WORKFLOW,
            status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
            limit=TIDY,
            load_input=False,
            load_output=False,
        )
        if done:
            await DBOS.delete_workflows_async([each.workflow_id for each in done])
        return len(done)

    async def resume(self, run_id: str) -> None:
        """Carry on an open run that nobody in this process works on."""
        await DBOS.resume_workflow_async(run_id)


_QUIET = _Quiet()


def _as_coroutine(work: Callable[[], Awaitable[str]]) -> Callable[[], Any]:
    async def run() -> str:
        return await work()

    return run


def _sqlite(path: Path) -> Engine:
    """An engine in the mode that is fast and loses nothing at a power cut (DBOS's default is neither)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One connection: threads queue for it in order, where SQLite would let them sleep and race for its lock.
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False},
        pool_size=1,
        max_overflow=0,
        pool_timeout=300,
        pool_reset_on_return=None,  # DBOS ends every transaction itself
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if sqlite3.sqlite_version_info < (3, 42):
            # DBOS takes it for granted on Python 3.12; Debian 12 has an older SQLite, which answers NULL.
            connection.create_function("unixepoch", 1, lambda _subsec: round(time.time(), 3))

    return engine
