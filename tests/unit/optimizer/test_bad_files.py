"""A file that cannot be used gets an answer that names the line and the column, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netra.agents.optimizer.records import Limits

from .analysis import USAGE, analyse, problem, talk, workspace, write_csv

HEADER = ("time", "model", "input_tokens", "output_tokens")
GOOD = ("2026-10-05T09:00:00Z", "gpt-4o", "1000", "100")


@pytest.mark.parametrize(
    ("place", "value", "column"),
    [
        (0, "yesterday", "time"),
        (0, "", "time"),
        (0, "1999-01-01", "time"),
        (2, "many", "input_tokens"),
        (2, "-5", "input_tokens"),
        (2, "12.5", "input_tokens"),
        (3, "9999999999999999999999", "output_tokens"),
        (3, "2000000000000", "output_tokens"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_bad_value_is_named_by_line_and_column(
    tmp_path: Path, place: int, value: str, column: str, suffix: str
) -> None:
    bad = [*GOOD]
    bad[place] = value
    rows = [GOOD] * 40 + [bad] + [GOOD] * 9
    path = tmp_path / f"u.{suffix}"
    if suffix == "csv":
        write_csv(path, [HEADER, *rows])
    else:
        path.write_text("".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows))
    found = problem(path)
    assert (found["line"], found["column"]) == (42 if suffix == "csv" else 41, column)
    assert f"`u.{suffix}`, line {found['line']}, column `{column}`" in found["message"]
    assert found["skippable"]


def test_the_line_counts_quoted_newlines_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text(
        "time,model,note,input_tokens,output_tokens\n"
        '2026-10-05,gpt-4o,"two\nlines",1,1\n\n2026-10-05,gpt-4o,,x,1\n2026-10-05,gpt-4o,,1,1\n2026-10-05,gpt-4o,,1,1\n'
    )
    found = problem(path)
    assert (found["line"], found["column"]) == (5, "input_tokens")


@pytest.mark.parametrize("count", [1, 60_000])
def test_a_row_with_too_few_or_too_many_values_is_named(tmp_path: Path, count: int) -> None:
    for row, column in (("2026-10-05,gpt-4o,7", "output_tokens"), ("2026-10-05,gpt-4o,7,8,9", None)):
        path = tmp_path / "u.csv"
        path.write_text("time,model,input_tokens,output_tokens\n" + "2026-10-05,gpt-4o,7,8\n" * count + row + "\n")
        found = problem(path)
        assert (found["line"], found["column"]) == (count + 2, column)


@pytest.mark.parametrize(
    ("name", "content", "line", "words"),
    [
        ("u.csv", b"", None, "empty"),
        ("u.csv", b"\n\n\n", 1, "blank"),
        ("u.csv", b"time,model,input_tokens,output_tokens\n", 1, "no row"),
        ("u.csv", b"time,model,input_tokens,output_tokens\n2026-10-05,g\0,1,2\n", 2, "NUL"),
        ("u.csv", b'time,model,input_tokens,output_tokens\n2026-10-05,"gpt,1,2\n', 2, "quote"),
        ("u.csv", b"PK\x03\x04rest", None, "spreadsheet"),
        ("u.parquet", b"not parquet at all", None, "not a Parquet file"),
        ("u.parquet", b"PAR1garbagePAR1", None, "cannot be read"),
        ("u.jsonl", b'{"a": 1}\n{"a": \n{"a": 2}\n', 2, "not JSON"),
        ("u.jsonl", b'{"a": 1}\n17\n', 2, "not an object"),
        ("u.json", b'{\n  "data": [\n    {"a": 1},\n    oops\n  ]\n}', 4, "not JSON"),
        ("u.json", b'{"resourceSpans": []}', 1, "no usage record"),
        ("u.jsonl", b"[" * 100_000, 1, "not JSON"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes, line: int | None, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = problem(path)
    assert words in found["message"]
    assert found["line"] == line
    assert str(tmp_path) not in json.dumps(found)


def test_a_huge_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "u.csv"
    path.write_text("time,model,input_tokens,output_tokens\n2026-10-05,gpt-4o,1,1\n" + "x" * 3_000_000 + ",,,\n")
    found = problem(path)
    assert found["line"] == 3
    assert "longer than" in found["message"]


def test_skipping_bad_lines_leaves_them_out_and_says_so(tmp_path: Path) -> None:
    bad = ("2026-10-05", "gpt-4o", "x", "1")
    path = write_csv(tmp_path / "u.csv", [HEADER, GOOD, bad, GOOD])
    profiled, priced, _ = analyse(path, skip_bad=True)
    assert profiled["files"][0]["left_out"] == 1
    assert priced["rows"] == 2


async def test_the_agent_names_the_line_and_offers_to_skip(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "u.csv", [HEADER, GOOD, ("2026-10-05", "gpt-4o", "x|`y", "1"), GOOD])
    (refused, report), _ = await talk(["Where does it go?", "Skip bad lines"], [path])
    assert "`u.csv`, line 3, column `input_tokens`" in (refused.text or "")
    assert refused.result["suggestions"] == ["Skip bad lines"]
    assert "1 line(s) could not be read" in (report.text or "")


def test_a_line_end_of_another_kind_is_told_and_not_offered_to_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_bytes((USAGE / "anthropic-console.csv").read_bytes() + b"\r")
    work = workspace(path)
    try:
        told = work.profile_usage()["problem"]
    finally:
        work.close()
    assert "line end" in told["hint"]
    assert not told["skippable"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=600), name=st.sampled_from(["u.csv", "u.jsonl", "u.json", "u.parquet"]))
def test_no_bytes_whatever_break_the_reader(tmp_path: Path, data: bytes, name: str) -> None:
    check(tmp_path / name, data)


@pytest.mark.timeout(300)  # a minute on a machine with nothing else to do
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from(sorted(path for path in USAGE.iterdir() if path.suffix != ".md")),
    at=st.floats(0, 1),
    cut=st.integers(0, 40),
    insert=st.one_of(
        st.binary(max_size=12),
        st.sampled_from(
            [b'"', b"\n", b",", b"\r", b"\0", b"{", b"]", b"\xff\xfe", b"\\", b"'", b"\xe2\x80\xa8", b";;"]
        ),
    ),
)
def test_a_damaged_export_gives_an_answer(tmp_path: Path, source: Path, at: float, cut: int, insert: bytes) -> None:
    data = source.read_bytes()
    place = int(at * len(data))
    check(tmp_path / source.name, data[:place] + insert + data[place + cut :])


def check(path: Path, data: bytes) -> None:
    """The tools answer, with a place in the file when values or lines are at fault, and show no path."""
    path.write_bytes(data)
    for skip_bad in (False, True):
        work = workspace(path, skip_bad=skip_bad, limits=Limits(load_seconds=20))
        try:
            answers = [work.profile_usage(), work.price_usage(), work.find_savings()]
        finally:
            work.close()
        for answer in answers:
            assert "fault of the optimizer" not in json.dumps(answer), answer
            assert str(path.parent) not in json.dumps(answer)
            if "problem" in answer and answer["problem"]["skippable"]:
                assert answer["problem"]["line"]
        if not any("problem" in answer for answer in answers):
            return  # there is nothing to skip
