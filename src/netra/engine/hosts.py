"""What of an exception speaks against a host that a tool has asked, for its circuit breaker.

Imports nothing, because every call of a tool in a process of its own loads it: a library's exception is known there
only, and goes to the server as its name and words.
"""

from __future__ import annotations

_CLIENTS = frozenset({"httpx", "httpcore", "aiohttp", "urllib3", "requests", "openai", "anthropic"})
"""Libraries whose errors without a status come from the network."""


def speaks_of_host(error: BaseException) -> bool:
    """Whether an exception says that a host could not be reached, gave no answer in time, or failed (5xx)."""
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
