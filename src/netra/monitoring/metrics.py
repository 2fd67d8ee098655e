"""What the server counts, for `/metrics` (Prometheus text). One registry, every name and unit in this file.

Parts move the counters where the work happens; nothing here has a label with a user's id or text.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_UNITS = (1, 2, 5, 10, 20, 50, 100, 200, 512)
_SLOW = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)


_SUFFIXES = {"_seconds": "seconds", "_bytes": "bytes"}
_UNIT_OF = {
    "netra_active_users": "users",
    "netra_alert_notices": "messages",
    "netra_alerts_open": "incidents",
    "netra_answer_findings": "findings",
    "netra_answers_checked": "answers",
    "netra_blocked_constructions": "attempts",
    "netra_breaker_state": "state",
    "netra_breaker_trips": "openings",
    "netra_build": "none",
    "netra_commands": "commands",
    "netra_commit_units": "units of work",
    "netra_connections": "connections",
    "netra_db_checkouts": "connections",
    "netra_db_pool_connections": "connections",
    "netra_db_pool_exhausted": "waits",
    "netra_db_pool_waiting": "waits",
    "netra_db_queries": "statements",
    "netra_db_session_errors": "failures",
    "netra_db_session_leaks": "connections",
    "netra_db_sessions": "sessions",
    "netra_db_sessions_created": "sessions",
    "netra_db_transactions": "transactions",
    "netra_events_appended": "events",
    "netra_events_delivered": "events",
    "netra_isolation_refusals": "attempts",
    "netra_requests": "requests",
    "netra_resyncs": "subscriptions",
    "netra_runs": "runs",
    "netra_runs_ended": "runs",
    "netra_sign_ins": "attempts",
    "netra_stream_sessions_open": "streams",
    "netra_subscriptions": "threads",
    "netra_user_facts_lost": "facts",
    "netra_user_sessions": "sessions",
    "netra_user_sessions_ended": "sessions",
    "process_max_fds": "file descriptors",
    "process_open_fds": "file descriptors",
}
"""What is counted by a metric whose name does not end in its unit."""


def unit_of(name: str) -> str:
    """The unit of a metric, by the name of its family (without `_total` and the like).

    Raises:
        KeyError: nobody has said it; a new metric belongs into `_UNIT_OF` unless its name ends in seconds or bytes.
    """
    return next((unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), None) or _UNIT_OF[name]


class Metrics:
    """The registry and its members."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.process = ProcessCollector(registry=r)
        self.build = Info("netra_build", "Version of Netra and of Python.", registry=r)
        self.connections = Gauge("netra_connections", "Open sockets and streams.", ["kind"], registry=r)
        self.subscriptions = Gauge("netra_subscriptions", "Threads followed by open connections.", registry=r)
        self.events_appended = Counter("netra_events_appended", "Events stored, by type.", ["type"], registry=r)
        self.events_delivered = Counter("netra_events_delivered", "Events written to a connection.", registry=r)
        self.resyncs = Counter("netra_resyncs", "Subscriptions ended because their reader was too slow.", registry=r)
        self.append_seconds = Histogram(
            "netra_append_seconds", "From asking the log to store events to their commit.", buckets=_FAST, registry=r
        )
        self.commit_seconds = Histogram(
            "netra_commit_seconds", "One group commit of the writer.", buckets=_FAST, registry=r
        )
        self.commit_units = Histogram(
            "netra_commit_units", "Units of work in one group commit.", buckets=_UNITS, registry=r
        )
        self.runs = Gauge("netra_runs", "Runs that have not ended, by state.", ["state"], registry=r)
        self.runs_ended = Counter("netra_runs_ended", "Runs that ended, by status.", ["status"], registry=r)
        self.run_seconds = Histogram("netra_run_seconds", "Length of runs.", buckets=_SLOW, registry=r)
        self.requests = Counter("netra_requests", "HTTP requests answered.", ["method", "route", "status"], registry=r)
        self.request_seconds = Histogram(
            "netra_request_seconds", "Time to the head of the answer.", ["route"], buckets=_FAST, registry=r
        )
        self.commands = Counter("netra_commands", "Socket commands handled.", ["type", "outcome"], registry=r)
        self.command_seconds = Histogram(
            "netra_command_seconds", "Time in a command's handler, by type.", ["type"], buckets=_FAST, registry=r
        )
        self.answers_checked = Counter(
            "netra_answers_checked", "Answers checked after their run: good or flawed.", ["outcome"], registry=r
        )
        self.answer_findings = Counter("netra_answer_findings", "What checks found in answers.", ["kind"], registry=r)
        self.sign_ins = Counter("netra_sign_ins", "Attempts to sign in.", ["outcome"], registry=r)
        self.db_sessions = Gauge("netra_db_sessions", "Open database sessions, by state.", ["state"], registry=r)
        self.db_pool_connections = Gauge(
            "netra_db_pool_connections", "Database connections, by pool and use.", ["pool", "state"], registry=r
        )
        self.db_pool_waiting = Gauge(
            "netra_db_pool_waiting", "Waits for a database connection at this moment.", ["pool"], registry=r
        )
        self.db_checkouts = Counter("netra_db_checkouts", "Connections given out.", ["pool"], registry=r)
        self.db_wait_seconds = Histogram(
            "netra_db_wait_seconds", "Time to get a connection.", ["pool"], buckets=_FAST, registry=r
        )
        self.db_pool_exhausted = Counter(
            "netra_db_pool_exhausted", "Waits for a connection that ended in vain.", ["pool"], registry=r
        )
        self.db_queries = Counter("netra_db_queries", "Statements of database sessions.", registry=r)
        self.db_transactions = Counter(
            "netra_db_transactions", "Transactions of database sessions that ended.", ["outcome"], registry=r
        )
        self.db_session_errors = Counter(
            "netra_db_session_errors", "Failures of database sessions, by kind.", ["kind"], registry=r
        )
        self.db_sessions_created = Counter(
            "netra_db_sessions_created",
            "Database sessions that were used, by whether that worked.",
            ["outcome"],
            registry=r,
        )
        self.db_session_leaks = Counter(
            "netra_db_session_leaks", "Connections held for too long and taken back.", registry=r
        )
        self.stream_sessions_open = Counter(
            "netra_stream_sessions_open", "Streams that began while their request held a connection.", registry=r
        )
        self.loop_lag_seconds = Histogram(
            "netra_loop_lag_seconds", "How late the event loop woke a timer.", buckets=_FAST, registry=r
        )

        self.blocked_constructions = Counter(
            "netra_blocked_constructions", "Attempts to make a tracker of executions without its factory.", registry=r
        )
        self.isolation_refusals = Counter(
            "netra_isolation_refusals", "Refused attempts on other users' executions, by kind.", ["kind"], registry=r
        )
        self.breaker_state = Gauge(
            "netra_breaker_state",
            "Circuits that are not closed: 1 half-open, 2 open.",
            ["kind", "name"],
            registry=r,
        )
        self.breaker_trips = Counter("netra_breaker_trips", "Circuits that opened, by kind.", ["kind"], registry=r)

        self.alerts_open = Gauge("netra_alerts_open", "Incidents that are not over.", ["severity"], registry=r)
        self.alert_notices = Counter(
            "netra_alert_notices", "Alert messages to channels: sent, failed, given up.", ["outcome"], registry=r
        )
        self.active_users = Gauge("netra_active_users", "Users with a live session.", registry=r)
        self.user_sessions = Gauge("netra_user_sessions", "Live sessions of users.", registry=r)
        self.user_sessions_ended = Counter(
            "netra_user_sessions_ended", "Sessions of users that ended, by reason.", ["reason"], registry=r
        )
        self.user_facts_lost = Counter(
            "netra_user_facts_lost", "Facts about users dropped while the database was away.", registry=r
        )

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def counted(counter: Counter, **labels: str) -> int:
    """How far a counter has come, all its labels together, or those given."""
    return round(
        sum(
            sample.value
            for family in counter.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and labels.items() <= sample.labels.items()
        )
    )


metrics = Metrics()
"""The process's metrics."""
