"""Traces of runs for OpenTelemetry: message, run, step, tool and database, named as the GenAI conventions have it.

A trace belongs to a run, not to the socket or the process that happens to serve it. Its id, and the ids of its message
and of its attempts, follow from the run's id, so every process adds to the same trace without asking another. Whoever
stores the end of a run sends the spans of the message and of all its attempts: a killed process leaves no gap, for what
it had open is closed by the one that carries on. What was open below (a step, a tool) takes its own children with it:
they are sent after their parent or not at all.

OpenTelemetry is an optional extra (`netra[otel]`). `start` imports it, and only when there is somewhere to send spans
to; before that each of the functions here costs one `if`. Identity and permission never come from what is kept here.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import structlog

from netra.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .spans import Sending, Spans

log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""The standard variables that name a collector."""
NAME_CHARS = 128


class Traced(Protocol):
    """An open span, as those see it who know more of what happens in it."""

    def result(self, value: object) -> None:
        """What a tool gave, which is content."""
        ...

    def answered(self, model: str | None, tokens: tuple[int, int], finish: str | None) -> None:
        """What a model says of its answer."""
        ...


_spans: Spans | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


@dataclass(frozen=True, slots=True)
class TracedEnd:
    """How a run ended, for its trace.

    Args:
        attempts: how many there were; 0 for a run that never began.
        seconds: since the run began.
        last_seconds: since the last attempt began; None when that was in another process.
        tokens: read and written by models.
        error: a code, if it did not succeed.
        content: question and answer; sent only if that is wanted.
    """

    run_id: str
    thread_id: str
    user_id: str
    agent: str
    status: str
    attempts: int
    seconds: float
    last_seconds: float | None = None
    tokens: tuple[int, int] = (0, 0)
    cost_usd: float = 0.0
    error: str | None = None
    content: tuple[str, str] | None = None


def start(mode: Literal["auto", "on", "off"], *, content: bool = False) -> Callable[[], None]:
    """Begin to trace, if that is wanted. While it goes on, a second call changes nothing.

    Args:
        mode: `auto` traces when one of `ENDPOINTS` is set.
        content: whether messages, tools' arguments and results go into the spans.

    Returns:
        Ends what this call has begun; it blocks for a moment while the last spans are sent.

    Raises:
        ConfigurationError: tracing is to be on, and OpenTelemetry is not installed.
    """
    global _spans
    if _spans is not None or not _is_wanted(mode):
        return lambda: None
    try:
        from . import spans
    except ImportError as error:
        hint = "Install it: pip install 'netra[otel]'."
        if mode == "on":
            raise ConfigurationError("Tracing needs OpenTelemetry, which is not installed.", hint=hint) from error
        log.warning("tracing_not_installed", hint=hint)
        return lambda: None
    mine = _spans = spans.Spans(content=content)

    def stop() -> None:
        global _spans
        if _spans is mine:
            _spans = None
            mine.shut_down()

    return stop


def _is_wanted(mode: str) -> bool:
    if mode == "off" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if mode == "on":
        return True
    if os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(os.environ.get(name, "").strip() for name in ENDPOINTS)


def ids() -> dict[str, str] | None:
    """The present span, for log lines: `trace_id` and `span_id` in hexadecimal; None outside of one."""
    return None if _spans is None else _spans.ids()


def sending(run_id: str) -> AbstractContextManager[Sending | None]:
    """Around the storing of a message that makes a run of this id. No span is sent unless `Sending.stored` is told."""
    return _NOTHING if _spans is None else _spans.sending(run_id)


def attempt(run_id: str, number: int) -> AbstractContextManager[object]:
    """Around everything a process does for one attempt at a run, 0 for one that never began. `ended` sends its span."""
    return _NOTHING if _spans is None else _spans.attempt(run_id, number)


def step(agent: str, name: str) -> AbstractContextManager[Traced | None]:
    """Around a step that people do not see, while it is carried out."""
    if _spans is None:
        return _NOTHING
    return _spans.open(f"step {name[:NAME_CHARS]}", {"gen_ai.agent.name": agent, "netra.step.name": name[:NAME_CHARS]})


def tool(agent: str, name: str, call_id: str, arguments: Mapping[str, Any]) -> AbstractContextManager[Traced | None]:
    """Around a tool's call, while it is made."""
    if _spans is None:
        return _NOTHING
    about = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name[:NAME_CHARS],
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": call_id,
        "gen_ai.agent.name": agent,
    }
    return _spans.open(f"execute_tool {name[:NAME_CHARS]}", about, arguments=arguments)


def chat(provider: str, model: str, host: str | None) -> AbstractContextManager[Traced | None]:
    """Around a request to a model. `host` is the server that is asked, with its port."""
    if _spans is None:
        return _NOTHING
    about: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
    }
    name, _, port = (host or "").rpartition(":")
    if name and port.isdecimal():
        about |= {"server.address": name.strip("[]"), "server.port": int(port)}
    return _spans.open(f"chat {model[:NAME_CHARS]}", about, calls=True)


def database(use: str, system: str) -> AbstractContextManager[object]:
    """Around one use of the database. Only what a run or a message asks leaves a span."""
    return _NOTHING if _spans is None else _spans.database(use, system)


def ended(end: TracedEnd) -> None:
    """This process has stored the end of a run: send the spans of its message and of its attempts."""
    if _spans is not None:
        _spans.ended(end)
