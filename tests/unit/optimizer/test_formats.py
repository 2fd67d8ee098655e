"""Each known format is recognised, its columns mean what its maker says, and its cost is what one computes by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from .analysis import USAGE, analyse, workspace, write_csv


@pytest.mark.parametrize(
    ("name", "format_id", "usd", "rows"),
    [
        # 60,000 fresh at 2.50, 40,000 cached at 1.25, 20,000 out at 10; batch 200,000 at 1.25, 10,000 at 5; mini.
        ("openai-usage.json", "openai-usage", "0.70045", 3),
        ("openai-usage.csv", "openai-usage", "0.70045", 3),
        ("openai-activity.csv", "openai-activity", "0.216", 2),
        # Opus 5/6.25/0.5/25; Sonnet above 200k 6/12 (1 h write)/22.5; Haiku batch 0.5/2.5.
        ("anthropic-console.csv", "anthropic-console", "4.072055", 3),
        ("anthropic-report.json", "anthropic-report", "0.019935", 1),
        ("litellm-spend.csv", "litellm-spend", "0.01325", 2),
        ("litellm-spend.jsonl", "litellm-spend", "0.01325", 2),
        # 176 fresh, 1,024 cached, 90 out at gpt-4o; 800 in, 40 out at Haiku; the agent's own span is not a request.
        ("otel-spans.jsonl", "otel-genai", "0.00362", 2),
        ("otel-otlp.jsonl", "otel-genai", "0.003972", 2),
    ],
)
def test_known_format(name: str, format_id: str, usd: str, rows: int) -> None:
    profiled, priced, _ = analyse(USAGE / name)
    assert profiled["files"][0]["format"] == format_id
    assert Decimal(priced["total_usd"]) == Decimal(usd)
    assert priced["rows"] == rows


def test_litellm_states_its_own_cost_and_the_unknown_model_is_listed() -> None:
    _, priced, _ = analyse(USAGE / "litellm-spend.csv")
    assert Decimal(priced["stated_usd"]) == Decimal("0.01375")
    assert [entry["model"] for entry in priced["unpriced"]] == ["my-finetune"]


@pytest.mark.parametrize("source", ["litellm-spend.csv", "openai-usage.csv", "anthropic-console.csv"])
def test_parquet_gives_the_same_as_csv(tmp_path: Path, source: str) -> None:
    target = tmp_path / "usage.parquet"
    duckdb.execute(f"COPY (SELECT * FROM read_csv('{USAGE / source}')) TO '{target}' (FORMAT parquet)")
    assert analyse(target)[1]["total_usd"] == analyse(USAGE / source)[1]["total_usd"]


def test_parquet_with_nested_metadata(tmp_path: Path) -> None:
    target = tmp_path / "usage.parquet"
    source = USAGE / "litellm-spend.jsonl"
    duckdb.execute(f"COPY (SELECT * FROM read_json('{source}')) TO '{target}' (FORMAT parquet)")
    assert analyse(target)[1]["total_usd"] == analyse(source)[1]["total_usd"]


def test_several_files_are_analysed_together() -> None:
    both = analyse(USAGE / "openai-usage.csv", USAGE / "anthropic-console.csv")[1]
    assert Decimal(both["total_usd"]) == Decimal("0.70045") + Decimal("4.072055")


@pytest.mark.parametrize(
    "header",
    [
        ("timestamp", "model", "input_tokens", "output_tokens"),
        ("Date", "Model Name", "Prompt Tokens", "Completion Tokens"),
        ("created_at", "engine", "tokens_in", "tokens_out"),
        ("request.time", "usage.model", "usage.prompt_tokens", "usage.completion_tokens"),
    ],
)
@pytest.mark.parametrize(
    "time",
    [
        "2026-10-05T09:00:00Z",
        "2026-10-05 09:00:00.123456789",
        "1791190800",
        "1791190800123",
        "10/25/2026 14:30",
        "2026/10/5",
    ],
)
def test_any_table_with_time_model_and_tokens(tmp_path: Path, header: tuple[str, ...], time: str) -> None:
    path = write_csv(tmp_path / "t.csv", [header, (time, "gpt-4o", "1,000", 100), (time, "gpt-4o", "500.0", 0)])
    profiled, priced, _ = analyse(path)
    assert Decimal(priced["total_usd"]) == Decimal("0.00475")
    assert profiled["totals"]["first"].startswith("2026-10-")


def test_a_table_without_a_header_is_read_by_its_values(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "t.csv", [("2026-10-05 09:00", "gpt-4o", 1000, 100), ("2026-10-05 09:01", "gpt-4o", 500, 0)]
    )
    profiled, priced, _ = analyse(path)
    assert Decimal(priced["total_usd"]) == Decimal("0.00475")
    assert {entry["reason"] for entry in profiled["files"][0]["mapping"]} == {"values"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "t.csv"
    rows = [("time", "model", "user", "input tokens", "output tokens"), ("2026-10-05", "gpt-4o", "Zoë", "1000", "100")]
    path.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    _, priced, _ = analyse(path)
    assert Decimal(priced["total_usd"]) == Decimal("0.0035")
    assert priced["tables"]["user"][0]["label"] == "Zoë"


def test_cached_tokens_on_top_of_the_input_are_noticed(tmp_path: Path) -> None:
    rows = [("time", "model", "input_tokens", "cached_tokens", "output_tokens"), ("2026-10-05", "gpt-4o", 100, 900, 0)]
    profiled, priced, _ = analyse(write_csv(tmp_path / "t.csv", rows))
    assert profiled["files"][0]["input_includes_cached"] is False
    assert Decimal(priced["total_usd"]) == Decimal("0.001375")


def test_two_columns_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    rows = [("time", "model", "input_tokens", "output_tokens", "input_tokens"), ("2026-10-05", "gpt-4o", 1000, 100, 7)]
    profiled, priced, _ = analyse(write_csv(tmp_path / "t.csv", rows))
    assert Decimal(priced["total_usd"]) == Decimal("0.0035")
    assert "`input_tokens_2`" in profiled["files"][0]["notes"][0]


def test_a_correction_overrides_what_was_found(tmp_path: Path) -> None:
    rows = [("time", "model", "alias", "input", "prompt_tok", "output"), ("2026-10-05", "x", "gpt-4o", 5, 1000, 100)]
    path = write_csv(tmp_path / "t.csv", rows)
    _, priced, _ = analyse(path, said={"model": "alias", "input": "prompt_tok"})
    assert Decimal(priced["total_usd"]) == Decimal("0.0035")


def test_input_tokens_that_cannot_be_found_are_asked_for(tmp_path: Path) -> None:
    work = workspace(write_csv(tmp_path / "t.csv", [("time", "model", "foo", "bar"), ("2026-10-05", "gpt-4o", 1, 2)]))
    question = work.profile_usage()["question"]
    work.close()
    assert question["missing"] == ["input", "output"]
    assert [column["name"] for column in question["columns"]] == ["time", "model", "foo", "bar"]
