"""Failures of tools as records, and back: what is stored of an exception, and what an agent catches after a crash."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from netra.agents.context import BudgetExceeded
from netra.agents.results import storable
from netra.agents.tools import ToolDied, ToolOutOfMemory, ToolTimedOut
from netra.errors import AgentError, CircuitOpen, NetraError

from .hosts import speaks_of_host

MOST_CHARS = 2000
_OURS: dict[str, type[AgentError]] = {
    kind.__name__: kind for kind in (BudgetExceeded, ToolDied, ToolOutOfMemory, ToolTimedOut)
}


def failure_of(error: Exception) -> dict[str, str]:
    """What is recorded of an exception; people see its code and message."""
    code, message = "tool_failed", str(error) or type(error).__name__
    if isinstance(error, AgentError | CircuitOpen):
        code, message = error.code, error.message
        if isinstance(error, CircuitOpen) and error.hint:
            message = f"{message} {error.hint}"
    return {"code": code, "message": storable(message)[:MOST_CHARS], "type": type(error).__name__}


def host_failed(error: BaseException) -> bool:
    """Whether an exception, raised here or in a tool's own process, speaks against the host that was asked."""
    if isinstance(error, NetraError):
        return isinstance(error, ToolTimedOut) or error.details.get("host_failed") is True
    return speaks_of_host(error)


def rebuilt(failure: Mapping[str, Any]) -> Exception:
    """The recorded failure as the exception it was, so that an agent's `except` works the same after a crash."""
    if failure["type"] == CircuitOpen.__name__:
        return CircuitOpen(failure["message"], retry_after=1.0)
    kind: object = _OURS.get(failure["type"]) or getattr(builtins, failure["type"], None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(failure["message"])
        except TypeError:
            pass  # one that takes more than a message
    return AgentError(failure["message"], type=failure["type"], host_failed=failure.get("host_failed") is True)
