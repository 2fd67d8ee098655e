"""Prices: which model a name means, what its tokens cost, what every row costs, from genai-prices as installed (its
data comes with the package; nothing is fetched). Called by `workspace`.

Every row is priced at the list prices of the day of the analysis, because savings are about what comes next. A model
that genai-prices does not know is listed and stands outside every total; a name is never stretched to fit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from netra.agents.optimizer.money import rate_per_token

if TYPE_CHECKING:
    import duckdb
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider

__all__ = [
    "NO_TIER",
    "ModelMatch",
    "PriceTable",
    "Rate",
    "cost_sql",
    "price_source",
    "price_table",
    "rates_of",
    "resolve_model",
]

NO_TIER = 10**15
"""Upper end of the last price tier, in input tokens of a request."""

_FIRST_PARTY = ("openai", "anthropic", "google", "mistral", "cohere", "deepseek", "x-ai", "perplexity")
_CONTEXTS: dict[str, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}


@dataclass(frozen=True, slots=True)
class ModelMatch:
    """A model of the price list. `provider_id` bills it, `owner_id` is the price list it stands in."""

    provider_id: str
    owner_id: str
    model_id: str
    name: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rate:
    """What one token (or request) costs, in units of `money`, for requests within these bounds.

    Attributes:
        mode: "standard", "batch", "flex", "priority" or "fast".
        second_from, second_to: time of day in UTC, half open.
        tokens_over, tokens_to: input tokens of the request, above and up to.
        own: the mode has prices of its own; otherwise these are the standard ones.
    """

    mode: str
    second_from: int
    second_to: int
    tokens_over: int
    tokens_to: int
    input: int
    cached: int
    cache_write: int
    cache_write_1h: int
    output: int
    request: int
    own: bool


def _snapshot() -> DataSnapshot:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()


def price_source() -> str:
    """Where prices come from, for the report."""
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"


def _provider(name: str) -> Provider | None:
    from genai_prices.data_snapshot import find_provider_by_id

    return find_provider_by_id(_snapshot().providers, name) if name.strip() else None


def _candidates(name: str, provider: str | None) -> list[tuple[Provider | None, str]]:
    """Ways to read a model name, most specific first: LiteLLM and OpenRouter put the provider before a slash."""
    found: list[tuple[Provider | None, str]] = []
    if provider and (given := _provider(provider)):
        found.append((given, name))
        found.append((given, name.rsplit("/", 1)[-1]))
    prefix, slash, rest = name.partition("/")
    if slash and (named := _provider(prefix)):
        found.append((named, rest))
        found.append((named, rest.rsplit("/", 1)[-1]))
    found.append((None, name))
    return found


@lru_cache(maxsize=4096)
def _find(name: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
    snapshot = _snapshot()
    for given, reference in _candidates(name.strip().lower(), provider):
        if given:
            if model := given.find_model(reference, all_providers=snapshot.providers):
                return given, model
            continue
        try:
            return snapshot.find_provider_model(reference, None, None, None)
        except LookupError:
            pass
        matches = [
            (each, model)
            for each in snapshot.providers
            if each.id in (*_FIRST_PARTY, "aws")
            if (model := each.find_model(reference)) is not None
        ]
        if len(matches) == 1:
            return matches[0]
        titled = [
            (each, model)
            for each in snapshot.providers
            if each.id in _FIRST_PARTY
            for model in each.models
            if model.name and model.name.lower() == reference
        ]
        if len(titled) == 1:
            return titled[0]
    return None


def _owner(provider: Provider, model: ModelInfo) -> Provider:
    if any(model is each for each in provider.models):
        return provider
    for other in _snapshot().providers:
        if any(model is each for each in other.models):
            return other
    return provider


def resolve_model(name: str, provider: str | None = None) -> ModelMatch | None:
    """The model of the price list that `name` means, or None: then there is no price for it.

    Args:
        name: as in the file: `gpt-4o-2024-08-06`, `anthropic/claude-sonnet-4-5`, `Claude Sonnet 4.5`.
        provider: as in the file, when it has such a column; decides whose price list is used.
    """
    if not name.strip():
        return None
    found = _find(name, provider)
    if not found:
        return None
    provider_found, model = found
    owner = _owner(provider_found, model)
    urls = tuple(owner.pricing_urls or ())
    return ModelMatch(provider_found.id, owner.id, model.id, model.name or model.id, urls)


def _info(match: ModelMatch) -> ModelInfo:
    for provider in _snapshot().providers:
        if provider.id == match.owner_id:
            return next(model for model in provider.models if model.id == match.model_id)
    raise LookupError(match.model_id)


def _boundaries(model: ModelInfo) -> list[int]:
    """Seconds of the UTC day at which the price changes."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    seconds = {0, 86_400}
    constraints: list[Any] = [variant.constraint for variant in model.price_variants or ()]
    if not isinstance(model.prices, ModelPrice):
        constraints += [price.constraint for price in model.prices]
    for constraint in constraints:
        if isinstance(constraint, TimeOfDateConstraint):
            for moment in (constraint.start_time, constraint.end_time):
                aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                at = datetime.combine(date(2000, 1, 2), aware).astimezone(UTC)
                seconds.add(at.hour * 3600 + at.minute * 60 + at.second)
    return sorted(seconds)


def _tiers(price: ModelPrice) -> list[int]:
    from genai_prices.types import TieredPrices

    starts = {
        tier.start for value in price.__dict__.values() if isinstance(value, TieredPrices) for tier in value.tiers
    }
    return sorted(starts)


def _at(price: ModelPrice, key: str, tokens: int) -> Decimal | None:
    from genai_prices.types import TieredPrices

    value = price.__dict__.get(key)
    if isinstance(value, TieredPrices):
        chosen: Decimal = value.base
        for tier in value.tiers:
            if tokens > tier.start:
                chosen = tier.price
        return chosen
    return value if isinstance(value, Decimal) else None


def _first(price: ModelPrice, tokens: int, *keys: str) -> Decimal | None:
    return next((found for key in keys if (found := _at(price, key, tokens)) is not None), None)


def rates_of(match: ModelMatch, mode: str, as_of: date) -> list[Rate]:
    """The rates of a model on one day; empty when the price list has no price per token for it.

    Where there is no price for cached or written tokens of their own, they cost what other input costs, as genai-prices
    has it; the one-hour cache falls back to the five-minute one.
    """
    model = _info(match)
    context = _CONTEXTS.get(mode) if match.provider_id == match.owner_id else None
    rates: list[Rate] = []
    bounds = _boundaries(model)
    for begin, end in itertools.pairwise(bounds):
        moment = datetime.combine(as_of, time(0), tzinfo=UTC) + timedelta(seconds=begin)
        standard = model.get_prices(moment)
        price = model.get_prices(moment, context) if context else standard
        starts = _tiers(price)
        for over, to in zip([-1, *starts], [*starts, NO_TIER], strict=True):
            tokens = over + 1
            whole = _first(price, tokens, "input_mtok", "input_text_mtok")
            output = _first(price, tokens, "output_mtok", "output_text_mtok")
            if whole is None and output is None:
                return []
            base, out = whole or Decimal(0), output or Decimal(0)
            write = _first(price, tokens, "cache_write_mtok", "cache_write_5m_mtok")
            write = base if write is None else write
            hour = _first(price, tokens, "cache_write_1h_mtok")
            read = _first(price, tokens, "cache_read_mtok")
            rates.append(
                Rate(
                    mode=mode,
                    second_from=begin,
                    second_to=end,
                    tokens_over=over,
                    tokens_to=to,
                    input=rate_per_token(base, 1_000_000),
                    cached=rate_per_token(base if read is None else read, 1_000_000),
                    cache_write=rate_per_token(write, 1_000_000),
                    cache_write_1h=rate_per_token(write if hour is None else hour, 1_000_000),
                    output=rate_per_token(out, 1_000_000),
                    request=rate_per_token(_first(price, tokens, "requests_kcount") or Decimal(0), 1_000),
                    own=mode != "standard" and price != standard,
                )
            )
    return rates


def _write_rates(connection: duckdb.DuckDBPyConnection, rates: list[tuple[int, int, Rate]]) -> None:
    """Makes the table `rates` of (rate_id, price_key, rate)."""
    connection.execute(
        "CREATE TABLE rates (rate_id INTEGER, price_key INTEGER, mode VARCHAR, second_from INTEGER, second_to INTEGER, "
        "tokens_over BIGINT, tokens_to BIGINT, r_in BIGINT, r_cached BIGINT, r_write BIGINT, r_write_1h BIGINT, "
        "r_out BIGINT, r_request BIGINT)"
    )
    for rate_id, key, rate in rates:
        connection.execute(
            "INSERT INTO rates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                rate_id, key, rate.mode, rate.second_from, rate.second_to, rate.tokens_over, rate.tokens_to, rate.input,
                rate.cached, rate.cache_write, rate.cache_write_1h, rate.output, rate.request,
            ],
        )  # fmt: skip


def cost_sql(
    rate: str,
    *,
    fresh: str = "fresh",
    cached: str = "cached",
    write: str = "cache_write",
    hour: str = "cache_write_1h",
    output: str = "output",
) -> str:
    """SQL for what a row costs in units, as a 128-bit integer, at the rate joined as `rate`."""
    parts = (
        (fresh, "r_in"),
        (cached, "r_cached"),
        (write, "r_write"),
        (hour, "r_write_1h"),
        (output, "r_out"),
        ("requests", "r_request"),
    )
    return "(" + " + ".join(f"CAST({tokens} AS HUGEINT) * {rate}.{column}" for tokens, column in parts) + ")"


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What the prices of one analysis rest on: every (model, provider, mode) of the file and its match."""

    matches: dict[int, ModelMatch]
    names: dict[int, list[str]]
    rates: dict[int, tuple[int, Rate]]
    standard_instead: list[str]


def price_table(connection: duckdb.DuckDBPyConnection, as_of: date, price_as: ModelMatch | None) -> PriceTable:
    """Matches all models in `usage`, makes `rates`, and the table `priced`: `usage` with `rate_id` and `cost` (NULL
    where there is no price), `fresh` (input that is neither cached nor written) and a number `n` for each row.

    Args:
        connection: with `usage` filled.
        as_of: the day whose prices hold.
        price_as: what rows without a model are priced as.
    """
    combos = connection.execute(
        "SELECT model, provider, mode FROM usage GROUP BY ALL ORDER BY model NULLS FIRST, provider NULLS FIRST, mode"
    ).fetchall()
    keys: dict[ModelMatch, int] = {}
    names: dict[int, list[str]] = {}
    lookup: list[tuple[str | None, str | None, int]] = []
    for name, provider in dict.fromkeys((name, provider) for name, provider, _ in combos):
        match = resolve_model(name, provider) if name else price_as
        if match is None:
            continue
        key = keys.setdefault(match, len(keys) + 1)
        shown = name or match.model_id
        if shown not in names.setdefault(key, []):
            names[key].append(shown)
        lookup.append((name, provider, key))
    modes: dict[int, set[str]] = {}
    for name, provider, mode in combos:
        for looked_name, looked_provider, key in lookup:
            if (name, provider) == (looked_name, looked_provider):
                modes.setdefault(key, set()).add(mode)
    rows: list[tuple[int, int, Rate]] = []
    standard_instead: list[str] = []
    for match, key in keys.items():
        for mode in sorted({"standard", "batch"} | modes.get(key, set())):
            found = rates_of(match, mode, as_of)
            rows += [(len(rows) + number, key, rate) for number, rate in enumerate(found, 1)]
            if mode in modes.get(key, set()) and mode != "standard" and found and not found[0].own:
                standard_instead.append(f"{match.model_id} ({mode})")
    _write_rates(connection, rows)
    connection.execute("CREATE TABLE model_keys (model VARCHAR, provider VARCHAR, price_key INTEGER)")
    for entry in lookup:
        connection.execute("INSERT INTO model_keys VALUES (?, ?, ?)", list(entry))
    fresh = "greatest(input - cached - cache_write - cache_write_1h, 0)"
    # A bucket of several requests is in the tier of its mean request, or of the column that says so.
    size = (
        "CASE WHEN long_context THEN 200001 WHEN long_context = false THEN least(input // greatest(requests, "
        "1), 200000) "
        "WHEN aggregated AND requests <= 1 THEN 0 ELSE input // greatest(requests, 1) END"
    )
    connection.execute(
        f"CREATE TABLE priced AS SELECT u.*, k.price_key, r.rate_id, u.fresh_tokens AS fresh, "
        f"{cost_sql('r', fresh='u.fresh_tokens')} AS cost "
        f"FROM (SELECT rowid + 1 AS n, *, {fresh} AS fresh_tokens, {size} AS size, "
        f"coalesce(extract(epoch FROM time)::BIGINT % 86400, 0) AS second FROM usage) AS u "
        "LEFT JOIN model_keys AS k ON k.model IS NOT DISTINCT FROM u.model AND k.provider IS NOT DISTINCT "
        "FROM u.provider "
        "LEFT JOIN rates AS r ON r.price_key = k.price_key AND r.mode = u.mode AND u.second >= r.second_from "
        "AND u.second < r.second_to AND u.size > r.tokens_over AND u.size <= r.tokens_to"
    )
    matches = {key: match for match, key in keys.items()}
    return PriceTable(matches, names, {rate_id: (key, rate) for rate_id, key, rate in rows}, standard_instead)
