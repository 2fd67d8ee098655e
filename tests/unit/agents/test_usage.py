"""What a run spends is counted only when it can be true."""

from __future__ import annotations

import math

import pytest

from netra.agents.context import MOST_TOKENS, MOST_USD, UsageCounter


def test_spending_adds_up() -> None:
    usage = UsageCounter()
    usage.add(10, 5, 0.25)
    usage.add(input_tokens=1)
    usage.add(2.0, 0, 1)  # type: ignore[arg-type]
    assert usage == UsageCounter(13, 5, 1.25)
    assert isinstance(usage.input_tokens, int)


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"input_tokens": -1}, "input_tokens"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"output_tokens": math.nan}, "output_tokens"),
        ({"output_tokens": math.inf}, "output_tokens"),
        ({"output_tokens": MOST_TOKENS}, "output_tokens"),
        ({"input_tokens": 10**30}, "input_tokens"),
        ({"cost_usd": math.nan}, "cost_usd"),
        ({"cost_usd": math.inf}, "cost_usd"),
        ({"cost_usd": -0.01}, "cost_usd"),
        ({"cost_usd": MOST_USD}, "cost_usd"),
    ],
)
def test_figures_that_cannot_be_are_refused_and_nothing_is_counted(figures: dict[str, float], name: str) -> None:
    usage = UsageCounter(1, 1, 1.0)
    with pytest.raises(ValueError, match=name):
        usage.add(**{"input_tokens": 7, **figures})  # type: ignore[arg-type]
    assert usage == UsageCounter(1, 1, 1.0)
