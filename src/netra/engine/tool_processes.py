"""Tools in processes of their own: what takes too much memory or crashes takes nothing else with it.

A bounded number run at once; more wait. Each call gets a fresh process with a limit on its memory, in a group of its
own, which is killed as a whole when the run ends, when its time is up, and by the kernel when the server dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from netra.agents.results import encode_json
from netra.agents.tools import Isolated, ToolDied, ToolOutOfMemory
from netra.errors import AgentError

from .failures import rebuilt

MOST_REPLY_BYTES = 17 * 1024 * 1024
"""A little more than a result may have, so that the port can say that it is too large."""
_CHUNK = 256 * 1024


class ToolProcesses:
    """See the module.

    Args:
        size: processes at once.
        memory_mb: of each, unless its tool says otherwise.
    """

    def __init__(self, size: int, memory_mb: int) -> None:
        self._places = asyncio.Semaphore(size)
        self._memory_mb = memory_mb
        self._of_run: dict[str, set[Process]] = {}

    async def run(self, call: Isolated, run_id: str) -> Any:
        """Make a call and return its result. A cancel kills the process.

        Raises:
            ToolOutOfMemory: it took more memory than it may.
            ToolDied: the process ended without a result.
            Exception: what the tool raised, as after a crash.
            TypeError: an argument is not JSON.
        """
        memory = call.memory_mb or self._memory_mb
        request = {
            "parent": os.getpid(),
            "path": sys.path,
            "memory_mb": memory,
            "module": call.module,
            "name": call.qualname,
            "args": json.loads(encode_json(list(call.args))),
            "named": json.loads(encode_json(dict(call.parameters))),
        }
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "netra.engine.tool_child", stdin=PIPE, stdout=PIPE, start_new_session=True
            )
            self._of_run.setdefault(run_id, set()).add(process)
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(request).encode() + b"\n")
                with contextlib.suppress(ConnectionError):  # it has died; its exit says how
                    await process.stdin.drain()
                reply = await _read(process)
                _kill(process)  # its guard and what it has left behind; its own exit is decided
                code = await process.wait()
            finally:
                _kill(process)
                mine = self._of_run[run_id]
                mine.discard(process)
                if not mine:
                    del self._of_run[run_id]
                await asyncio.shield(_reap(process))
        return _result(call, reply, code, memory)

    def end_run(self, run_id: str) -> None:
        """Kill what still works for a run."""
        for process in self._of_run.get(run_id, ()):
            _kill(process)


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    reply = bytearray()
    while piece := await process.stdout.read(_CHUNK):
        reply += piece
        if len(reply) > MOST_REPLY_BYTES:
            raise AgentError(f"The tool's result is larger than {MOST_REPLY_BYTES >> 20} MiB.")
    return bytes(reply)


async def _reap(process: Process) -> None:
    await process.wait()


def _kill(process: Process) -> None:
    """Kill the process and whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _result(call: Isolated, reply: bytes, code: int, memory_mb: int) -> Any:
    try:
        record = json.loads(reply)
    except ValueError:
        record = None
    if record is None:
        if code == -signal.SIGKILL:
            raise ToolDied(f"The process of {call.qualname} was killed, perhaps because the machine is out of memory.")
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise ToolDied(f"The process of {call.qualname} ended {how}, without a result.")
    if (failure := record.get("e")) is None:
        return record["v"]
    if failure["type"] == "MemoryError":
        raise ToolOutOfMemory(f"{call.qualname} needs more than the {memory_mb} MiB of memory it may take.")
    raise rebuilt(failure)
