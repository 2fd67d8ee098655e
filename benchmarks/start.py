"""What a start costs, from the process's beginning to the first 200 of `/health/ready`: CPU time, and time elapsed.

`netra serve` on a data directory that has been used, on an empty one (a first start, with the migrations), and on a
used one where nothing is compiled, as on an installation without bytecode that is told to write none. `netra dev` in a
checkout where it has run before: the launcher and its server, each. The peer is the least that anybody with the same
framework starts: a FastAPI application with one route, under uvicorn.

    python benchmarks/start.py [--quick] [--rounds N] [--only TEXT]
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import PROGRAMS, Column, arguments, chosen, cpu_seconds, interleave, machine, report, versions

from support.dev_process import DevProcess, make_checkout
from support.ports import free_port

PEER = "FastAPI with one route"
POLL_SECONDS = 0.01


def started(command: list[str], port: int, **environment: str) -> dict[str, float]:
    """Start a server, wait until it is ready, and end it."""
    python = [sys.executable, "-m", *command, "--port", str(port)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NETRA_")}
    began = time.monotonic()
    with subprocess.Popen(
        python, env={**ours, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not _answers(port):
                if process.poll() is not None or time.monotonic() - began > 120:
                    raise RuntimeError(f"{' '.join(command)} did not become ready")
                time.sleep(POLL_SECONDS)
            return {"seconds": time.monotonic() - began, "cpu": cpu_seconds(process.pid)}
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def served(data: Path, **environment: str) -> dict[str, float]:
    """`netra serve` on a data directory."""
    return started(["netra", "serve", "--data-dir", str(data)], free_port(), **environment)


def served_first(home: Path) -> dict[str, float]:
    """On an empty one."""
    with tempfile.TemporaryDirectory(dir=home) as data:
        return served(Path(data))


def served_uncompiled(home: Path) -> dict[str, float]:
    """On a used one, where Python finds no bytecode and may write none."""
    with tempfile.TemporaryDirectory(dir=home) as nothing:
        return served(home / "data", PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX=nothing)


def developed(checkout: Path) -> dict[str, float]:
    """`netra dev`, until it says that everything is ready."""
    began = time.monotonic()
    with DevProcess(checkout, "--no-ui", "--no-browser") as dev:
        dev.wait_until_ready()
        seconds = time.monotonic() - began
        launcher, server = cpu_seconds(dev.process.pid), cpu_seconds(dev.server().pid)
        dev.interrupt()
    return {"seconds": seconds, "cpu": launcher + server, "launcher": launcher}


@contextmanager
def places() -> Iterator[tuple[Path, Path]]:
    """A directory for data and a checkout, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="netra-benchmark-"))
    try:
        yield home, make_checkout(home / "checkout")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    options = arguments("Start servers.", rounds=10)
    before = machine()
    with places() as (home, checkout):
        variants: dict[str, Callable[[], dict[str, float]]] = {
            PEER: lambda: started(["uvicorn", "one_route:app", "--app-dir", str(PROGRAMS)], free_port()),
            "netra serve": lambda: served(home / "data"),
            "netra serve, first start": lambda: served_first(home),
            "netra serve, nothing compiled": lambda: served_uncompiled(home),
            "netra dev": lambda: developed(checkout),
        }
        # The round that warms up compiles, and makes the data directory and the launcher's cache.
        samples = interleave(chosen(variants, options), options.rounds)
    report(
        "start",
        samples,
        [
            Column("cpu", "CPU s", 2, ratio=True),
            Column("launcher", "of it the launcher", 2),
            Column("seconds", "seconds", 2),
        ],
        baseline=PEER,
        options=options,
        versions=versions("fastapi", "uvicorn", "sqlalchemy", "dbos"),
        before=before,
        parameters={"poll_seconds": POLL_SECONDS},
        notes=["Seconds include waiting for a processor that others use; CPU seconds do not."],
    )


if __name__ == "__main__":
    main()
