"""`netra watch`: end the runs of servers that died or froze. Run it beside the server, on the same database."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer
from rich.markup import escape

from netra.cli.output import out
from netra.cli.settings import DATA, with_settings
from netra.config import Settings


@with_settings(*DATA, "run_seconds", "run_orphan_seconds", "log_level", "log_format")
def command(
    once: Annotated[bool, typer.Option("--once", help="Look once, end what has to be ended, and exit.")] = False,
    *,
    settings: Settings,
) -> None:
    """End the runs of servers that died or froze, so that their users do not wait for ever. Stops at SIGTERM."""
    from netra.clock import SystemClock
    from netra.engine.watch import Watch
    from netra.log import Bus, ThreadLog
    from netra.monitoring import logs, tracing
    from netra.sessions import RequestScopedSessionFactory
    from netra.storage import Database
    from netra.storage.migrate import migrate

    async def run() -> None:
        clock = SystemClock()
        database = RequestScopedSessionFactory(Database(settings.database, read_connections=1), clock)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await database.start()
        try:
            log = ThreadLog(database, Bus(), clock)
            watch = Watch(settings, database, log, clock, told=lambda text: out.print(escape(text), soft_wrap=True))
            if once:
                ended = await watch.once()
                out.print(f"Ended {len(ended)} {'run' if len(ended) == 1 else 'runs'}.")
                return
            out.print(f"Watching. A run whose server is not seen for {settings.run_orphan_seconds:g} s is ended.")
            await watch.run(stop)
            out.print("Stopped.")
        finally:
            await database.stop()

    logs.configure(settings.log_level, settings.log_format)
    migrate(settings.database)
    stop_tracing = tracing.start(settings.tracing)
    try:
        asyncio.run(run())
    finally:
        stop_tracing()
