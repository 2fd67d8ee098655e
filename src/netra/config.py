"""Settings: everything an operator can change, in one documented table.

A value comes, first match wins, from a command-line option, an environment variable `NETRA_<NAME>`, the file
`netra.toml` in the working directory (or the one named by `NETRA_CONFIG`), or the default below. Lists and numbers in
environment variables are JSON. `docs/reference/settings.md` is generated from this class.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from .errors import ConfigurationError

KIB = 1024
MIB = 1024 * KIB


class AlertRuleSettings(BaseModel):
    """What may be changed of an alert rule; what is not given stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    severity: Literal["info", "warning", "critical"] | None = None
    fires_at: float | None = None
    resolves_at: float | None = None
    for_seconds: float | None = Field(None, ge=0)
    cooldown_seconds: float | None = Field(None, ge=0)


class Settings(BaseSettings):
    """What the server is told. Immutable once built."""

    model_config = SettingsConfigDict(env_prefix="NETRA_", extra="forbid", frozen=True)

    # Where it listens and keeps things
    host: str = Field("127.0.0.1", description="Address to listen on. 0.0.0.0 for every interface.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        None, description="How browsers reach the server, such as https://netra.example. Default: http://host:port."
    )
    allowed_origins: list[str] = Field(
        default_factory=list, description="Further origins whose pages may call the API with CORS. Empty: none."
    )
    trusted_proxies: list[str] = Field(
        default_factory=list, description="Addresses or networks of proxies whose X-Forwarded-For is believed."
    )
    data_dir: Path = Field(Path("netra-data"), description="Directory for the database, files and keys.")
    database_url: str | None = Field(
        None,
        description="postgresql://user:password@host/name, or sqlite:///path. Default: netra.db in the data directory.",
    )
    read_connections: int = Field(8, ge=1, le=256, description="Database connections for reading.")
    session_connections: int = Field(
        5, ge=1, le=256, description="Database connections for SQLAlchemy sessions, which read and write."
    )
    session_wait_seconds: float = Field(30, gt=0, description="How long such a session waits for a connection.")
    session_held_seconds: float = Field(
        60, gt=0, description="A database connection that is held for longer is reported and taken back."
    )
    strict_sessions: bool = Field(
        False,
        description="Fail a stream that begins while its request holds a database connection, instead of logging it.",
    )

    # Who may enter
    allow_registration: bool = Field(False, description="Whether anybody may create an account.")
    access_token_seconds: int = Field(900, ge=60, le=900, description="Life of an access token.")
    session_days: float = Field(30, gt=0, le=365, description="Life of a login that is not used.")
    login_attempts: int = Field(
        10, ge=1, description="Failed sign-ins of an account within 15 minutes; an address has five times as many."
    )
    password_workers: int = Field(2, ge=1, le=32, description="Threads that hash passwords.")

    user_session_idle_seconds: float = Field(
        1800, gt=0, le=86_400, description="Pause after which what a user does counts as a new session."
    )

    # Agents
    agents: list[str] = Field(
        default_factory=lambda: ["netra.agents.optimizer:optimizer"],
        description="Agents by import string, module:name. The first one is the default.",
    )
    model: str | None = Field(
        None, description="Model for free questions over data, as pydantic-ai names it, such as openai:gpt-4o-mini."
    )
    model_base_url: str | None = Field(None, description="Address of an OpenAI-compatible server for `model`.")

    # Runs
    runs_running: int = Field(2, ge=1, description="Runs of one user that may run at once.")
    runs_queued: int = Field(50, ge=0, description="Runs of one user that may wait.")
    run_capacity: int = Field(64, ge=1, description="Runs that this process works on at once.")
    run_seconds: float = Field(900, gt=0, description="A run that takes longer ends as timed_out.")
    run_attempts: int = Field(3, ge=1, description="A run whose process died this often ends as died.")
    run_cost_usd: float | None = Field(None, gt=0, description="A run that spends more on models ends as failed.")
    run_silent_seconds: float = Field(
        15, gt=0, description="A run whose process or task is not heard of for longer ends as died."
    )
    run_stalled_seconds: float = Field(300, gt=0, description="A run without progress for longer ends as stalled.")
    run_orphan_seconds: float = Field(
        300, gt=0, description="A run whose server is not seen for longer is ended as died by netra watch."
    )
    run_retention_days: float = Field(
        30, gt=0, description="How long the records of ended runs are kept; conversations stay."
    )
    loop_stall_seconds: float = Field(
        10, gt=0, description="A run whose agent holds up the whole server for longer is interrupted, ends as stalled."
    )
    executions_kept: int = Field(1000, ge=0, description="Ended executions kept in memory for administrators.")
    executions_kept_seconds: float = Field(3600, gt=0, description="How long an ended execution is kept in memory.")
    breaker_failures: int = Field(
        5, ge=1, description="Failures within a minute, half of the calls at least, after which an agent or host rests."
    )
    breaker_open_seconds: float = Field(
        30, gt=0, description="How long it rests at first; twice as long after each failed trial, ten times at most."
    )
    tool_workers: int = Field(8, ge=1, le=256, description="Threads for synchronous tools.")
    tool_processes: int = Field(4, ge=1, le=256, description="Tools that run in processes of their own at once.")
    tool_memory_mb: int = Field(
        2048, ge=64, description="Memory (address space, MiB) of a tool's process, unless the tool says otherwise."
    )
    drain_seconds: float = Field(
        10, ge=0, description="How long a stopping server waits for runs to end; others go on after it."
    )

    # What a client may send
    body_bytes: int = Field(1 * MIB, ge=KIB, description="Largest request body, files aside.")
    file_bytes: int = Field(256 * MIB, ge=KIB, description="Largest file.")
    files_bytes_per_user: int = Field(2048 * MIB, ge=KIB, description="All files of one user together.")
    attachments: int = Field(10, ge=0, description="Files with one message.")
    content_chars: int = Field(32_000, ge=1, description="Longest message.")
    socket_message_bytes: int = Field(64 * KIB, ge=KIB, description="Largest WebSocket message from a client.")
    socket_buffer_bytes: int = Field(
        1 * MIB, ge=64 * KIB, description="Bytes kept for a slow reader before it must read from the log again."
    )
    sockets_per_user: int = Field(32, ge=1, description="Open sockets and streams of one user.")
    sockets_per_address: int = Field(256, ge=1, description="Open connections from one address.")
    heartbeat_seconds: float = Field(
        20, gt=0, description="Interval of the server's pings; a ping unanswered for as long closes the socket."
    )
    header_seconds: float = Field(10, gt=0, description="Time for a client to send the head of a request.")
    body_seconds: float = Field(
        30, gt=0, description="Time for a client to send a body, plus one second for each 16 KiB of it."
    )

    # Alerts
    alert_urls: list[str] = Field(
        default_factory=list,
        repr=False,
        description="Where alerts are sent, each an Apprise URL, such as mailto://user:password@example.com. Secret.",
    )
    alert_run_failure_share: float = Field(
        0.5, gt=0, le=1, description="Share of failed runs within 15 minutes at which an alert fires."
    )
    alert_event_latency_seconds: float = Field(
        0.5, gt=0, description="99th percentile of the events' latency over 5 minutes at which an alert fires."
    )
    alert_disk_free_bytes: int = Field(
        1024 * MIB, ge=1, description="Free space for the data directory at which an alert fires."
    )
    alert_rules: dict[str, AlertRuleSettings] = Field(
        default_factory=dict,
        description="Changes to rules by name, such as [alert_rules.loop_lag] with fires_at, resolves_at, for_seconds, "
        "cooldown_seconds, severity or enabled = false. `netra alerts rules` lists them.",
    )

    # What it writes
    tracing: Literal["auto", "on", "off"] = Field(
        "auto",
        description="OpenTelemetry traces of runs. auto: when OTEL_EXPORTER_OTLP_ENDPOINT or the like is set.",
    )
    tracing_content: bool = Field(
        False, description="Whether traces show messages, answers, and what tools were given and gave back."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="auto: pretty in a terminal, JSON elsewhere."
    )

    @field_validator("public_url")
    @classmethod
    def _no_trailing_slash(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/") if value else value

    @field_validator("alert_urls")
    @classmethod
    def _channels_are_urls(cls, value: list[str]) -> list[str]:
        for number, url in enumerate(value, 1):
            if "://" not in url:  # the URL is secret, so the complaint does not show it
                raise ValueError(f"number {number} is no Apprise URL, such as mailto://user:password@example.com")
        return value

    @model_validator(mode="after")
    def _at_least_one_agent(self) -> Settings:
        if not self.agents:
            raise ValueError("agents: name at least one, as module:name")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        named = os.environ.get("NETRA_CONFIG")
        if named and not Path(named).is_file():
            raise ConfigurationError(f"There is no settings file at {named}.", hint="Correct --config or NETRA_CONFIG.")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(named or "netra.toml"))

    @property
    def database(self) -> str:
        """The database's URL: the one given, or SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'netra.db'}"

    @property
    def origin(self) -> str:
        """How a browser names this server: scheme, host and port."""
        if self.public_url:
            return self.public_url
        host = "localhost" if self.host in ("0.0.0.0", "::", "127.0.0.1") else self.host
        return f"http://{host}:{self.port}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach the server over TLS, so that cookies are marked Secure."""
        return self.origin.startswith("https://")
