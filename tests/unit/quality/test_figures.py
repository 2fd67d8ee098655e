"""Figures of an answer are held against those of its tools, where the label leaves no doubt."""

from __future__ import annotations

from typing import Any

import pytest

from netra.agents.optimizer.sample import write_sample
from netra.quality import Finding, check_answer
from unit.optimizer.analysis import QUESTION, talk

pytestmark = pytest.mark.spec("quality.validate")

TOOL = {
    "total_usd": "12.40",
    "requests": 310,
    "duration_ms": 1500.0,
    "hitRatePercent": 36.9,
    "input_tokens": 103_100_000,
}


def found(text: str, *results: Any) -> list[Finding]:
    tools = [("add_up", result) for result in results or (TOOL,)]
    return [finding for finding in check_answer(text, tool_results=tools) if finding.kind == "contradicts_tools"]


@pytest.mark.parametrize(
    "text",
    [
        "The total is $99.10.",
        "Total: $99.10",
        "**Total:** $99.10",
        "- Total: **99.10 USD**",
        "I added it up. The total was 99.10 dollars.",
        "Requests: 311",
        "Duration = 1640 ms",
        "Your hit rate is 39.6 %.",
        "| What | Value |\n| --- | --- |\n| Requests | 3,100 |",
        "| Model | Rows | Spend |\n| --- | ---: | ---: |\n| `a` | 5 | $1.00 |\n| **Total** | 5 | **$99.10** |",
        "The total is $12.4 M.",
    ],
)
def test_another_figure_under_the_same_label_contradicts(text: str) -> None:
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The total is $12.40.",
        "The total is $12.4.",
        "The total is $12.",
        "The total is $12.41.",  # a table's parts are rounded so that they add up
        "Total: 12.40 USD",
        "Your hit rate is 37 %.",
        "The total is $99.10 for March and April.",
        "The total for March is $99.10.",
        "In March, the total is $99.10.",
        "The total is about $99.10.",
        "The total is $99.10, taxes included.",
        "The total is €99.10.",
        "The total is 99.",
        "Total tokens: 99",
        "The total is 1.234 USD.",
        "Requests: 310\n\nRequests: 12",
        "Requests: 300",
        "Requests: 0.31 k",
        "Requests are made in 3 steps.",
        "| Model | Spend |\n| --- | --- |\n| `total` | $99.10 |",
        "| Total | Rows |\n| --- | --- |\n| of March | $99.10 |",
        "```\ntotal = 99.10 USD\n```",
    ],
)
def test_what_agrees_or_leaves_a_doubt_is_left_alone(text: str) -> None:
    assert found(text) == []


def test_the_finding_says_what_is_compared() -> None:
    (finding,) = found("The total is $99.10.")
    assert finding.detail == "The answer states total_usd as $99.10; the tool add_up gave total_usd = 12.4."


def test_a_label_with_several_values_names_none_of_them() -> None:
    months = {"months": [{"total_usd": 1}, {"total_usd": 2}]}
    assert found("The total is $99.10.", months) == []
    assert found("The total is $99.10.", {"total_usd": 1}, {"total_usd": 2}) == []
    assert len(found("The total is $99.10.", {"total_usd": 1}, {"total_usd": "1.00"})) == 1


@pytest.mark.parametrize(
    "result", [None, 7, "text", [], {}, {"total_usd": None}, {"total_usd": True}, {"total_usd": "n/a"}]
)
def test_results_without_figures_say_nothing(result: Any) -> None:
    assert found("The total is $99.10.", result) == []


@pytest.mark.parametrize("digits", ["9" * 16, "1" + "0" * 320, "0." + "3" * 400])
def test_a_number_that_no_float_holds_is_not_compared(digits: str) -> None:
    assert found(f"The total is ${digits}.") == []
    assert len(found(f"The total is ${'9' * 15}.")) == 1


async def test_a_report_whose_total_is_not_the_tools_total_contradicts_it(tmp_path: Any) -> None:
    write_sample(tmp_path / "sample.csv")
    answers, rehearsal = await talk([QUESTION], [tmp_path / "sample.csv"])
    text = answers[-1].text or ""
    tools = [(step.text, step.result) for step in rehearsal.steps if step.kind == "tool"]
    assert check_answer(text, tool_results=tools) == []
    (finding,) = check_answer(text.replace("$307.57", "$317.57"), tool_results=tools)
    assert finding.kind == "contradicts_tools"
    assert "$317.57" in finding.detail
    assert "price_usage" in finding.detail
