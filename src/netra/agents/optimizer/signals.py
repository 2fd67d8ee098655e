"""Which rows a rule of `savings` touches: each function sets the rule's columns in `marks` and says what it went by.

`marks` has one row for each priced row: `retry`, `kept_fresh` and `kept_output` (tokens left after trimming),
`small_rate`, `cache_read` and `cache_new` (tokens that would be read from or written to a cache), `to_batch`. Returned
`why_not` means that the data cannot support the rule; then nothing of it is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

__all__ = ["mark_batch", "mark_cache", "mark_caps", "mark_outliers", "mark_retries", "mark_small"]

_SINGLE = "cost IS NOT NULL AND NOT aggregated"
_SUMMED_UP = "each row of this file sums up several requests, so single requests cannot be told apart"


def _one(connection: duckdb.DuckDBPyConnection, statement: str) -> tuple[Any, ...]:
    found = connection.execute(statement).fetchone()
    assert found is not None
    return tuple(found)


def _no_single_requests(connection: duckdb.DuckDBPyConnection) -> bool:
    return not _one(connection, f"SELECT count(*) FROM priced WHERE {_SINGLE}")[0]


def mark_retries(connection: duckdb.DuckDBPyConnection, seconds: int) -> dict[str, Any]:
    """A failed or empty answer whose request was sent again soon after: same model, same input size, same sender."""
    if _no_single_requests(connection):
        return {"why_not": _SUMMED_UP}
    if not _one(connection, "SELECT count(time) FROM priced")[0]:
        return {"why_not": "the file has no times"}
    # Nobody repeats an embedding because it has no output: an empty answer counts only for models that give answers.
    connection.execute(
        f"UPDATE marks SET retry = true FROM (SELECT n FROM (SELECT n, failed, output, "
        "max(output) OVER (PARTITION BY model) AS most, "
        "lead(time) OVER (PARTITION BY model, input, coalesce(session_id, ''), coalesce(key_id, ''), "
        "coalesce(user_id, '') "
        f"ORDER BY time, n) - time AS wait FROM priced WHERE {_SINGLE}) "
        f"WHERE (failed OR (output = 0 AND most > 0)) AND wait <= INTERVAL '{seconds} seconds') AS r WHERE "
        "marks.n = r.n"
    )
    failed = _one(connection, f"SELECT count(*) FROM priced WHERE {_SINGLE} AND failed")[0]
    return {"failed_rows": failed}


def mark_outliers(connection: duckdb.DuckDBPyConnection, factor: int, least_rows: int) -> dict[str, Any]:
    """Inputs far beyond what is usual for the model, cut down to the threshold."""
    if _no_single_requests(connection):
        return {"why_not": _SUMMED_UP}
    limits = connection.execute(
        f"SELECT price_key, {factor} * quantile_disc(input, 0.95), max(input) FROM priced WHERE {_SINGLE} "
        f"GROUP BY price_key HAVING count(*) >= {least_rows} ORDER BY price_key"
    ).fetchall()
    if not limits:
        return {"why_not": f"no model has {least_rows:,} requests, too few to say what is usual"}
    for key, threshold, _ in limits:
        connection.execute(
            "UPDATE marks SET kept_fresh = greatest(p.fresh - (p.input - ?), 0) FROM priced AS p "
            "WHERE p.n = marks.n AND p.price_key = ? AND p.input > ? AND NOT p.aggregated",
            [threshold, key, threshold],
        )
    return {"thresholds": [{"price_key": key, "tokens": limit, "largest": most} for key, limit, most in limits]}


def mark_caps(connection: duckdb.DuckDBPyConnection, factor: int, least_rows: int) -> dict[str, Any]:
    """Answers far longer than is usual for the model, cut at the threshold."""
    if _no_single_requests(connection):
        return {"why_not": _SUMMED_UP}
    limits = connection.execute(
        f"SELECT price_key, {factor} * quantile_disc(output, 0.95), max(output) FROM priced WHERE {_SINGLE} "
        f"GROUP BY price_key HAVING count(*) >= {least_rows} AND quantile_disc(output, 0.95) > 0 ORDER BY price_key"
    ).fetchall()
    if not limits:
        return {"why_not": f"no model has {least_rows:,} requests, too few to say what is usual"}
    for key, threshold, _ in limits:
        connection.execute(
            "UPDATE marks SET kept_output = ? FROM priced AS p "
            "WHERE p.n = marks.n AND p.price_key = ? AND p.output > ? AND NOT p.aggregated",
            [threshold, key, threshold],
        )
    return {"thresholds": [{"price_key": key, "tokens": limit, "largest": most} for key, limit, most in limits]}


def mark_small(
    connection: duckdb.DuckDBPyConnection, down: dict[int, Any], small_input: int, small_output: int
) -> dict[str, Any]:
    """Small requests on a model that has a smaller one in its family."""
    for rate_id, (_, small_rate, _) in sorted(down.items()):
        connection.execute(
            "UPDATE marks SET small_rate = ? FROM priced AS p WHERE p.n = marks.n AND p.rate_id = ? "
            "AND p.input <= ? * greatest(p.requests, 1) AND p.output <= ? * greatest(p.requests, 1) "
            "AND NOT (p.aggregated AND p.requests <= 1)",
            [small_rate, rate_id, small_input, small_output],
        )
    if not down:
        return {"why_not": "no model in this file has a smaller one of its family that I know of"}
    means = _one(connection, "SELECT count(*) FROM priced WHERE cost IS NOT NULL AND aggregated AND requests > 1")[0]
    return {"by_mean_request": bool(means)}


def mark_cache(connection: duckdb.DuckDBPyConnection, least: int, seconds: int) -> dict[str, Any]:
    """Contexts sent again within the life of a cache.

    Evidence, strongest first: an earlier request of the same session (a conversation repeats what was said: the shorter
    of the two inputs is the common beginning), or the same sender sending exactly as many input tokens again.
    """
    if _no_single_requests(connection):
        return {"why_not": _SUMMED_UP}
    times, senders = _one(
        connection, f"SELECT count(time), count(coalesce(session_id, key_id, user_id)) FROM priced WHERE {_SINGLE}"
    )
    if not times:
        return {"why_not": "the file has no times"}
    by_sender = "coalesce(session_id, ''), coalesce(key_id, ''), coalesce(user_id, '')"
    connection.execute(
        f"""CREATE TABLE repeats AS
        WITH ordered AS (
            SELECT n, rate_id, input, fresh, cached, time, session_id IS NOT NULL AS talk,
                lag(input) OVER turn AS before, time - lag(time) OVER turn AS gap, lead(input) OVER turn AS after,
                lead(time) OVER turn - time AS next_gap
            FROM priced WHERE {_SINGLE} AND time IS NOT NULL
            WINDOW turn AS (PARTITION BY price_key, mode, {by_sender},
                CASE WHEN session_id IS NULL THEN input END ORDER BY time, n)),
        common AS (
            SELECT *, CASE WHEN gap <= INTERVAL '{seconds} seconds' THEN least(before, input) ELSE 0 END AS shared,
                coalesce(next_gap <= INTERVAL '{seconds} seconds', false) AND least(after, input) >= {least} AS goes_on
            FROM ordered),
        tokens AS (
            SELECT n, rate_id, talk, fresh,
                CASE WHEN shared >= {least} THEN least(greatest(shared - cached, 0), fresh) ELSE 0 END AS hit,
                goes_on FROM common)
        SELECT t.n, hit, CASE WHEN goes_on AND r.r_write > r.r_in THEN t.fresh - hit ELSE 0 END AS fill,
            hit::HUGEINT * (r.r_in - r.r_cached)
            - (CASE WHEN goes_on AND r.r_write > r.r_in THEN t.fresh - hit ELSE 0 END)::HUGEINT
                * (r.r_write - r.r_in) AS gain,
            coalesce(p.session_id, p.key_id, p.user_id) AS sender
        FROM tokens AS t JOIN rates AS r USING (rate_id) JOIN priced AS p ON p.n = t.n
        WHERE (hit > 0 OR (goes_on AND r.r_write > r.r_in)) AND r.r_cached < r.r_in"""
    )
    if not senders:
        rows, saved = _one(
            connection, "SELECT count(*) FILTER (hit > 0), coalesce(sum(gain), 0)::VARCHAR FROM repeats WHERE hit > 0"
        )
        from netra.agents.optimizer.money import exact_usd

        return {
            "why_not": "the file has no session, key or user, so a repeated context cannot be told from another one of "
            "the same length",
            "possible_rows": rows,
            "possible_usd": exact_usd(int(saved)),
        }
    # Only senders for whom reading saves more than writing costs.
    connection.execute(
        "UPDATE marks SET cache_read = c.hit, cache_new = c.fill FROM "
        "(SELECT * FROM repeats WHERE sender IS NOT NULL "
        "QUALIFY sum(gain) OVER (PARTITION BY sender) > 0) AS c WHERE marks.n = c.n"
    )
    talks = _one(connection, "SELECT count(session_id) FROM priced")[0]
    return {"evidence": "session" if talks else "same length"}


def mark_batch(connection: duckdb.DuckDBPyConnection, quiet_share: float, share: float) -> dict[str, Any]:
    """Work of senders who do most of it in the quiet hours of the day."""
    priced = _one(
        connection,
        "SELECT count(time), max(time) - min(time) >= INTERVAL '1 day', bool_and(time = date_trunc('day', time)), "
        "count(coalesce(key_id, user_id)) FROM priced WHERE cost IS NOT NULL",
    )
    if not priced[0]:
        return {"why_not": "the file has no times"}
    if priced[2]:
        return {"why_not": "the times are whole days, so quiet hours cannot be seen"}
    if not priced[1]:
        return {"why_not": "the file covers less than a day, so quiet hours cannot be seen"}
    if not priced[3]:
        return {"why_not": "the file has no key or user, so scheduled work cannot be told from people at work"}
    hours = connection.execute(
        f"""WITH busy AS (SELECT extract(hour FROM time)::INT AS hour,
                count(DISTINCT (date_trunc('day', time), key_id, user_id)) AS senders
            FROM priced WHERE time IS NOT NULL AND cost IS NOT NULL GROUP BY 1),
        clock AS (SELECT h.hour, coalesce(senders, 0) AS senders FROM range(24) AS h(hour) LEFT JOIN busy USING (hour))
        SELECT hour FROM clock WHERE senders <= {quiet_share} * (SELECT avg(senders) FROM clock) ORDER BY hour"""
    ).fetchall()
    if not hours:
        return {"why_not": f"no hour of the day has less than {quiet_share:.0%} of the senders of an average hour"}
    quiet = f"extract(hour FROM time) IN ({', '.join(str(hour) for (hour,) in hours)})"
    connection.execute(
        "CREATE TABLE scheduled AS SELECT coalesce(key_id, user_id) AS sender, count(*) AS rows FROM priced "
        "WHERE cost IS NOT NULL AND coalesce(key_id, user_id) IS NOT NULL GROUP BY 1 "
        f"HAVING sum(CASE WHEN {quiet} THEN requests ELSE 0 END) >= {share} * sum(requests) AND sum(requests) >= 20"
    )
    connection.execute(
        "UPDATE marks SET to_batch = true FROM (SELECT n FROM priced JOIN scheduled ON sender = "
        "coalesce(key_id, user_id) "
        f"WHERE {quiet} AND mode = 'standard' AND rate_id IN (SELECT rate_id FROM batch_rates)) AS b WHERE "
        "marks.n = b.n"
    )
    senders = connection.execute("SELECT sender FROM scheduled ORDER BY rows DESC, sender LIMIT 10").fetchall()
    return {"quiet_hours": [hour for (hour,) in hours], "senders": [sender for (sender,) in senders]}
