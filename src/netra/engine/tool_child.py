"""A tool in a process of its own: reads one call, makes it, writes what came of it, and ends.

`netra.engine.tool_processes` starts it as `python -m netra.engine.tool_child`. The call comes as one line of JSON on
standard input, the result goes as JSON to what was standard output; what the tool prints goes to standard error. Little
is imported, because every call pays for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Any

from .hosts import speaks_of_host

_PR_SET_PDEATHSIG = 1
NO_MEMORY = b'{"e": {"type": "MemoryError", "code": "out_of_memory", "message": ""}}'


def main() -> None:
    """Do what the module says."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # uvloop leaves its ends of the pipes open here
    answer = os.dup(1)
    os.dup2(2, 1)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    call: dict[str, Any] = json.loads(line)
    _die_with(call["parent"], answer)
    sys.path[:] = call["path"]
    try:
        _limit_memory(call["memory_mb"])
        target: Any = importlib.import_module(call["module"])
        for part in call["name"].split("."):
            target = getattr(target, part)
        reply = json.dumps({"v": target(*call["args"], **call["named"])}, allow_nan=False).encode()
    except MemoryError:
        reply = NO_MEMORY  # made before: there may be no memory to make it now
    except BaseException as error:  # noqa: BLE001 - whatever it is, the agent decides what to do about it
        reply = _failure(error)
    with os.fdopen(answer, "wb") as out:
        out.write(reply)


def _failure(error: BaseException) -> bytes:
    message = getattr(error, "message", None)
    known = isinstance(message, str) and isinstance(getattr(error, "code", None), str)
    return json.dumps(
        {
            "e": {
                "type": type(error).__name__,
                "code": error.code if known else "tool_failed",  # type: ignore[attr-defined]
                "message": message if known else str(error) or type(error).__name__,
                "host_failed": not known and speaks_of_host(error),
            }
        }
    ).encode()


def _limit_memory(megabytes: int) -> None:
    import resource

    size = megabytes * 1024 * 1024
    with contextlib.suppress(ValueError, OSError):  # a lower limit is set from outside, or the system knows none
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _die_with(parent: int, answer: int) -> None:
    """End when the server does, with everything this process has started, whatever ends the server."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A guard in the same group reads the pipe that the server never writes to again: its end is the server's. It is
    # nobody's child, so that a tool that waits for its own children does not find it.
    if os.fork() == 0:
        if os.fork() == 0:
            for each in (answer, 1, 2):
                os.close(each)
            while os.read(0, 4096):
                pass
            os.killpg(0, signal.SIGKILL)
        os._exit(0)
    os.wait()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - what the tool starts must not read here
        os.dup2(nothing.fileno(), 0)
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)


if __name__ == "__main__":
    main()
