"""Savings: what the same work would have cost under rules that the data itself decides. Called by `workspace` after
`pricing`.

Each rule says which rows it touches and what happens to their tokens or prices. The rules are applied to each row one
after the other (thrown-away attempts, outliers, output caps, smaller model, caching, batch), and a rule's share of the
combined saving is what it takes off what the rules before it left: the shares add up to the combined total by
construction, and no token is saved twice. What each rule would save alone is computed beside it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from netra.agents.optimizer.families import next_smaller
from netra.agents.optimizer.money import exact_usd
from netra.agents.optimizer.pricing import ModelMatch, PriceTable, Rate, cost_sql, rates_of
from netra.agents.optimizer.records import JSON
from netra.agents.optimizer.signals import mark_batch, mark_cache, mark_caps, mark_outliers, mark_retries, mark_small

if TYPE_CHECKING:
    import duckdb

__all__ = ["KINDS", "Rules", "find"]

KINDS = ("retries", "outliers", "output_caps", "smaller_model", "caching", "batch")
"""The rules in the order in which they are applied."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers in the rules, all stated in the report.

    Attributes:
        small_input, small_output: a request is small up to these, in tokens.
        cache_least: shortest repeated context that can be cached, in tokens.
        cache_seconds: how long a cached context stays.
        retry_seconds: a repeat within this time of a failed request is a retry.
        cap_factor: outputs are capped at this many times the 95th percentile of their model.
        outlier_factor: inputs are outliers beyond this many times the 95th percentile of their model.
        least_rows: rows a model needs before percentiles say anything.
        quiet_share: an hour of the day is quiet with at most this share of the senders of an average hour.
        off_peak_share: share of its requests that a key must have in quiet hours.
    """

    small_input: int = 1_000
    small_output: int = 300
    cache_least: int = 1_024
    cache_seconds: int = 300
    retry_seconds: int = 120
    cap_factor: int = 2
    outlier_factor: int = 3
    least_rows: int = 100
    quiet_share: float = 0.5
    off_peak_share: float = 0.5


def find(connection: duckdb.DuckDBPyConnection, prices: PriceTable, as_of: date, rules: Rules) -> dict[str, Any]:
    """All findings over `priced`, as JSON.

    Returns:
        `{"spend_usd", "combined_usd", "after_usd", "findings": [...]}`. A finding has `kind`, `counted` (in the
        combined total), `rows`, `alone_usd`, `share_usd` (its part of the total), what the rule went by, `prices`,
        `top` rows, and `why_not` when it is not counted.
    """
    connection.execute(
        "CREATE TABLE marks AS SELECT n, false AS retry, fresh AS kept_fresh, output AS kept_output, "
        "NULL::INTEGER AS small_rate, NULL::BIGINT AS cache_read, NULL::BIGINT AS cache_new, false AS to_batch "
        "FROM priced WHERE cost IS NOT NULL ORDER BY n"
    )
    connection.execute("CREATE TABLE batch_rates (rate_id INTEGER, batch_id INTEGER)")
    down = _add_smaller_rates(connection, prices, as_of)
    _pair_batch_rates(connection)
    about: dict[str, dict[str, Any]] = {
        "retries": mark_retries(connection, rules.retry_seconds),
        "outliers": mark_outliers(connection, rules.outlier_factor, rules.least_rows),
        "output_caps": mark_caps(connection, rules.cap_factor, rules.least_rows),
        "smaller_model": mark_small(connection, down, rules.small_input, rules.small_output),
        "caching": mark_cache(connection, rules.cache_least, rules.cache_seconds),
        "batch": mark_batch(connection, rules.quiet_share, rules.off_peak_share),
    }
    for notes in about.values():
        for threshold in notes.get("thresholds", ()):
            threshold["model"] = prices.matches[threshold.pop("price_key")].model_id
    counted = [kind for kind in KINDS if "why_not" not in about[kind]]
    steps = _steps(connection, counted)
    # A rule that costs money on top of the others is left out, and the rest computed again.
    while losers := [kind for kind in counted if steps[kind][1] < 0]:
        for kind in losers:
            about[kind]["why_not"] = "on top of the other findings it would cost more than it saves"
            counted.remove(kind)
        steps = _steps(connection, counted)
    spend = _total(connection)
    findings: list[JSON] = []
    for kind in KINDS:
        alone, share, rows = steps.get(kind, (0, 0, 0))
        finding: dict[str, JSON] = {
            "kind": kind,
            "counted": kind in counted and rows > 0,
            "rows": rows,
            "alone_usd": exact_usd(alone),
            "share_usd": exact_usd(share if kind in counted else 0),
            **about[kind],
        }
        if kind in counted and rows:
            finding["top"] = _top(connection, kind)
            finding["prices"] = _prices(connection, kind, prices, down)
        findings.append(finding)
    combined = sum(steps[kind][1] for kind in counted)
    return {
        "spend_usd": exact_usd(spend),
        "combined_usd": exact_usd(combined),
        "after_usd": exact_usd(spend - combined),
        "findings": findings,
        "smaller_models": _smaller_models(connection, down) if "smaller_model" in counted else [],
        "rules": dict(asdict(rules)),
    }


def _add_smaller_rates(
    connection: duckdb.DuckDBPyConnection, prices: PriceTable, as_of: date
) -> dict[int, tuple[ModelMatch, int, int]]:
    """Adds each model's next smaller one to `rates`: rate id to (smaller model, its rate id, its batch rate id)."""
    numbers = connection.execute("SELECT max(rate_id) FROM rates").fetchone()
    next_id = int(numbers[0] or 0) + 1 if numbers else 1
    known: dict[tuple[ModelMatch, str], int | None] = {}
    down: dict[int, tuple[ModelMatch, int, int]] = {}

    def rate_id(match: ModelMatch, mode: str) -> tuple[int, Rate] | None:
        nonlocal next_id
        found = [rate for rate in rates_of(match, mode, as_of) if rate.tokens_over < 0]
        if not found or (found[0].second_from, found[0].second_to) != (0, 86_400):
            return None  # a price that changes during the day is left alone
        rate = found[0]
        if known.get((match, mode)) is None:
            connection.execute(
                "INSERT INTO rates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [next_id, -1, mode, 0, 86_400, -1, rate.tokens_to, rate.input, rate.cached, rate.cache_write,
                 rate.cache_write_1h, rate.output, rate.request],
            )  # fmt: skip
            known[match, mode] = next_id
            next_id += 1
        identity = known[match, mode]
        assert identity is not None
        return identity, rate

    for number, (key, rate) in prices.rates.items():
        match = prices.matches[key]
        smaller = next_smaller(match.owner_id, match.model_id)
        if smaller is None or rate.tokens_over >= 0 or rate.mode not in ("standard", "batch"):
            continue
        target = ModelMatch(match.provider_id, match.owner_id, smaller, smaller, match.urls)
        found, batch = rate_id(target, rate.mode), rate_id(target, "batch")
        if found and batch and found[1].input < rate.input and found[1].output < rate.output:
            down[number] = (target, found[0], batch[0])
            if batch[1].own and rate.mode == "standard":
                connection.execute("INSERT INTO batch_rates VALUES (?, ?)", [found[0], batch[0]])
    return down


def _pair_batch_rates(connection: duckdb.DuckDBPyConnection) -> None:
    """Standard rates of the priced models and the batch rate for the same bounds, where it is cheaper."""
    connection.execute(
        "INSERT INTO batch_rates SELECT s.rate_id, b.rate_id FROM rates AS s JOIN rates AS b ON b.price_key "
        "= s.price_key "
        "AND b.price_key > 0 AND b.second_from = s.second_from AND b.tokens_over = s.tokens_over "
        "AND b.mode = 'batch' AND s.mode = 'standard' AND b.r_in <= s.r_in AND b.r_out <= s.r_out "
        "AND b.r_in + b.r_out < s.r_in + s.r_out"
    )


def _stages(counted: list[str]) -> str:
    """SQL: each row of `marks` with its cost before anything (c0) and after each rule in turn (c1 to c6)."""
    on = {kind: "true" if kind in counted else "false" for kind in KINDS}
    fresh = f"CASE WHEN {on['outliers']} THEN m.kept_fresh ELSE p.fresh END"
    output = f"CASE WHEN {on['output_caps']} THEN m.kept_output ELSE p.output END"
    # Work moved to batch has no caching on top: requests of a batch need not run within the life of a cache.
    caches = f"{on['caching']} AND m.cache_read IS NOT NULL AND NOT ({on['batch']} AND m.to_batch)"
    read = f"CASE WHEN {caches} THEN least(m.cache_read, w.f) ELSE 0 END"
    new = f"CASE WHEN {caches} THEN least(m.cache_new, w.f - least(m.cache_read, w.f)) ELSE 0 END"
    full = {
        "fresh": "w.f - w.hit - w.new",
        "cached": "w.cached + w.hit",
        "write": "w.cache_write + w.new",
        "output": "w.o",
    }
    return f"""
        WITH kept AS (SELECT p.n, p.rate_id, p.fresh, p.cached, p.cache_write, p.cache_write_1h, p.output, p.requests,
                p.cost, m.*  EXCLUDE (n), {fresh} AS f, {output} AS o,
                CASE WHEN {on["smaller_model"]} THEN coalesce(m.small_rate, p.rate_id) ELSE p.rate_id END AS rate_1
            FROM priced AS p JOIN marks AS m USING (n)),
        cached_too AS (SELECT w.*, {read.replace("m.", "w.")} AS hit FROM kept AS w),
        written AS (SELECT w.*, {new.replace("m.", "w.").replace("least(w.cache_read, w.f)", "w.hit")} AS new
            FROM cached_too AS w),
        batched AS (SELECT w.*, CASE WHEN {on["batch"]} AND w.to_batch THEN coalesce(b.batch_id, w.rate_1)
                ELSE w.rate_1 END AS rate_2
            FROM written AS w LEFT JOIN batch_rates AS b ON b.rate_id = w.rate_1)
        SELECT w.n, w.cost AS c0,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE w.cost END AS c1,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE {cost_sql("r0", fresh="w.f")} END AS c2,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE {cost_sql("r0", fresh="w.f", output="w.o")} END AS c3,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE {cost_sql("r1", fresh="w.f", output="w.o")} END AS c4,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE {cost_sql("r1", **full)} END AS c5,
            CASE WHEN {on["retries"]} AND w.retry THEN 0 ELSE {cost_sql("r2", **full)} END AS c6
        FROM batched AS w JOIN rates AS r0 ON r0.rate_id = w.rate_id JOIN rates AS r1 ON r1.rate_id = w.rate_1
            JOIN rates AS r2 ON r2.rate_id = w.rate_2
    """


def _steps(connection: duckdb.DuckDBPyConnection, counted: list[str]) -> dict[str, tuple[int, int, int]]:
    """Rule to (saving alone, share of the combined saving, rows touched)."""
    found = connection.execute(
        f"SELECT {', '.join(f'coalesce(sum(c{i} - c{i + 1}), 0)::VARCHAR' for i in range(6))} FROM ({_stages(counted)})"
    ).fetchone()
    assert found is not None
    steps = {}
    for position, kind in enumerate(KINDS):
        if kind not in counted:
            continue
        connection.execute(
            f"CREATE OR REPLACE TABLE alone_{kind} AS SELECT n, c0 - c6 AS saved FROM ({_stages([kind])}) "
            "WHERE c0 <> c6"
        )
        alone = connection.execute(f"SELECT coalesce(sum(saved), 0)::VARCHAR, count(*) FROM alone_{kind}").fetchone()
        assert alone is not None
        steps[kind] = (int(alone[0]), int(found[position]), int(alone[1]))
    return steps


def _total(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("SELECT coalesce(sum(cost), 0)::VARCHAR FROM priced WHERE cost IS NOT NULL").fetchone()
    return int(found[0]) if found else 0


def _top(connection: duckdb.DuckDBPyConnection, kind: str, count: int = 3) -> list[JSON]:
    """The rows where a rule alone saves most."""
    rows = connection.execute(
        f"SELECT p.file, p.record, p.input, p.output, s.saved::VARCHAR FROM alone_{kind} AS s "
        f"JOIN priced AS p USING (n) WHERE s.saved > 0 ORDER BY s.saved DESC, p.n LIMIT {count}"
    ).fetchall()
    return [
        {"file": file, "record": record, "input": tokens_in, "output": tokens_out, "usd": exact_usd(int(saved))}
        for file, record, tokens_in, tokens_out, saved in rows
    ]


def _prices(
    connection: duckdb.DuckDBPyConnection,
    kind: str,
    prices: PriceTable,
    down: dict[int, tuple[ModelMatch, int, int]],
) -> list[JSON]:
    """The prices a rule went by: of each model it touches, and what it was compared with."""
    rows = connection.execute(
        f"SELECT p.rate_id, count(*) FROM alone_{kind} JOIN priced AS p USING (n) GROUP BY 1 ORDER BY 2 DESC, "
        "1 LIMIT 12"
    ).fetchall()
    shown: list[JSON] = []
    for rate_id, count in rows:
        key, rate = prices.rates[rate_id]
        target: int | None = None
        name = prices.matches[key].model_id + ("" if rate.mode == "standard" else f" ({rate.mode})")
        to = name
        if kind == "smaller_model":
            to, target = down[rate_id][0].model_id, down[rate_id][1]
        elif kind == "batch":
            found = connection.execute("SELECT batch_id FROM batch_rates WHERE rate_id = ?", [rate_id]).fetchone()
            target = int(found[0]) if found else None
            to = f"{name} (batch)"
        shown.append(
            {
                "model": name,
                "rows": count,
                "from": _per_million(connection, rate_id),
                "to_model": to,
                "to": _per_million(connection, target if target is not None else rate_id),
            }
        )
    return shown


def _smaller_models(connection: duckdb.DuckDBPyConnection, down: dict[int, tuple[ModelMatch, int, int]]) -> list[JSON]:
    """The prices that the rule on smaller models compares with, for the list of prices used."""
    used = {
        rate_id
        for (rate_id,) in connection.execute(
            "SELECT DISTINCT p.rate_id FROM alone_smaller_model JOIN priced AS p USING (n)"
        ).fetchall()
    }
    targets: dict[int, ModelMatch] = {identity: match for rate, (match, identity, _) in down.items() if rate in used}
    shown: list[JSON] = []
    for identity, match in sorted(targets.items()):
        mode = connection.execute("SELECT mode FROM rates WHERE rate_id = ?", [identity]).fetchone()
        shown.append(
            {
                "model": match.model_id,
                "provider": match.provider_id,
                "url": match.urls[0] if match.urls else None,
                "mode": mode[0] if mode else "standard",
                **_per_million(connection, identity),
            }
        )
    return shown


def _per_million(connection: duckdb.DuckDBPyConnection, rate_id: int) -> dict[str, JSON]:
    found = connection.execute(
        "SELECT r_in::HUGEINT * 1000000, r_cached::HUGEINT * 1000000, r_write::HUGEINT * 1000000, "
        "r_out::HUGEINT * 1000000 FROM rates WHERE rate_id = ?",
        [rate_id],
    ).fetchone()
    assert found is not None
    return {
        name: exact_usd(int(value))
        for name, value in zip(("input", "cached", "cache_write", "output"), found, strict=True)
    }
