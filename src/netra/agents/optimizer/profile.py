"""Where tokens and money go: sums over the rows, as JSON. Called by `workspace` after `normalise` (tokens) and after
`pricing` (money). Every table here covers the same rows, so each adds up to the same total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netra.agents.optimizer.money import exact_usd
from netra.agents.optimizer.records import JSON

if TYPE_CHECKING:
    import duckdb

__all__ = ["SIZES", "breakdown", "hours", "percentiles", "totals"]

SIZES: tuple[tuple[str, int], ...] = (
    ("up to 500", 500),
    ("501 to 2,000", 2_000),
    ("2,001 to 8,000", 8_000),
    ("8,001 to 32,000", 32_000),
    ("32,001 to 128,000", 128_000),
    ("over 128,000", 10**18),
)
"""Classes of request size, in input tokens of one request."""

_MOST_GROUPS = 12


def totals(connection: duckdb.DuckDBPyConnection) -> dict[str, JSON]:
    """What is in `usage`: rows, requests, tokens, first and last time, and how many users, keys and sessions."""
    found = connection.execute(
        "SELECT count(*), coalesce(sum(requests), 0)::BIGINT, coalesce(sum(input), 0)::HUGEINT::VARCHAR, "
        "coalesce(sum(cached), 0)::HUGEINT::VARCHAR, coalesce(sum(output), 0)::HUGEINT::VARCHAR, "
        "strftime(min(time), '%Y-%m-%dT%H:%M:%SZ'), strftime(max(time), '%Y-%m-%dT%H:%M:%SZ'), "
        "count(DISTINCT model), count(DISTINCT user_id), count(DISTINCT key_id), count(DISTINCT session_id), "
        "coalesce(sum(failed::INT), 0)::BIGINT, sum(stated_cost)::VARCHAR, count(stated_cost), "
        "count(*) FILTER (model IS NULL), bool_or(aggregated), "
        "count(*) FILTER (cached + cache_write + cache_write_1h > input), "
        "count(request_id) - count(DISTINCT request_id) FROM usage"
    ).fetchone()
    assert found is not None
    return {
        "rows": found[0],
        "requests": found[1],
        "input_tokens": int(found[2]),
        "cached_tokens": int(found[3]),
        "output_tokens": int(found[4]),
        "first": found[5],
        "last": found[6],
        "models": found[7],
        "users": found[8],
        "keys": found[9],
        "sessions": found[10],
        "failed": found[11],
        "stated_usd": found[12],
        "rows_with_stated_cost": found[13],
        "rows_without_model": found[14],
        "aggregated": bool(found[15]),
        "rows_with_more_cached_than_input": found[16],
        "repeated_request_ids": found[17],
    }


def percentiles(connection: duckdb.DuckDBPyConnection) -> dict[str, JSON]:
    """Percentiles (nearest rank) of the tokens of one request, over rows that are one request each."""
    found = connection.execute(
        "SELECT quantile_disc(input, [0.5, 0.9, 0.99, 1.0]), quantile_disc(output, [0.5, 0.9, 0.99, 1.0]) "
        "FROM usage WHERE NOT aggregated"
    ).fetchone()
    if not found or not found[0]:
        return {}
    names = ("p50", "p90", "p99", "max")
    return {
        "input": dict(zip(names, found[0], strict=True)),
        "output": dict(zip(names, found[1], strict=True)),
    }


def breakdown(
    connection: duckdb.DuckDBPyConnection, column: str, *, missing: str, by_label: bool = False
) -> list[dict[str, Any]]:
    """Spend by one column of `priced`, largest first; what is beyond the first groups is summed up as "all others".

    Args:
        column: an SQL expression over `priced`.
        missing: label of rows where it is NULL.
        by_label: all groups, in the order of their labels.
    """
    rows = connection.execute(
        f"SELECT coalesce(CAST({column} AS VARCHAR), ?), count(*), sum(requests)::BIGINT, "
        "sum(input)::HUGEINT::VARCHAR, "
        "sum(cached)::HUGEINT::VARCHAR, sum(output)::HUGEINT::VARCHAR, sum(cost)::VARCHAR "
        "FROM priced WHERE cost IS NOT NULL GROUP BY 1 ORDER BY sum(cost) DESC, 1",
        [missing],
    ).fetchall()
    groups = [(label, *map(int, numbers)) for label, *numbers in rows]
    if by_label:
        groups.sort(key=lambda group: str(group[0]))
    elif len(groups) > _MOST_GROUPS:
        rest = groups[_MOST_GROUPS - 1 :]
        summed = [sum(group[position] for group in rest) for position in range(1, 7)]
        groups = [*groups[: _MOST_GROUPS - 1], (f"all others ({len(rest):,})", *summed)]
    return [_group(group) for group in groups]


def _group(group: tuple[str, ...]) -> dict[str, JSON]:
    label, rows, requests, tokens_in, cached, tokens_out, cost = group
    return {
        "label": label,
        "rows": rows,
        "requests": requests,
        "input_tokens": tokens_in,
        "cached_tokens": cached,
        "output_tokens": tokens_out,
        "usd": exact_usd(int(cost)),
    }


def size_column() -> str:
    """SQL for the size class of a row, by the mean request where a row is several."""
    cases = " ".join(f"WHEN input // greatest(requests, 1) <= {upper} THEN '{label}'" for label, upper in SIZES)
    return f"CASE {cases} END"


def hours(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Spend over time by model for a chart: minutes, hours or days, whichever gives a readable number of points.

    Returns:
        `{"step": "minute" | "5 minutes" | "hour" | "day", "times": […], "series": [{"name", "usd": […]}]}`, empty
        without times.
    """
    span = connection.execute(
        "SELECT min(time), max(time), bool_and(time = date_trunc('day', time)) FROM priced WHERE cost IS NOT NULL"
    ).fetchone()
    if not span or span[0] is None:
        return {}
    seconds = (span[1] - span[0]).total_seconds()
    step, width = ("minute", "1 minute")
    if span[2] or seconds > 10 * 86_400:
        step, width = "day", "1 day"
    elif seconds > 6 * 3_600:
        step, width = "hour", "1 hour"
    elif seconds > 90 * 60:
        step, width = "5 minutes", "5 minutes"
    rows = connection.execute(
        f"WITH slots AS (SELECT time_bucket(INTERVAL '{width}', time) AS slot, price_key, sum(cost) AS cost "
        "FROM priced "
        "WHERE cost IS NOT NULL AND time IS NOT NULL GROUP BY ALL) "
        "SELECT strftime(slot, '%Y-%m-%dT%H:%M:%SZ'), price_key, cost::VARCHAR FROM slots ORDER BY slot, price_key"
    ).fetchall()
    every = connection.execute(
        f"SELECT strftime(slot, '%Y-%m-%dT%H:%M:%SZ') FROM (SELECT unnest(generate_series("
        f"time_bucket(INTERVAL '{width}', ?::TIMESTAMP), time_bucket(INTERVAL '{width}', ?::TIMESTAMP), "
        f"INTERVAL '{width}')) AS slot) LIMIT 2000",
        [span[0], span[1]],
    ).fetchall()
    times = [slot for (slot,) in every]
    index = {slot: position for position, slot in enumerate(times)}
    series: dict[int, list[JSON]] = {}
    for slot, key, cost in rows:
        if slot in index:
            series.setdefault(key, ["0.0"] * len(times))[index[slot]] = exact_usd(int(cost))
    return {
        "step": step,
        "times": list(times),
        "series": [{"key": key, "usd": values} for key, values in sorted(series.items())],
    }
