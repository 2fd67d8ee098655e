"""The one table: old module path, and for each name in it the module where it lives and its name there.

`SessionMetrics` means four things, as the specification has it: the metrics of a database session in `shared.metrics`,
in `shared.metrics.session_metrics` and beside the factory; those of the system beside the manager of user sessions; and
among the aliases a function that picks one of the two by its keywords.
"""

from __future__ import annotations

Names = dict[str, tuple[str, str]]
"""Old name → (module, name there)."""


def _at(home: str, *same: str, **others: str) -> Names:
    """Names that live in `home`: `same` under the same name, `others` as old="new"."""
    return {name: (home, name) for name in same} | {old: (home, new) for old, new in others.items()}


_METRICS = "netra.sessions.metrics"
_METRIC_CLASSES = _at(
    _METRICS,
    "BaseSessionMetrics",
    "DatabaseSessionMetrics",
    "SessionState",
    "SystemSessionMetrics",
    "create_database_session_metrics",
    "create_system_session_metrics",
)

MODULES: dict[str, Names] = {
    # Session metrics
    "shared.metrics": _METRIC_CLASSES | _at(_METRICS, SessionMetrics="DatabaseSessionMetrics"),
    "shared.metrics.session_metrics": _METRIC_CLASSES | _at(_METRICS, SessionMetrics="DatabaseSessionMetrics"),
    "shared.session_management.compatibility_aliases": _METRIC_CLASSES
    | _at(_METRICS, SessionMetrics="session_metrics"),
    # Session services
    "netra_backend.app.database.request_scoped_session_factory": (
        _at("netra.sessions.factory", "RequestScopedSessionFactory")
        | _at(_METRICS, "DatabaseSessionMetrics", "SessionState", SessionMetrics="DatabaseSessionMetrics")
    ),
    "netra_backend.app.db.session": _at(
        "netra.sessions.door",
        "close_database",
        "get_async_session",
        "get_session",
        "get_session_from_factory",
        "init_database",
    ),
    "shared.session_management.system_session_aggregator": _at("netra.sessions.aggregator", "SystemSessionAggregator"),
    "shared.session_management.unified_session_metrics_provider": _at(
        "netra.sessions.provider", "UnifiedSessionMetricsProvider"
    ),
    "shared.session_management.user_session_manager": (
        _at("netra.sessions.users", "UserSessionManager")
        | _at(_METRICS, "SystemSessionMetrics", SessionMetrics="SystemSessionMetrics")
    ),
    "shared.session_management.user_session_tracker": _at("netra.sessions.tracker", "UserSessionTracker"),
    # Executions
    "netra_backend.app.core.agent_execution_tracker": _at(
        "netra.executions", "AgentExecutionTracker", "get_execution_tracker"
    ),
    # Routing: one class, three names
    "netra_backend.app.services.websocket.quality_message_router": _at(
        "netra.routing", QualityMessageRouter="MessageRouter"
    ),
    "netra_backend.app.websocket_core.canonical_message_router": _at(
        "netra.routing", CanonicalMessageRouter="MessageRouter"
    ),
    "netra_backend.app.websocket_core.handlers": _at("netra.routing", "MessageRouter"),
    # Monitoring: one class, two names
    "netra_backend.app.monitoring.alert_manager": _at("netra.monitoring.alerts", "AlertManager", "alert_manager"),
    "netra_backend.app.monitoring.alert_manager_compact": _at(
        "netra.monitoring.alerts", "alert_manager", CompactAlertManager="AlertManager"
    ),
    # Development launcher
    "dev_launcher.cache_entry": _at("netra.launcher.cache", "CacheEntry"),
    "dev_launcher.cache_manager": _at("netra.launcher.cache", CacheManager="ContentCache"),
    "dev_launcher.cache_warmer": _at("netra.launcher.cache", "CacheWarmer"),
    "dev_launcher.launcher": _at("netra.launcher.config", "LauncherConfig")
    | _at("netra.launcher.launcher", DevLauncher="Launcher"),
    "dev_launcher.log_buffer": _at("netra.launcher.logs", "LogBuffer"),
    "dev_launcher.log_filter": _at("netra.launcher.logs", "LogFilter"),
    "dev_launcher.log_streamer": _at("netra.launcher.logs", "LogStreamer"),
    "dev_launcher.process_manager": _at("netra.launcher.processes", "ProcessManager"),
    "dev_launcher.race_condition_manager": _at("netra.launcher.locks", RaceConditionManager="NamedLocks"),
    "dev_launcher.windows_process_manager": _at("netra.launcher.windows", "WindowsProcessManager"),
    # Tests: the helpers of a checkout
    "test_framework.fixtures.lightweight_services": _at(
        "support.lightweight", LightweightServicesFixture="LightweightServices"
    ),
    "test_framework.ssot.e2e_auth_helper": _at("support.accounts", "Account", "register", "set_up_admin", "sign_in"),
}
