"""Lines of children: understood, filtered, folded, kept, and never in anybody's way."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest
from rich.console import Console

from netra.launcher import LogBuffer, LogFilter, LogStreamer
from netra.launcher.logs import KEPT, Folding, LineReader, LogLine, render


def lines(*printed: str, source: str = "server") -> list[LogLine]:
    reader = LineReader(source)
    return [line for text in printed for line in reader.read(text)]


def record(**fields: object) -> str:
    return json.dumps({"timestamp": "2026-01-02T03:04:05.678Z", **fields})


@pytest.mark.spec("launcher.logs")
def test_a_json_line_is_shown_as_time_level_event_and_facts() -> None:
    found = lines(record(event="refused", level="warning", logger="x", user="ada", why="no room"))
    assert found == [LogLine("server", "warning", 'refused user=ada why="no room"', "03:04:05")]
    assert render(found[0]).plain == '   server │ 03:04:05 warning refused user=ada why="no room"'


def test_a_traceback_in_json_becomes_lines_of_its_level() -> None:
    found = lines(
        record(event="failed", level="error", error="ValueError: no", traceback="Traceback:\n  File x\nValueError: no")
    )
    assert [line.text for line in found] == ["failed ValueError: no", "  Traceback:", "    File x", "  ValueError: no"]
    assert {line.level for line in found} == {"error"}


@pytest.mark.parametrize(
    ("printed", "level", "text"),
    [
        ("2026-11-21 17:05:54.751 UTC [12] LOG:  listening", "info", "LOG:  listening"),
        ("2026-11-21 17:05:54.751 UTC [12] FATAL:  no", "error", "FATAL:  no"),
        ("[12] 2026/11/21 17:05:54.735392 [WRN] slow", "warning", "[WRN] slow"),
        ("netra: The data directory cannot be written.", "error", "netra: The data directory cannot be written."),
        ("\x1b[32m➜\x1b[0m  Local:\x07 http://localhost", "info", "➜  Local: http://localhost"),
        ("an ERRORless line", "info", "an ERRORless line"),
    ],
)
def test_levels_are_found_in_plain_lines_and_terminals_are_left_alone(printed: str, level: str, text: str) -> None:
    (line,) = lines(printed)
    assert (line.level, line.text) == (level, text)


def test_a_plain_traceback_is_an_error_to_its_last_line() -> None:
    found = lines("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: no", "going on")
    assert [line.level for line in found] == ["error", "error", "error", "info"]


@pytest.mark.spec("launcher.logs")
def test_the_filter_shows_chosen_children_from_a_level_on() -> None:
    said = [LogLine(source, level, "x") for source in ("server", "page") for level in ("debug", "info", "error")]  # type: ignore[arg-type]
    assert [line for line in said if LogFilter().shows(line)] == [*said[1:3], *said[4:]]
    only = [line for line in said if LogFilter(["page"], "error").shows(line)]
    assert only == [LogLine("page", "error", "x")]


def test_the_link_that_creates_the_administrator_is_always_shown() -> None:
    assert LogFilter(["page"], "error").shows(LogLine("server", "info", "http://localhost:8000/setup#token=abc"))


@pytest.mark.spec("launcher.logs")
def test_equal_lines_in_a_row_are_folded_with_their_count() -> None:
    folding = Folding(seconds=2)
    same, other = LogLine("server", "info", "again"), LogLine("page", "info", "else")
    shown = [
        text for line in (same, same, other, same, LogLine("server", "info", "new")) for text in folding.feed(line, 0)
    ]
    assert [render(line).plain for line in shown] == [
        "   server │ again",
        "     page │ else",
        "   server │ … the same 2 times more",
        "   server │ new",
    ]
    assert not folding.waiting


def test_a_line_that_never_stops_is_counted_now_and_then() -> None:
    folding = Folding(seconds=2)
    same = LogLine("server", "info", "again")
    shown = [line for second in range(10) for line in folding.feed(same, second)]
    assert [line.more for line in shown] == [0, 3, 3, 3]
    assert folding.rest() == []
    folding.feed(same, 10)
    assert [line.more for line in folding.due(11)] == []
    assert [line.more for line in folding.due(12)] == [1]


@pytest.mark.spec("launcher.logs")
def test_the_buffer_keeps_the_last_lines_and_the_cause() -> None:
    buffer = LogBuffer()
    assert buffer.cause is None
    for number in range(KEPT + 10):
        buffer.add(LogLine("server", "info", str(number)))
    assert [line.text for line in buffer.lines] == [str(number) for number in range(10, KEPT + 10)]
    buffer.add(LogLine("server", "error", "failed somehow"))
    assert buffer.cause == "failed somehow"
    buffer.add(LogLine("server", "error", "ModuleNotFoundError: No module named 'x'"))
    buffer.add(LogLine("server", "error", "stopped"))
    assert buffer.cause == "ModuleNotFoundError: No module named 'x'"
    buffer.clear()
    assert (buffer.lines, buffer.cause) == ([], None)


class Terminal(io.StringIO):
    """A terminal that shows nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def write(self, text: str) -> int:
        assert self.may.wait(30)
        return super().write(text)


@pytest.mark.spec("launcher.logs")
def test_children_never_wait_for_the_terminal_and_what_is_left_out_is_counted() -> None:
    terminal = Terminal()
    streamer = LogStreamer(Console(file=terminal, width=200), LogFilter())
    reading, writing = os.pipe()
    follower = streamer.follow("server", os.fdopen(reading, "rb"))
    with os.fdopen(writing, "wb") as output:  # far more than a pipe and the queue hold together
        for number in range(20_000):
            output.write(b"line %d\n" % number)
    follower.join(30)
    assert not follower.is_alive()
    assert streamer.buffer("server").lines[-1].text == "line 19999"
    terminal.may.set()
    streamer.say("the end")
    streamer.close()
    shown = terminal.getvalue().splitlines()
    assert shown[0] == "   server │ line 0"
    assert any("lines left out: the terminal was too slow" in line for line in shown)
    assert any(line.endswith("the end") for line in shown[-2:])


def test_what_a_child_prints_is_shown_with_its_name_in_order() -> None:
    file = io.StringIO()
    streamer = LogStreamer(Console(file=file, width=200), LogFilter(level="warning"))
    reading, writing = os.pipe()
    follower = streamer.follow("server", os.fdopen(reading, "rb"))
    os.write(writing, b"quiet\nWARNING: loud\n\nWARNING: loud\nERROR without an end")
    os.close(writing)
    follower.join(30)
    streamer.show_last("server")
    streamer.close()
    assert [line.rstrip() for line in file.getvalue().splitlines()] == [
        "   server │ warning WARNING: loud",
        "   server │ … the same once more",
        "   server │ error ERROR without an end",
        "netra dev │ its last 4 lines:",
        "netra dev │   quiet",
        "netra dev │   WARNING: loud",
        "netra dev │   WARNING: loud",
        "netra dev │   ERROR without an end",
    ]


def test_last_lines_that_stand_above_are_not_shown_again() -> None:
    file = io.StringIO()
    streamer = LogStreamer(Console(file=file, width=200), LogFilter())
    streamer.feed(LogLine("server", "error", "ValueError: no"))
    streamer.show_last("server")
    streamer.close()
    assert file.getvalue() == "   server │ error ValueError: no\n"
