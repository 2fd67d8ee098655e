"""Every table, in one place (SQLAlchemy Core). The migrations in `netra.storage.migrations` build exactly these.

Times are integers, microseconds since the epoch in UTC: equal on SQLite and PostgreSQL, and ordered. JSON the server
itself never queries is kept as bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """A moment as it is stored."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """A stored moment as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),  # lower case
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("roles", Text, nullable=False),  # comma-separated: user, admin
    _time("created_at"),
    _time("disabled_at", nullable=True),
)

# A login: one browser or API client of one user. Its refresh tokens rotate; the reuse of an old one revokes it.
logins = Table(
    "logins",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("cookie_hash", LargeBinary, nullable=True, unique=True),
    Column("user_agent", Text, nullable=False),
    _time("created_at"),
    _time("last_seen_at"),
    _time("expires_at"),
    _time("revoked_at", nullable=True),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("login_id", Text, ForeignKey("logins.id", ondelete="CASCADE"), nullable=False, index=True),
    _time("created_at"),
    _time("used_at", nullable=True),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _time("created_at"),
    _time("expires_at", nullable=True),
    _time("last_used_at", nullable=True),
    _time("revoked_at", nullable=True),
)

tickets = Table(
    "tickets",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("login_id", Text, nullable=True),
    Column("access_token_id", Text, nullable=True),
    _time("expires_at"),
)

# Small facts of this installation: the setup token's hash, the key that signs access tokens.
installation = Table(
    "installation",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("agent", Text, nullable=True),  # the agent of its last message
    Column("on_busy", Text, nullable=False, server_default="queue"),  # queue, reject
    Column("last_seq", BigInteger, nullable=False, server_default="0"),
    _time("created_at"),
    _time("updated_at"),
    Index("ix_threads_of_user", "user_id", "updated_at", "id"),
)

events = Table(
    "events",
    metadata,
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False),  # what makes an append idempotent
    Column("type", Text, nullable=False),
    Column("run_id", Text, nullable=True),
    Column("body", LargeBinary, nullable=False),  # netra.events, without seq and prev
    Index("uq_events_key", "thread_id", "key", unique=True),
    sqlite_with_rowid=False,
)

blobs = Table(
    "blobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON
)

messages = Table(
    "messages",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, primary_key=True),  # the idempotency key
    Column("id", Text, nullable=False, unique=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("run_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of what was sent, so that a reused key is noticed
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("state", Text, nullable=False),  # queued, running, and the ends of netra.events.RunStatus
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("deaths", Integer, nullable=False, server_default="0"),  # attempts whose process ended without notice
    Column("worked_ms", BigInteger, nullable=False, server_default="0"),  # counts towards its deadline, as last noted
    Column("worker_id", Text, nullable=True),  # the process that works on it, or did last
    Column("message_id", Text, nullable=False),
    Column("message_seq", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cost_usd", Text, nullable=False, server_default="0"),
    _time("created_at"),
    _time("started_at", nullable=True),
    _time("ended_at", nullable=True),
    _time("cancel_requested_at", nullable=True),
    Index("ix_runs_of_thread", "thread_id", "id"),
    Index("ix_runs_ended_at", "ended_at"),
    Index(
        "ix_runs_open",
        "user_id",
        "state",
        "id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("thread_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of what is asked: the answer counts for nothing else
    Column("default", Text, nullable=False),
    Column("decision", Text, nullable=True),
    Column("payload", LargeBinary, nullable=True),
    Column("decided_by", Text, nullable=True),
    _time("expires_at"),
    _time("decided_at", nullable=True),
)

files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=True, index=True),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    _time("created_at"),
)

# A server process that works on runs. One that is not seen for long is dead or frozen.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("version", Text, nullable=False),
    _time("started_at"),
    _time("seen_at"),
    _time("stopped_at", nullable=True),
)

# A stretch of one user's work in one thread (or outside any), as long as the pauses are short. What its user did in it
# is counted here; messages and runs have tables of their own.
user_sessions = Table(
    "user_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("thread_id", Text, nullable=True),
    Column("connections", BigInteger, nullable=False, server_default="0"),
    Column("messages", BigInteger, nullable=False, server_default="0"),
    Column("runs", BigInteger, nullable=False, server_default="0"),
    Column("runs_succeeded", BigInteger, nullable=False, server_default="0"),
    _time("started_at"),
    _time("last_activity_at"),
    _time("ended_at", nullable=True),
    Index("ix_user_sessions_of_user", "user_id", "started_at"),
    Index("ix_user_sessions_started_at", "started_at"),
)

feature_uses = Table(
    "feature_uses",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("feature", Text, primary_key=True),
    Column("uses", BigInteger, nullable=False),
    _time("first_at"),
    _time("last_at"),
)

# What a user says of an answer, and what the automatic checks found in it. Both outlive the run's row.
feedback = Table(
    "feedback",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("agent", Text, nullable=False),
    Column("rating", Integer, nullable=False),  # 1 or -1
    Column("comment", Text, nullable=False),
    _time("created_at"),
    _time("updated_at"),
)

answer_checks = Table(
    "answer_checks",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("thread_id", Text, ForeignKey("threads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("agent", Text, nullable=False),
    Column("status", Text, nullable=False),  # how the run ended
    Column("score", Integer, nullable=False),  # 0 to 100
    Column("findings", LargeBinary, nullable=False),  # JSON
    _time("checked_at"),
    Index("ix_answer_checks_of_agent", "agent", "checked_at"),
)

# One row for each incident: from the moment a rule fires to the moment it resolves.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False),  # what it is about: an agent, a pool; empty for the server
    Column("severity", Text, nullable=False),  # info, warning, critical
    Column("summary", Text, nullable=False),
    Column("details", LargeBinary, nullable=False),  # JSON
    _time("opened_at"),
    _time("last_seen_at"),
    _time("resolved_at", nullable=True),
    _time("acknowledged_at", nullable=True),
    Column("acknowledged_by", Text, nullable=True),
    Column("note", Text, nullable=True),  # of who acknowledged it
    # The two notices of an incident: when each was delivered or given up, and who delivers until when.
    _time("firing_told_at", nullable=True),
    _time("resolved_told_at", nullable=True),
    _time("claimed_until", nullable=True),
    Index(
        "uq_alerts_open",
        "rule",
        "key",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index("ix_alerts_opened_at", "opened_at"),
)

# What the server counted on each day, for reports: written a few times a minute, read once in a while.
daily_figures = Table(
    "daily_figures",
    metadata,
    Column("day", Text, primary_key=True),  # 2026-01-31, UTC
    Column("name", Text, primary_key=True),
    Column("count", BigInteger, nullable=False, server_default="0"),
    Column("total", Text, nullable=False, server_default="0"),  # a sum, a decimal number
    Column("buckets", LargeBinary, nullable=True),  # JSON: a histogram, for percentiles
)

# What a process measured of itself: a row every 10 seconds, kept for a day, and one every 5 minutes, kept for 30 days.
samples = Table(
    "samples",
    metadata,
    Column("step", Integer, primary_key=True, autoincrement=False),  # 10 or 300 seconds
    Column("at", BigInteger, primary_key=True, autoincrement=False),  # the end of the step
    Column("process", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # JSON: number or null by name
)

# No notices about incidents that one of these names, until it ends; the incidents themselves are kept all the same.
silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=True),  # null: whatever it is about
    Column("note", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    _time("made_at"),
    Column("until", BigInteger, nullable=False, index=True),
)

# What administrators did, and where from. Never changed, and kept when the account is gone.
audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    _time("at"),
    Column("actor_id", Text, nullable=True),  # null: the command line
    Column("actor", Text, nullable=False),  # an e-mail address, or `command line`
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("details", LargeBinary, nullable=False),  # JSON; no secrets
)

# Versions that ran, with what `netra check` said of each; a row whenever another one starts, the last ones are kept.
checked_versions = Table(
    "checked_versions",
    metadata,
    Column("id", Text, primary_key=True),
    _time("since"),
    Column("source", Text, nullable=False),  # a hash of the source
    Column("body", LargeBinary, nullable=False),  # JSON: the report
)
