"""Further processes that work on runs (`recovering_process.py`), and what they say on standard output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
WORKER = TESTS / "integration" / "engine" / "recovering_process.py"


def runs(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@asynccontextmanager
async def process(database_url: str, data_dir: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process, killed at the end."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        str(WORKER),
        database_url,
        str(data_dir),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        await said(worker, "started")
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


async def said(worker: asyncio.subprocess.Process, what: str) -> None:
    """Wait until a worker has said something."""
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        while line := await worker.stdout.readline():
            if line.decode().strip() == what:
                return
    raise AssertionError(f"the worker ended before it said {what!r}")
