"""The children's output: drained whatever happens, understood, filtered, folded, and kept for the moment one dies.

One thread per child reads its output, so that no child ever waits for the terminal. Lines go into a bounded queue; when
the terminal is slower than the children, lines are left out and counted. One thread prints.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from .config import LEVELS, SERVICES, Level

KEPT = 50
"""Lines of a child that are kept for the moment it dies."""
LINE_CHARS = 4000
"""Longest line that is shown; the rest of it is cut off."""
_QUEUED = 2000
_LEFT_OUT = ("timestamp", "level", "event", "logger", "request_id", "traceback", "stack", "error")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LEVEL_WORD = re.compile(
    r"^.{0,60}?\b(?:(?P<debug>DEBUG|DBG|TRC)|(?P<info>INFO|INF|LOG|NOTICE)|(?P<warning>WARN|WARNING|WRN)"
    r"|(?P<error>ERROR|ERR|FATAL|FTL|PANIC|CRITICAL))\b"
)
_STAMP = re.compile(
    r"^(?:\[\d+\] )?\d{4}[-/]\d\d[-/]\d\d[ T](?P<at>\d\d:\d\d:\d\d)[\d.,]*(?:Z| [A-Z]{3,4})?(?: \[\d+\])?[ \t]+"
)
"""When and who, at the head of a line, as PostgreSQL and NATS write it; lines are folded without."""
_FAILURE = re.compile(r"^(?:[\w.]+(?:Error|Exception|Exit|Interrupt|Warning)\b|netra: )")
_ALWAYS = "/setup#token="
"""The one line nobody may miss: the link that creates the first administrator."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a child.

    Args:
        source: the child's name.
        level: as the line says; a line that says nothing has the level of the one it continues, or `info`.
        text: without colours and control characters.
        at: the time it says, `HH:MM:SS`, or nothing.
        more: how many equal lines followed, on a line that says so.
    """

    source: str
    level: Level
    text: str
    at: str = ""
    more: int = 0


class LineReader:
    """Makes lines of what one child prints; knows what the line before was."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._level: Level = "info"
        self._in_traceback = False

    def read(self, raw: str) -> list[LogLine]:
        """The line, and those of the traceback it carries; nothing for an empty one."""
        text = _CONTROLS.sub("", _ESCAPES.sub("", raw)).rstrip()
        if not text.strip():
            return []
        if text.startswith("{") and (record := _record(text)) is not None:
            return self._structured(record)
        stamp = _STAMP.match(text)
        at, text = (stamp["at"], text[stamp.end() :]) if stamp else ("", text)
        if not text.strip():
            return []
        self._level = self._plain_level(text)
        return [LogLine(self.source, self._level, text[:LINE_CHARS], at)]

    def _structured(self, record: dict[str, Any]) -> list[LogLine]:
        level = _level(str(record.get("level", "info")))
        at = str(record.get("timestamp", ""))[11:19]
        facts = [f"{name}={_shown(value)}" for name, value in record.items() if name not in _LEFT_OUT]
        words = [str(record.get("event", "")), *facts]
        if "error" in record:
            words.append(str(record["error"]))
        self._level = level
        trace = str(record.get("traceback") or record.get("stack") or "").replace("\\n", "\n")
        lines = [" ".join(words), *(f"  {line}" for line in trace.splitlines())]
        return [LogLine(self.source, level, line[:LINE_CHARS], at) for line in lines if line.strip()]

    def _plain_level(self, text: str) -> Level:
        if text.startswith("Traceback (most recent call last)"):
            self._in_traceback = True
            return "error"
        if self._in_traceback:
            self._in_traceback = text.startswith(" ")
            return "error"
        if text.startswith("netra: "):
            return "error"
        if text[0].isspace():
            return self._level
        named = _LEVEL_WORD.match(text)
        return _level(named.lastgroup or "info") if named else "info"


class LogFilter:
    """Which lines are shown.

    Args:
        only: children; none means all.
        level: least level.
    """

    def __init__(self, only: Iterable[str] = (), level: Level = "info") -> None:
        self._only = frozenset(only)
        self._least = LEVELS.index(level)

    def shows(self, line: LogLine) -> bool:
        """Whether a line is shown."""
        if _ALWAYS in line.text:
            return True
        return (not self._only or line.source in self._only) and LEVELS.index(line.level) >= self._least


class LogBuffer:
    """The last lines of one child since it was started, and why it ended as far as they say."""

    def __init__(self, kept: int = KEPT) -> None:
        self._lines: deque[LogLine] = deque(maxlen=kept)

    def add(self, line: LogLine) -> None:
        """Keep a line; the oldest makes room."""
        self._lines.append(line)

    def clear(self) -> None:
        """The child is started anew."""
        self._lines.clear()

    @property
    def lines(self) -> list[LogLine]:
        """The lines, oldest first."""
        return list(self._lines)

    @property
    def cause(self) -> str | None:
        """The last line that names a failure, else the last one of level error; None when nothing says why."""
        backwards = self.lines[::-1]
        for line in backwards:
            if _FAILURE.match(line.text.strip()):
                return line.text.strip()
        return next((line.text.strip() for line in backwards if line.level == "error"), None)


class Folding:
    """Shows the first of equal lines in a row, and how many more there were when something else is said or `seconds`
    have passed.
    """

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds
        self._last: dict[str, LogLine] = {}
        self._more: dict[str, tuple[int, float]] = {}

    def feed(self, line: LogLine, now: float) -> list[LogLine]:
        """What is to be shown now that `line` has come."""
        last = self._last.get(line.source)
        if last is not None and (last.level, last.text) == (line.level, line.text):
            count, since = self._more.get(line.source, (0, now))
            self._more[line.source] = (count + 1, since)
            return self.due(now)
        folded = self._fold(line.source)
        self._last[line.source] = line
        return [*folded, line]

    def due(self, now: float) -> list[LogLine]:
        """What is to be shown because it has waited long enough."""
        late = [source for source, (_, since) in self._more.items() if now - since >= self._seconds]
        return [line for source in late for line in self._fold(source)]

    def rest(self) -> list[LogLine]:
        """What is still to be shown at the end."""
        return [line for source in list(self._more) for line in self._fold(source)]

    @property
    def waiting(self) -> bool:
        """Whether `due` may have something to say later."""
        return bool(self._more)

    def _fold(self, source: str) -> list[LogLine]:
        count, _ = self._more.pop(source, (0, 0.0))
        return [replace(self._last[source], more=count)] if count else []


class LogStreamer:
    """Reads what children print and shows it.

    Args:
        console: where to.
        shown: which lines.
        clock: seconds that never go back; for folding.
    """

    def __init__(self, console: Console, shown: LogFilter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._shown = shown
        self._clock = clock
        self._queue: queue.Queue[LogLine | Text | None] = queue.Queue(_QUEUED)
        self._buffers: dict[str, LogBuffer] = {}
        self._watchers: list[Callable[[LogLine], None]] = []
        self._left_out = 0
        self._printer = threading.Thread(target=self._print, name="log-printer", daemon=True)
        self._printer.start()

    def follow(self, source: str, output: IO[bytes]) -> threading.Thread:
        """Read a child's output until it ends; returns the thread that does."""
        self.buffer(source).clear()
        reader = threading.Thread(target=self._read, args=(source, output), name=f"log-{source}", daemon=True)
        reader.start()
        return reader

    def on_line(self, watcher: Callable[[LogLine], None]) -> None:
        """Be told of every line, shown or not. Called from the threads that read."""
        self._watchers.append(watcher)

    def buffer(self, source: str) -> LogBuffer:
        """The last lines of a child."""
        return self._buffers.setdefault(source, LogBuffer())

    def feed(self, line: LogLine) -> None:
        """A line of a child has come. Never waits."""
        self.buffer(line.source).add(line)
        for watcher in self._watchers:
            watcher(line)
        if not self._shown.shows(line):
            return
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._left_out += 1

    def say(self, text: str, style: str = "") -> None:
        """Something the launcher itself has to say, between the lines of the children."""
        message = Text.assemble((f"{'netra dev':>9}", "bold"), (" │ ", "dim"), (text, style))
        with contextlib.suppress(queue.Full):  # a terminal that shows nothing for so long shows nothing
            self._queue.put(message, timeout=1)

    def show_last(self, source: str) -> None:
        """The last lines of a child, unless the filter has let all of them through: they stand above."""
        lines = self.buffer(source).lines
        if all(self._shown.shows(line) for line in lines):
            return
        self.say(f"its last {len(lines)} lines:" if len(lines) > 1 else "its last line:", "dim")
        for line in lines:
            self.say(f"  {line.text}", "red" if line.level == "error" else "dim")

    def close(self) -> None:
        """Show what is left."""
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=1)
        self._printer.join(3)

    def _read(self, source: str, output: IO[bytes]) -> None:
        reader = LineReader(source)
        with output:
            for raw in iter(lambda: output.readline(64 * 1024), b""):
                for line in reader.read(raw.decode(errors="replace")):
                    self.feed(line)

    def _print(self) -> None:
        folding = Folding()
        while True:
            try:
                item = self._queue.get(timeout=0.25 if folding.waiting else None)
            except queue.Empty:
                self._show(folding.due(self._clock()))
                continue
            if item is None:
                self._show(folding.rest())
            elif isinstance(item, Text):
                self._put(item)
            else:
                self._show(folding.feed(item, self._clock()))
            if self._left_out and self._queue.empty():
                left_out, self._left_out = self._left_out, 0
                self._put(Text(f"          │ {left_out} lines left out: the terminal was too slow", "yellow"))
            if item is None:
                return

    def _show(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self._put(render(line))

    def _put(self, text: Text) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone: children are drained all the same
            self._console.print(text, soft_wrap=True)


_COLOURS = dict(zip(SERVICES, ("cyan", "magenta", "blue", "green"), strict=True))
_STYLES: dict[Level, str] = {"debug": "dim", "info": "", "warning": "yellow", "error": "red"}


def render(line: LogLine) -> Text:
    """A line as it is printed: who says it, when, and what."""
    head = (f"{line.source:>9}", _COLOURS.get(line.source, "white"))
    if line.more:
        times = "once more" if line.more == 1 else f"{line.more} times more"
        return Text.assemble(head, (" │ ", "dim"), (f"… the same {times}", "dim"))
    at = f"{line.at} " if line.at else ""
    level = f"{line.level} " if line.level in ("warning", "error") else ""
    style = _STYLES[line.level]
    return Text.assemble(head, (" │ ", "dim"), (at, "dim"), (level, f"bold {style}"), (line.text, style))


def _record(text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def _level(word: str) -> Level:
    if word == "critical":
        return "error"
    return next((level for level in LEVELS if level == word), "info")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return json.dumps(text, ensure_ascii=False) if " " in text else text
