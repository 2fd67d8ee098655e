"""The usage formats known by name, and what their columns mean. Called by `mapping`; knows nothing of files.

Sources: OpenAI Usage API, object `organization.usage.completions.result` (platform.openai.com/docs/api-reference/usage)
and its dashboard export with the same fields, and the older activity export (`n_context_tokens_total`); Anthropic
Console usage export (`usage_date_utc`, …) and Admin API usage report (docs.anthropic.com, usage and cost API); LiteLLM
table `LiteLLM_SpendLogs` and its daily tables (github.com/BerriAI/litellm, schema.prisma); OpenTelemetry semantic
conventions for generative AI (opentelemetry.io/docs/specs/semconv/gen-ai), also under their older attribute names.
"""

from __future__ import annotations

from dataclasses import dataclass

from netra.agents.optimizer.records import Role

__all__ = ["FORMATS", "UsageFormat", "recognise"]


@dataclass(frozen=True, slots=True)
class UsageFormat:
    """One format.

    Attributes:
        id, title: for code, and for people.
        needs: columns that must all be there (lower case).
        roles: role to the columns that mean it, first one present wins.
        input_includes_cached: see `records.Mapping`.
        aggregated: a row is a bucket of requests.
    """

    id: str
    title: str
    needs: frozenset[str]
    roles: dict[Role, tuple[str, ...]]
    input_includes_cached: bool = True
    aggregated: bool = False


FORMATS: tuple[UsageFormat, ...] = (
    UsageFormat(
        "openai-usage",
        "OpenAI usage export",
        frozenset({"input_tokens", "output_tokens", "num_model_requests"}),
        {
            "time": ("start_time", "start_time_iso"),
            "model": ("model",),
            "input": ("input_tokens",),
            "output": ("output_tokens",),
            "cached": ("input_cached_tokens",),
            "cache_write": ("input_cache_write_tokens",),
            "requests": ("num_model_requests",),
            "user": ("user_id", "user_email", "project_id"),
            "key": ("api_key_id", "api_key_name"),
            "mode": ("batch", "service_tier"),
        },
        aggregated=True,
    ),
    UsageFormat(
        "openai-activity",
        "OpenAI activity export",
        frozenset({"n_context_tokens_total", "n_generated_tokens_total"}),
        {
            "time": ("aggregation_timestamp", "local_timestamp", "timestamp", "usage_date", "date"),
            "model": ("snapshot_id", "model"),
            "input": ("n_context_tokens_total",),
            "output": ("n_generated_tokens_total",),
            "cached": ("n_cached_context_tokens_total",),
            "requests": ("n_requests", "num_requests"),
            "user": ("email", "user", "user_id", "project_name", "project", "project_id"),
            "key": ("api_key_name", "api_key_id", "api_key_redacted"),
            "cost": ("amount", "cost_usd"),
        },
        aggregated=True,
    ),
    UsageFormat(
        "anthropic-console",
        "Anthropic Console usage export",
        frozenset({"model_version", "usage_input_tokens_no_cache", "usage_output_tokens"}),
        {
            "time": ("usage_date_utc",),
            "model": ("model_version",),
            "input": ("usage_input_tokens_no_cache",),
            "output": ("usage_output_tokens",),
            "cached": ("usage_input_tokens_cache_read",),
            "cache_write": ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write"),
            "cache_write_1h": ("usage_input_tokens_cache_write_1h",),
            "user": ("workspace",),
            "key": ("api_key",),
            "mode": ("usage_type",),
            "context_window": ("context_window",),
        },
        input_includes_cached=False,
        aggregated=True,
    ),
    UsageFormat(
        "anthropic-report",
        "Anthropic usage report",
        frozenset({"uncached_input_tokens", "output_tokens"}),
        {
            "time": ("starting_at", "bucket_start_time", "date"),
            "model": ("model",),
            "input": ("uncached_input_tokens",),
            "output": ("output_tokens",),
            "cached": ("cache_read_input_tokens",),
            "cache_write": ("cache_creation.ephemeral_5m_input_tokens", "cache_creation_input_tokens"),
            "cache_write_1h": ("cache_creation.ephemeral_1h_input_tokens",),
            "user": ("workspace_id", "workspace"),
            "key": ("api_key_id", "api_key"),
            "mode": ("service_tier",),
            "context_window": ("context_window",),
        },
        input_includes_cached=False,
        aggregated=True,
    ),
    UsageFormat(
        "litellm-daily",
        "LiteLLM daily spend",
        frozenset({"prompt_tokens", "completion_tokens", "spend", "date", "api_requests"}),
        {
            "time": ("date",),
            "model": ("model",),
            "input": ("prompt_tokens",),
            "output": ("completion_tokens",),
            "cached": ("cache_read_input_tokens",),
            "cache_write": ("cache_creation_input_tokens",),
            "requests": ("api_requests",),
            "user": ("user_id", "end_user_id", "team_id"),
            "key": ("api_key",),
            "provider": ("custom_llm_provider",),
            "cost": ("spend",),
        },
        aggregated=True,
    ),
    UsageFormat(
        "litellm-spend",
        "LiteLLM spend logs",
        frozenset({"prompt_tokens", "completion_tokens", "spend", "starttime"}),
        {
            "time": ("startTime",),
            "model": ("model",),
            "input": ("prompt_tokens",),
            "output": ("completion_tokens",),
            "cached": (
                "metadata.usage_object.prompt_tokens_details.cached_tokens",
                "metadata.usage_object.cache_read_input_tokens",
                "metadata.additional_usage_values.cache_read_input_tokens",
                "metadata.additional_usage_values.prompt_tokens_details.cached_tokens",
            ),
            "cache_write": (
                "metadata.usage_object.cache_creation_input_tokens",
                "metadata.additional_usage_values.cache_creation_input_tokens",
            ),
            "user": ("user", "end_user", "team_id"),
            "key": ("metadata.user_api_key_alias", "api_key"),
            "session": ("session_id",),
            "provider": ("custom_llm_provider",),
            "status": ("status",),
            "cost": ("spend",),
            "request_id": ("request_id",),
        },
    ),
    UsageFormat(
        "otel-genai",
        "OpenTelemetry GenAI spans",
        frozenset({"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}),
        {
            "time": ("start_time", "startTimeUnixNano", "start_time_unix_nano", "timestamp", "time", "Timestamp"),
            "model": ("gen_ai.response.model", "gen_ai.request.model"),
            "input": ("gen_ai.usage.input_tokens",),
            "output": ("gen_ai.usage.output_tokens",),
            "cached": (
                "gen_ai.usage.cache_read.input_tokens",
                "gen_ai.usage.cache_read_input_tokens",
                "gen_ai.usage.input_tokens.cached",
                "gen_ai.usage.details.cache_read_tokens",
            ),
            "cache_write": (
                "gen_ai.usage.cache_creation.input_tokens",
                "gen_ai.usage.cache_write.input_tokens",
                "gen_ai.usage.cache_creation_input_tokens",
                "gen_ai.usage.details.cache_write_tokens",
            ),
            "user": ("enduser.id", "user.id", "service.name"),
            "key": ("gen_ai.agent.name", "service.name"),
            "session": ("gen_ai.conversation.id", "session.id", "trace_id", "traceId"),
            "provider": ("gen_ai.provider.name", "gen_ai.system"),
            "mode": ("gen_ai.openai.response.service_tier", "openai.response.service_tier"),
            "status": ("error.type", "status.code", "status.status_code"),
            "request_id": ("gen_ai.response.id", "span_id", "spanId"),
        },
    ),
    UsageFormat(
        "otel-genai-older",
        "OpenTelemetry GenAI spans (older attribute names)",
        frozenset({"gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"}),
        {
            "time": ("start_time", "startTimeUnixNano", "start_time_unix_nano", "timestamp", "time", "Timestamp"),
            "model": ("gen_ai.response.model", "gen_ai.request.model"),
            "input": ("gen_ai.usage.prompt_tokens",),
            "output": ("gen_ai.usage.completion_tokens",),
            "cached": ("gen_ai.usage.cache_read_input_tokens",),
            "user": ("enduser.id", "user.id", "service.name"),
            "key": ("gen_ai.agent.name", "service.name"),
            "session": ("gen_ai.conversation.id", "session.id", "trace_id", "traceId"),
            "provider": ("gen_ai.provider.name", "gen_ai.system"),
            "status": ("error.type", "status.code", "status.status_code"),
            "request_id": ("gen_ai.response.id", "span_id", "spanId"),
        },
    ),
)


def recognise(columns: tuple[str, ...]) -> UsageFormat | None:
    """The first known format whose tell-tale columns are all among `columns`, whatever their case."""
    present = {column.lower() for column in columns}
    return next((known for known in FORMATS if known.needs <= present), None)
