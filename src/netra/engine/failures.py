"""Failures of tools as records, and back: what is stored of an exception, and what an agent catches after a crash."""

from __future__ import annotations

import builtins
from collections.abc import Mapping

from netra.agents.context import BudgetExceeded
from netra.agents.results import storable
from netra.agents.tools import ToolDied, ToolOutOfMemory, ToolTimedOut
from netra.errors import AgentError, CircuitOpen, NetraError

MOST_CHARS = 2000
_OURS: dict[str, type[AgentError]] = {
    kind.__name__: kind for kind in (BudgetExceeded, ToolDied, ToolOutOfMemory, ToolTimedOut)
}
_CLIENTS = frozenset({"httpx", "httpcore", "aiohttp", "urllib3", "requests", "openai", "anthropic"})
"""Libraries whose errors without a status come from the network."""


def failure_of(error: Exception) -> dict[str, str]:
    """What is recorded of an exception; people see its code and message."""
    code, message = "tool_failed", str(error) or type(error).__name__
    if isinstance(error, AgentError | CircuitOpen):
        code, message = error.code, error.message
        if isinstance(error, CircuitOpen) and error.hint:
            message = f"{message} {error.hint}"
    return {"code": code, "message": storable(message)[:MOST_CHARS], "type": type(error).__name__}


def host_failed(error: BaseException) -> bool:
    """Whether an exception says that a host could not be reached, gave no answer in time, or failed (5xx)."""
    if isinstance(error, NetraError):
        return isinstance(error, ToolTimedOut)
    response = getattr(error, "response", None)
    for status in (
        getattr(response, "status_code", None),
        getattr(error, "status_code", None),
        getattr(error, "status", None),
    ):
        if isinstance(status, int):
            return status >= 500
    if isinstance(error, OSError | EOFError):
        return True
    return type(error).__module__.partition(".")[0] in _CLIENTS or type(error).__name__ == "ModelAPIError"


def rebuilt(failure: Mapping[str, str]) -> Exception:
    """The recorded failure as the exception it was, so that an agent's `except` works the same after a crash."""
    if failure["type"] == CircuitOpen.__name__:
        return CircuitOpen(failure["message"], retry_after=1.0)
    kind: object = _OURS.get(failure["type"]) or getattr(builtins, failure["type"], None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(failure["message"])
        except TypeError:
            pass  # one that takes more than a message
    return AgentError(failure["message"], type=failure["type"])
