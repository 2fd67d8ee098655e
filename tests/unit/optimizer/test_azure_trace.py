"""The golden path on real data: the Azure trace has no model column. All money is computed again here with Python's csv
and Decimal, straight from the price list."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price

from .analysis import AZURE, DAY, QUESTION, analyse, talk

NOON = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)


def independent_total(name: str, model: str) -> Decimal:
    with (AZURE / name).open(newline="") as file:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]
    return sum(
        (
            calc_price(
                Usage(input_tokens=tokens_in, output_tokens=tokens_out), model, genai_request_timestamp=NOON
            ).total_price
            for tokens_in, tokens_out in rows
        ),
        Decimal(0),
    )


@pytest.mark.parametrize(("name", "model"), [("code.csv", "gpt-4o"), ("conv.csv", "claude-sonnet-4-5")])
def test_the_spend_is_what_an_independent_sum_over_the_rows_gives(name: str, model: str) -> None:
    _, priced, _ = analyse(AZURE / name, price_as=model)
    assert Decimal(priced["total_usd"]) == independent_total(name, model)


def test_savings_on_code_csv_are_what_an_independent_computation_gives() -> None:
    _, _, found = analyse(AZURE / "code.csv", price_as="gpt-4o")
    with (AZURE / "code.csv").open(newline="") as file:
        rows = [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]
    outputs = sorted(output for _, output in rows)
    cap = 2 * outputs[-(-len(outputs) * 95 // 100) - 1]
    large, small = (Decimal("2.5"), Decimal(10)), (Decimal("0.15"), Decimal("0.6"))
    before = after = Decimal(0)
    for tokens_in, tokens_out in rows:
        before += (tokens_in * large[0] + tokens_out * large[1]) / 10**6
        price = small if tokens_in <= 1000 and tokens_out <= 300 else large
        after += (tokens_in * price[0] + min(tokens_out, cap) * price[1]) / 10**6
    assert Decimal(found["spend_usd"]) == before
    assert Decimal(found["combined_usd"]) == before - after
    assert {finding["kind"] for finding in found["findings"] if finding["counted"]} == {"output_caps", "smaller_model"}


async def test_without_a_model_column_it_asks_and_the_reply_gives_the_report() -> None:
    (asked, report), rehearsal = await talk([QUESTION, "price it as gpt-4o"], [AZURE / "code.csv"])
    assert "Which model should I price this as?" in (asked.text or "")
    assert asked.result["suggestions"][0] == "Price it as gpt-4o"
    text = report.text or ""
    assert text.startswith("**You spent $47.61**")
    assert "| **Together** |" in text
    assert {chart["id"] for chart in report.result["charts"]} >= {"spend-over-time", "savings"}
    for chart in re.findall(r"```chart\n(.+?)\n```", text):
        assert chart in {each["id"] for each in report.result["charts"]}
    agents = [step.agent_name for step in rehearsal.steps if step.kind in ("think", "tool")]
    assert list(dict.fromkeys(agents)) == ["triage", "data", "optimization", "report"]
    tools = [step.text for step in rehearsal.steps if step.kind == "tool"]
    assert tools == ["profile_usage", "price_usage", "find_savings"]


@pytest.mark.parametrize("reply", ["1", "gpt-4o", "Price it as gpt-4o", "it was gpt-4o", "price as `gpt-4o`."])
async def test_the_model_can_be_named_in_many_ways(reply: str) -> None:
    (_, report), _ = await talk([QUESTION, reply], [AZURE / "code.csv"])
    assert "$47.61" in (report.text or "")


async def test_the_model_can_stand_in_the_question() -> None:
    (report,), _ = await talk([QUESTION + " We use gpt-4o."], [AZURE / "code.csv"])
    assert "$47.61" in (report.text or "")


async def test_a_model_without_a_price_is_not_guessed() -> None:
    (_, answer), _ = await talk([QUESTION, "price it as gpt-4ox"], [AZURE / "code.csv"])
    assert "no price for a model called `gpt-4ox`" in (answer.text or "")
    assert "$47" not in (answer.text or "")


async def test_columns_of_every_money_table_add_up_to_their_total_as_shown() -> None:
    (report,), _ = await talk([QUESTION + " Price it as claude-haiku-4-5."], [AZURE / "conv.csv"])
    tables = re.findall(r"(?:^\|.*\n)+", report.text or "", re.MULTILINE)
    checked = 0
    for table in tables:
        rows = [[cell.strip(" *") for cell in line.strip("|\n ").split("|")] for line in table.splitlines()[2:]]
        if not rows or rows[-1][0] not in ("Total", "Together"):
            continue
        column = next(index for index in range(len(rows[-1]) - 1, -1, -1) if rows[-1][index].startswith("$"))
        amounts = [Decimal(row[column].removeprefix("$").replace(",", "")) for row in rows]
        assert sum(amounts[:-1]) == amounts[-1]
        checked += 1
    assert checked >= 3
