"""Names of models, their prices, and money."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given
from hypothesis import strategies as st

from netra.agents.optimizer.families import NEXT_SMALLER
from netra.agents.optimizer.money import UNITS_PER_USD, exact_usd, shares, show_usd, units_of
from netra.agents.optimizer.pricing import ModelMatch, rates_of, resolve_model
from netra.agents.optimizer.workspace import SUGGESTED_MODELS

from .analysis import DAY


@pytest.mark.parametrize(
    ("name", "provider", "expected"),
    [
        ("gpt-4o", None, ("openai", "gpt-4o")),
        ("gpt-4o-2024-08-06", None, ("openai", "gpt-4o")),
        ("openai/gpt-4o", None, ("openai", "gpt-4o")),
        ("azure/gpt-4o", None, ("azure", "gpt-4o")),
        ("gpt-4o", "azure", ("azure", "gpt-4o")),
        ("anthropic/claude-sonnet-4-5", "anthropic", ("anthropic", "claude-sonnet-4-5")),
        ("claude-opus-4-5-20251101", None, ("anthropic", "claude-opus-4-5")),
        ("Claude Sonnet 4.5", None, ("anthropic", "claude-sonnet-4-5")),
        ("gemini/gemini-2.5-pro", None, ("google", "gemini-2.5-pro")),
        ("vertex_ai/gemini-2.5-flash", None, ("google", "gemini-2.5-flash")),
        ("text-embedding-3-small", None, ("openai", "text-embedding-3-small")),
    ],
)
def test_names_as_files_write_them(name: str, provider: str | None, expected: tuple[str, str]) -> None:
    match = resolve_model(name, provider)
    assert match is not None
    assert (match.provider_id, match.model_id) == expected


@pytest.mark.parametrize("name", ["", "house-llm-7b", "gpt-4o-foo", "gpt4o", "my-finetune", "unknown"])
def test_names_without_a_price_are_not_stretched(name: str) -> None:
    assert resolve_model(name) is None


def test_rates_are_those_of_the_price_list_for_every_model_mode_and_tier() -> None:
    """Against genai-prices' own calculation, for all first-party models and sizes on both sides of each tier."""
    moment = datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC)
    checked = 0
    for provider in get_snapshot().providers:
        if provider.id not in ("openai", "anthropic", "google", "mistral"):
            continue
        for model in provider.models:
            match = ModelMatch(provider.id, provider.id, model.id, model.id, ())
            for mode, context in (("standard", None), ("batch", {"processing": "batch"})):
                for rate in rates_of(match, mode, DAY):
                    tokens = max(rate.tokens_over + 1, 1_000)
                    cached, written = tokens // 4, tokens // 5
                    usage = Usage(
                        input_tokens=tokens, output_tokens=77, cache_read_tokens=cached, cache_write_tokens=written
                    )
                    theirs = model.calc_price(usage, provider, genai_request_timestamp=moment, price_context=context)
                    fresh = tokens - cached - written
                    ours = fresh * rate.input + cached * rate.cached + written * rate.cache_write + 77 * rate.output
                    assert Decimal(ours + rate.request) / UNITS_PER_USD == theirs.total_price, (model.id, mode, tokens)
                    checked += 1
    assert checked > 200


def test_every_step_down_a_family_is_known_and_cheaper() -> None:
    for owner, steps in NEXT_SMALLER.items():
        for larger, smaller in steps.items():
            old = rates_of(ModelMatch(owner, owner, larger, larger, ()), "standard", DAY)[0]
            new = rates_of(ModelMatch(owner, owner, smaller, smaller, ()), "standard", DAY)[0]
            assert new.input < old.input, (larger, smaller)
            assert new.output < old.output, (larger, smaller)


def test_suggested_models_have_prices() -> None:
    assert all(resolve_model(name) for name in SUGGESTED_MODELS)


def test_a_price_that_changes_with_the_hour_has_a_rate_for_each_part_of_the_day() -> None:
    match = resolve_model("deepseek-chat")
    assert match is not None
    spans = {(rate.second_from, rate.second_to) for rate in rates_of(match, "standard", date(2025, 5, 1))}
    assert min(spans)[0] == 0
    assert max(spans)[1] == 86_400
    assert len(spans) == 3


@given(st.lists(st.integers(0, 10**24), max_size=30), st.sampled_from([2, 6]))
def test_shares_add_up_to_the_rounded_total_and_none_is_off_by_a_step(values: list[int], places: int) -> None:
    step = UNITS_PER_USD // 10**places
    found = shares(values, places)
    assert sum(found) == (sum(values) + step // 2) // step
    assert all(abs(share * step - value) < step for share, value in zip(found, values, strict=True))


@given(st.integers(-(10**30), 10**30))
def test_exact_amounts_survive_as_text(units: int) -> None:
    assert units_of(exact_usd(units)) == units


def test_money_is_shown_with_separators() -> None:
    assert show_usd(123_456_789, 2) == "$1,234,567.89"
    assert show_usd(-5, 2) == "-$0.05"
