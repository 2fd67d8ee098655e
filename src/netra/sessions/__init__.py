"""Sessions: of the database (one per request, command or run), and of users (who works in which thread).

The names are loaded when they are first asked for, so that `netra.sessions.metrics` and `netra.sessions.identifiers`
can be used without the server.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netra.sessions.aggregator import SystemSessionAggregator, SystemSessionFigures
    from netra.sessions.door import (
        close_database,
        get_async_session,
        get_session,
        get_session_from_factory,
        init_database,
    )
    from netra.sessions.factory import RequestScopedSessionFactory
    from netra.sessions.identifiers import RequestID, RunID, SessionID, ThreadID, UserID
    from netra.sessions.metrics import (
        BaseSessionMetrics,
        DatabaseSessionMetrics,
        SessionState,
        SystemSessionMetrics,
        create_database_session_metrics,
        create_system_session_metrics,
        error_context,
        session_metrics,
    )
    from netra.sessions.provider import UnifiedSessionMetricsProvider
    from netra.sessions.scopes import RequestSession, StreamHoldsConnection
    from netra.sessions.tracker import UserSessionTracker
    from netra.sessions.users import UserSessionManager

__all__ = [
    "BaseSessionMetrics",
    "DatabaseSessionMetrics",
    "RequestID",
    "RequestScopedSessionFactory",
    "RequestSession",
    "RunID",
    "SessionID",
    "SessionState",
    "StreamHoldsConnection",
    "SystemSessionAggregator",
    "SystemSessionFigures",
    "SystemSessionMetrics",
    "ThreadID",
    "UnifiedSessionMetricsProvider",
    "UserID",
    "UserSessionManager",
    "UserSessionTracker",
    "close_database",
    "create_database_session_metrics",
    "create_system_session_metrics",
    "error_context",
    "get_async_session",
    "get_session",
    "get_session_from_factory",
    "init_database",
    "session_metrics",
]

_HOMES = {
    "init_database": "door",
    "get_session_from_factory": "door",
    "get_session": "door",
    "get_async_session": "door",
    "close_database": "door",
    "BaseSessionMetrics": "metrics",
    "DatabaseSessionMetrics": "metrics",
    "RequestID": "identifiers",
    "RequestScopedSessionFactory": "factory",
    "RequestSession": "scopes",
    "RunID": "identifiers",
    "SessionID": "identifiers",
    "SessionState": "metrics",
    "StreamHoldsConnection": "scopes",
    "SystemSessionAggregator": "aggregator",
    "SystemSessionFigures": "aggregator",
    "SystemSessionMetrics": "metrics",
    "ThreadID": "identifiers",
    "UnifiedSessionMetricsProvider": "provider",
    "UserID": "identifiers",
    "UserSessionManager": "users",
    "UserSessionTracker": "tracker",
    "create_database_session_metrics": "metrics",
    "create_system_session_metrics": "metrics",
    "error_context": "metrics",
    "session_metrics": "metrics",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'netra.sessions' has no attribute {name!r}") from None
    value = getattr(import_module(f"netra.sessions.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
