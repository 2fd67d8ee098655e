"""The checks find what is broken in an answer, and nothing in the built-in agent's real reports."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netra.agents.optimizer.sample import write_sample
from netra.quality import check_answer
from unit.optimizer.analysis import AZURE, QUESTION, USAGE, talk

pytestmark = pytest.mark.spec("quality.validate")


class Report(NamedTuple):
    """A real answer of the built-in agent, and what its tools had given."""

    file: str
    text: str
    tools: list[tuple[str, Any]]


def report_on(files: list[Path], question: str = QUESTION) -> Report:
    answers, rehearsal = asyncio.run(talk([question], files))
    tools = [(step.text, step.result) for step in rehearsal.steps if step.kind == "tool"]
    return Report(", ".join(file.name for file in files), answers[-1].text or "", tools)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on the sample data: long, with charts, tables and many findings."""
    path = tmp_path_factory.mktemp("quality") / "sample.csv"
    write_sample(path)
    return report_on([path])


@pytest.fixture(scope="module")
def reports(sample: Report) -> list[Report]:
    """A report on every kind of file the agent reads, and what it asks when a file names no model."""
    exports = sorted(path for path in USAGE.iterdir() if path.suffix in (".csv", ".json", ".jsonl"))
    made = [report_on([path]) for path in exports]
    made.append(report_on([AZURE / "code.csv"]))
    made.append(report_on([AZURE / "code.csv", AZURE / "conv.csv"], f"{QUESTION} Price it as gpt-4o."))
    made.append(report_on([]))
    return [*made, sample]


def kinds(text: str, **options: Any) -> list[str]:
    return [finding.kind for finding in check_answer(text, **options)]


def test_nothing_is_wrong_with_the_built_in_agents_reports(reports: list[Report]) -> None:
    assert len(reports) >= 12
    for report in reports:
        assert check_answer(report.text, tool_results=report.tools) == [], report.file


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u2060", "\ufeff  "])
def test_an_answer_without_a_visible_character_is_empty(text: str) -> None:
    assert kinds(text) == ["empty"]


@pytest.mark.parametrize("text", ["7", "—", "👍", "Yes", "`x`"])
def test_a_short_answer_is_an_answer(text: str) -> None:
    assert kinds(text) == []


def test_a_report_that_stops_in_a_code_block_is_cut_off(sample: Report) -> None:
    cut = sample.text.index("```chart") + len("```chart\nspend")
    assert kinds(sample.text[:cut]) == ["truncated"]


def test_a_report_that_stops_in_a_row_of_a_table_is_cut_off(sample: Report) -> None:
    row = sample.text.index("| `gpt-4o` |")
    for cut in (row + 12, row + 30):
        assert kinds(sample.text[:cut].rstrip()) == ["truncated"], sample.text[row - 20 : cut]
    whole = sample.text.index("\n", row)
    assert kinds(sample.text[:whole]) == []


def test_a_report_that_stops_in_a_sentence_is_cut_off(sample: Report) -> None:
    for words in ("the last column counts each saving once", "It adds up to the total; the column"):
        cut = sample.text.index(words) + len(words)
        assert kinds(sample.text[:cut]) == ["truncated"], words


def test_what_the_provider_says_of_the_end_counts() -> None:
    assert kinds("All of it is here.", finish_reason="length") == ["truncated"]
    assert kinds("All of it is here.", finish_reason="MAX_TOKENS") == ["truncated"]
    assert kinds("All of it is here.", finish_reason="stop") == []


@pytest.mark.parametrize(
    "text",
    [
        "The parts that are affected are these: the engine, the log,",
        "We looked at every model in the file (",
        "First one. Second one is here. Third one is here as well. And the fourth would have been",
        "One paragraph ends.\n\nAnother one ends too.\n\nA third one ends.\n\nThe fourth one just goes on and",
        "- The first item is done.\n- The second item is done.\n- The third is done.\n- The fourth was never quite",
        "~~~python\nprint(1)\n",
    ],
)
def test_what_stops_in_the_middle_is_cut_off(text: str) -> None:
    assert kinds(text) == ["truncated"]


@pytest.mark.parametrize(
    "text",
    [
        "no full stops here\n\nnone here either\n\nthis is how I write\n\nand I stop like that",
        "- milk and some bread\n- butter for the bread\n- eggs from the market\n- cheese of any kind",
        "First. Second one is here. Third one is here too. More about it at https://example.com/some/path",
        "First. Second one is here. Third one is here too. Run it again with `netra serve`",
        "I did it. It took a while. It is done now.\n\nKind regards,\nAnn",
        "It is done. It works. It is fast.\n\n## Next steps",
        "```\nunbalanced ( in code\n```",
        "````\n```\nnested\n````",
        "| a | b |\n| - | - |\n| 1 | 2 |",
        "a | b\n- | -\n1 | 2",
        "第一句。第二句。第三句。第四句没有句号",
        "Das ist fertig. Es geht. Es ist schnell. Möchtest du mehr wissen?",
        "It costs this much. It is cheap. It is good. The sum of all of it is 42",
    ],
)
def test_what_ends_in_its_own_style_is_whole(text: str) -> None:
    assert kinds(text) == []


def test_going_in_circles_is_noticed() -> None:
    assert kinds("Let me check that again. " * 20) == ["repeated"]
    assert kinds("A good beginning that says something.\n\n" + "and then the next one " * 30) == ["repeated"]
    assert kinds("- the same item\n" * 40) == ["repeated"]
    paragraph = "This paragraph says something about your spend that is of some length."
    assert kinds(f"{paragraph}\n\nOther words.\n\n{paragraph}\n\nMore words.\n\n{paragraph}") == ["repeated"]
    long = " ".join(f"Sentence number {number} says that." for number in range(20))
    assert kinds(f"{long}\n\nOther words.\n\n{long}") == ["repeated"]


@pytest.mark.parametrize("period", [7, 23, 24, 60, 250, 599])
def test_a_loop_of_any_length_is_noticed_wherever_it_begins(period: int) -> None:
    unit = "".join(chr(ord("a") + (number * 7 + number // 26) % 26) for number in range(period - 1)) + " "
    for before in ("", "Some words first. ", "x " * 31):
        assert kinds(before + unit * max(8, 400 // period) + "and then it ends.") == ["repeated"], before


@pytest.mark.parametrize(
    "text",
    [
        "Twice is fine, and no loop at all.\n\nTwice is fine, and no loop at all.",
        "```\n" + "pass\n" * 100 + "```",
        "| a | b |\n| --- | --- |\n" + "| 0 | 0 |\n" * 100,
        "A line:\n\n" + "-" * 300,
        "The digits of a third: 0." + "3" * 400,
        "\n".join(f"{number}. item {number} costs {number * 7}" for number in range(100)),
    ],
)
def test_tables_code_and_numbers_may_repeat_themselves(text: str) -> None:
    assert kinds(text) == []


def test_the_same_answer_to_another_question_is_noticed(sample: Report) -> None:
    assert kinds(sample.text, previous=sample.text) == ["same_as_before"]
    assert kinds(sample.text, previous=sample.text + "More.") == []
    assert kinds("Yes.", previous="Yes.") == []


def test_plain_text_may_have_bars_and_backticks() -> None:
    text = "| one | two |\n|---|---|\n| three\n\n```"
    assert kinds(text) == ["truncated"]
    assert kinds(text, plain=True) == []


HOSTILE = ["|" * 9, "`" * 3, "\n", " ", ".", "-", "*", "total is $1", ": ", "a" * 30, "\u2028", "\0", "é", "1,234.5 M"]
HOSTILE.append("total: 1" + "0" * 320)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5), max_size=40).map("".join), st.booleans())
def test_no_text_makes_a_check_raise(text: str, plain: bool) -> None:
    check_answer(text, plain=plain, previous=text, tool_results=[("t", {"total_usd": 2})])


@pytest.mark.parametrize(
    "piece", ["- ", "| ", "a ", ". ", "  ", "`", "| --- ", "the total is ", "aaaa", "1,111", "_. *"]
)
def test_a_megabyte_of_anything_takes_no_longer_than_its_size_asks(piece: str) -> None:
    text = "x" + piece * (500_000 // len(piece)) + "y"
    begun = time.perf_counter()
    check_answer(f"{text}\n{text}", tool_results=[("t", {"total": 1})])
    assert time.perf_counter() - begun < 10
