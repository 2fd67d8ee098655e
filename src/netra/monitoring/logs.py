"""Logging: one structured line per event, set up once by `configure`, called by the command line.

Every part asks for a logger with `structlog.get_logger(__name__)` and logs an event name with fields
(`log.info("run ended", run_id=…, status=…)`). The lines of uvicorn, SQLAlchemy, DBOS and everything else that uses the
standard library's logging pass through the same processors, so each line carries the id of the request it belongs to,
has its control characters escaped, and shows no password, token or message text.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import structlog

from . import tracing

__all__ = ["REDACTED", "configure", "redact", "request_id"]

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The request (or socket command) being served; set by the doors, for correlation only."""

REDACTED = "[redacted]"

_SECRET_FIELDS = re.compile(
    r"pass(word|wd|phrase)|secret|token(?!s)|ticket|authorization|cookie|api_?key|credential|dsn"
    r"|^(content|answer|prompt|reasoning|final_response|text_delta)$",
    re.IGNORECASE,
)
_SECRET_TEXTS = (
    (re.compile(r"netra_[a-z]+_[A-Za-z0-9_-]{8,}"), REDACTED),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), REDACTED),  # JSON Web Tokens
    (re.compile(r"\bsk-[\w-]{16,}"), REDACTED),  # keys of model providers
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(?i)\b(token|ticket|password|secret|api_?key)=[^\s&\"']+"), rf"\1={REDACTED}"),
    (re.compile(r"(\w+://[^\s:/@]+):[^\s@/]+@"), rf"\1:{REDACTED}@"),  # URLs with a password
)
# C0 and C1 controls, DEL, line and paragraph separators, and the marks that reorder text on a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Libraries that are chatty at a level where our own lines are wanted.
_QUIET = {
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "dbos": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "netra.storage.pools": logging.WARNING,  # SQLAlchemy's own lines, under the names of our classes
    "openai": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.WARNING,
    "watchfiles": logging.WARNING,
}


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "json", "pretty"] = "auto",
    *,
    stream: TextIO | None = None,
) -> None:
    """Route every log line of the process to `stream` (default: standard error), replacing earlier handlers.

    Args:
        level: the least level that is written.
        format: `json`, `pretty`, or `auto`: pretty when the stream is a terminal, JSON otherwise.
        stream: where lines go.
    """
    out = stream if stream is not None else sys.stderr
    pretty = format == "pretty" or (format == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        _add_origin,
        _format_exception,
        _make_safe,
    ]
    renderer = _pretty(out) if pretty else structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    _tame_libraries(logging.DEBUG if level == "debug" else None)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a test may configure again
    )


def redact(text: str) -> str:
    """`text` without the secrets that can be told by their form, and with its control characters escaped."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def _tame_libraries(floor: int | None) -> None:
    """Take away the handlers libraries bring, so that their lines reach ours, once."""
    for name in ("uvicorn.access", "uvicorn.asgi", *_QUIET):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.disabled = False
        logger.setLevel(logging.NOTSET if floor is not None else _QUIET.get(name, logging.NOTSET))
    # The doors log requests themselves, with an id and without the query string.
    logging.getLogger("uvicorn.access").disabled = True


def _add_origin(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    if (span := tracing.ids()) is not None:
        event.update(span)
    return event


def _format_exception(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The exception's type, text and traceback as fields, so that one failure stays one line of JSON."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[1] is not None:
        event["error"] = f"{type(info[1]).__name__}: {info[1]}"
        event["traceback"] = "".join(traceback.format_exception(*info))
    elif str(event.get("event", "")).startswith("Traceback (most recent call last)"):
        # uvicorn logs a failed start as text. Our own errors say what to do; their way through the code helps nobody.
        text = str(event["event"]).rstrip()
        event["event"], event["error"] = "failed", text.rpartition("\n")[2]
        if not event["error"].startswith("netra.errors."):
            event["traceback"] = text
    return event


def _make_safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.startswith("_") or key in ("timestamp", "level"):
            continue
        event[key] = REDACTED if _SECRET_FIELDS.search(key) and value is not None else _safe(value)
    return event


def _safe(value: Any, depth: int = 4) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth and isinstance(value, Mapping):
        return {
            redact(str(key)): REDACTED if _SECRET_FIELDS.search(str(key)) else _safe(member, depth - 1)
            for key, member in value.items()
        }
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_safe(member, depth - 1) for member in value]
    return redact(value if isinstance(value, str) else str(value))


def _pretty(out: TextIO) -> structlog.typing.Processor:
    """For a person at a terminal: colours, and tracebacks with their lines, each marked so that none can be forged."""
    console = structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=32)

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        trace = event.pop("traceback", None)
        line = str(console(logger, method, event))
        if trace:
            line += "".join(f"\n    | {part}" for part in trace.rstrip("\\n").split("\\n"))
        return line

    return render
