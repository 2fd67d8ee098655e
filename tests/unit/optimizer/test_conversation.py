"""What the agent understands without a language model, across the messages of a thread."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from netra.agents.optimizer import NetraOptimizer, optimizer
from netra.agents.optimizer.assistant import build_assistant
from netra.agents.optimizer.intent import understand
from netra.agents.optimizer.mapping import parse_corrections
from netra.agents.optimizer.pricing import resolve_model
from netra.agents.spec import spec_of

from .analysis import AZURE, QUESTION, talk, workspace, write_csv


def test_it_presents_itself() -> None:
    spec = spec_of(optimizer)
    assert (spec.name, spec.title) == ("netra-optimizer", "Netra Optimizer")
    assert spec.accepts == (".csv", ".jsonl", ".parquet", ".json")
    assert spec.examples[0] == QUESTION
    assert spec.description


def test_importing_it_loads_none_of_its_heavy_parts() -> None:
    code = (
        "import sys, netra.agents.optimizer; "
        "print([m for m in ('duckdb', 'genai_prices', 'pydantic_ai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_without_a_file_it_says_what_to_attach_and_offers_the_sample() -> None:
    (answer,), _ = await talk([QUESTION])
    assert "Attach a file" in (answer.text or "")
    assert "CSV, JSONL, JSON and Parquet" in (answer.text or "")
    assert "Try with sample data" in answer.text


async def test_a_free_question_without_a_model_is_told_what_the_agent_can_do() -> None:
    (_, answer), _ = await talk([QUESTION + " We use gpt-4o.", "Who wrote the most poems?"], [AZURE / "code.csv"])
    assert "No language model is configured" in (answer.text or "")
    assert "price it as gpt-4o-mini" in (answer.text or "")
    assert answer.result["suggestions"]


async def test_a_later_message_works_on_the_earlier_file_and_another_model() -> None:
    messages = [QUESTION + " We use gpt-4o.", "Price it as gpt-4o-mini", "show me the report again"]
    (first, second, third), _ = await talk(messages, [AZURE / "code.csv"])
    assert "$47.61" in (first.text or "")
    assert "$2.86" in (second.text or "")
    assert third.text == second.text


async def test_a_correction_of_columns_is_taken_and_remembered(tmp_path: Path) -> None:
    rows = [("when", "engine_name", "prompt_tok", "answer_size"), ("2026-10-05", "gpt-4o", 1000, 100)]
    path = write_csv(tmp_path / "u.csv", rows)
    (asked, report, again), _ = await talk(
        [QUESTION, "output = answer_size, model is engine_name, input = prompt_tok", "report"], [path]
    )
    assert "could not find the column for **output tokens**" in (asked.text or "")
    assert "**You spent $0.003500**" in (report.text or "")
    assert "| output tokens | `answer_size` | you said so |" in (report.text or "")
    assert again.text == report.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model is engine_name, input = prompt_tok", {"model": "engine_name", "input": "prompt_tok"}),
        ("The model column is `engine_name`.", {"model": "engine_name"}),
        ("output tokens: gen_tok; user -> who", {"output": "gen_tok", "user": "who"}),
        ("the model is slow", {}),
        ("input = nothing_there", {}),
    ],
)
def test_corrections(text: str, said: dict[str, str]) -> None:
    assert parse_corrections(text, ["engine_name", "prompt_tok", "gen_tok", "who"]) == said


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("price it as Claude Sonnet 4.5, please", "Claude Sonnet 4.5"),
        ("Where does my spend go? Everything runs on gpt-4o-mini.", "gpt-4o-mini"),
        ("price it as azure/gpt-4o", "azure/gpt-4o"),
        ("what about command line costs", None),
        (QUESTION, None),
    ],
)
def test_models_in_a_sentence(text: str, model: str | None) -> None:
    assert understand(text, columns=(), choices=(), find_model=resolve_model, has_files=True).price_as == model


def test_values_of_a_file_cannot_make_markup_in_the_report(tmp_path: Path) -> None:
    import asyncio

    evil = "![x](http://evil.example/p.png)|`</td><script>`"
    rows = [("time", "model", "user", "input_tokens", "output_tokens")]
    rows += [("2026-10-05T09:00:00Z", "gpt-4o", evil, "1000", "100"), ("2026-10-05T09:00:00Z", evil, "b", "1", "1")]
    path = write_csv(tmp_path / "u.csv", rows)
    (answer,), _ = asyncio.run(talk([QUESTION], [path]))
    for line in (answer.text or "").splitlines():
        if "evil.example" in line:
            outside = "".join(line.split("`")[::2])
            assert "evil" not in outside
            assert "script" not in outside


async def _scripted(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """A language model that runs one query and reads its result out."""
    assert {tool.name for tool in info.function_tools} == {
        "profile_usage",
        "price_usage",
        "find_savings",
        "query_usage",
    }
    returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if not returned:
        arguments = json.dumps({"sql": "SELECT max(output) AS longest FROM priced"})
        yield {0: DeltaToolCall(name="query_usage", json_args=arguments, tool_call_id="call_1")}
        return
    content: Any = returned[-1].content
    yield f"The longest answer has {content['rows'][0][0]} tokens."


async def test_a_language_model_answers_free_questions_with_the_tools() -> None:
    agent = NetraOptimizer(FunctionModel(stream_function=_scripted))
    questions = [QUESTION + " We use gpt-4o.", "How long is the longest answer anybody got?"]
    (_, answer), rehearsal = await talk(questions, [AZURE / "code.csv"], agent)
    assert answer.text == "The longest answer has 1899 tokens."
    assert [step.text for step in rehearsal.steps if step.kind == "tool"] == ["query_usage"]


def test_a_configured_server_is_used_under_its_own_name() -> None:
    work = workspace(AZURE / "code.csv")
    agent = build_assistant(work, "openai:qwen3", "http://127.0.0.1:9/v1")
    work.close()
    assert agent.model.model_name == "qwen3"  # type: ignore[union-attr]
    assert str(agent.model.base_url).startswith("http://127.0.0.1:9/v1")  # type: ignore[union-attr]


def test_one_object_keeps_nothing_of_a_run() -> None:
    agent = NetraOptimizer()
    assert set(vars(agent)) == {"_model", "_base_url", "_api_key"}
