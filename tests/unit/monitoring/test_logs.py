"""Log lines: one per event, readable by machines, and free of what must not be written down."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from netra.monitoring import logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    structlog.get_logger("netra.chat").info("run ended", run_id="run_1", duration_ms=12)
    (line,) = lines_of(stream)
    assert line["event"] == "run ended"
    assert line["run_id"] == "run_1"
    assert line["duration_ms"] == 12
    assert line["level"] == "info"
    assert line["logger"] == "netra.chat"
    assert line["timestamp"].endswith("Z")


def test_lines_of_other_libraries_have_the_same_form_and_the_request_id() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    token = logs.request_id.set("req_7")
    try:
        logging.getLogger("uvicorn.error").warning("slow client %s", "10.0.0.1")
        structlog.get_logger("netra").info("mine")
    finally:
        logs.request_id.reset(token)
    foreign, mine = lines_of(stream)
    assert foreign["event"] == "slow client 10.0.0.1"
    assert foreign["request_id"] == mine["request_id"] == "req_7"


def test_a_failure_stays_one_line_and_keeps_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger("netra").exception("step failed")
    (line,) = lines_of(stream)
    assert line["error"] == "ValueError: first\\nsecond"
    assert "test_logs.py" in line["traceback"]


def test_a_pretty_traceback_keeps_its_lines_and_marks_each() -> None:
    stream = io.StringIO()
    logs.configure("info", "pretty", stream=stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger("netra").exception("step failed")
    first, *trace = stream.getvalue().splitlines()
    assert "step failed" in first
    assert any("test_logs.py" in line for line in trace)
    assert [line for line in trace if not line.startswith("    | ")] == []


@pytest.mark.parametrize("format", ["json", "pretty"])
def test_control_characters_cannot_forge_a_line_or_steer_a_terminal(format: Any) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)
    structlog.get_logger("netra").info("file stored", name="a\r\nlevel=error event=forged\x1b[2J\u202e\x9b")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert not set(written[:-1]) & set("\r\n\x1b\u202e\x9b")


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"password": "hunter2hunter2"}, "hunter2hunter2"),
        ({"headers": {"Authorization": "Bearer abcdefghijkl"}}, "abcdefghijkl"),
        ({"content": "my private question"}, "my private question"),
        ({"detail": "got Bearer abcdefghijkl"}, "abcdefghijkl"),
        ({"path": "/ws?ticket=tkt_abc123"}, "tkt_abc123"),
        ({"detail": "netra_pat_abcdefghijklmnop"}, "abcdefghijklmnop"),
        ({"database": "postgresql://netra:s3cr3t@db/netra"}, "s3cr3t"),
        ({"detail": ["eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2ln"]}, "eyJzdWIi"),
    ],
)
@pytest.mark.parametrize("format", ["json", "pretty"])
def test_secrets_and_message_texts_are_not_written(format: Any, fields: dict[str, Any], secret: str) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)
    structlog.get_logger("netra").info("request refused", **fields)
    assert "request refused" in stream.getvalue()
    assert secret not in stream.getvalue()


def test_counts_of_tokens_are_no_secret() -> None:
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    structlog.get_logger("netra").info("run ended", input_tokens=12, output_tokens=3)
    (line,) = lines_of(stream)
    assert (line["input_tokens"], line["output_tokens"]) == (12, 3)


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("warning", "json", stream=stream)
    structlog.get_logger("netra").info("quiet")
    logging.getLogger("uvicorn").info("quiet too")
    assert stream.getvalue() == ""
