"""How traces are made and sent: see `netra.monitoring.tracing`, the only one to import this, and only when it traces.

Nothing here may fail a run: what cannot be sent is dropped by OpenTelemetry's own bounded queue, and logged there.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes

from netra import __version__
from netra.ids import made_at

if TYPE_CHECKING:
    from types import TracebackType

    from .tracing import TracedEnd

log = structlog.get_logger(__name__)

STOP_SECONDS = 1.0
"""How long the last spans may take to be sent when the server stops."""
DATABASE_SPANS = 1_000
"""Of one attempt, or one message; a run that streams for hours must not flood whoever collects traces."""
OPEN_SPANS = 10_000
"""Spans whose children wait for them, and children that wait for one of them."""
CONTENT_CHARS = 16_384
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_LEFT = contexts.create_key("netra database spans left")


class Spans:
    """Everything that is there while tracing is on.

    Args:
        content: whether messages, tools' arguments and results are sent.
    """

    def __init__(self, *, content: bool) -> None:
        self.content = content
        self._ids = _Ids()
        self.keeper = _Keeper(BatchSpanProcessor(OTLPSpanExporter()))
        self._provider = TracerProvider(resource=_resource(), id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(self.keeper)
        self._chosen = self._provider.sampler  # as OTEL_TRACES_SAMPLER says
        self._provider.sampler = _OfRuns(self._chosen, self._ids)
        self.tracer = self._provider.get_tracer("netra", __version__)
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            trace.set_tracer_provider(self._provider)  # so an agent's own libraries add to the same traces
        asked = next((found for name in _PROTOCOLS if (found := os.environ.get(name))), _PROTOCOL)
        if asked != _PROTOCOL:
            log.warning("tracing_protocol", asked=asked, used=_PROTOCOL)

    def shut_down(self) -> None:
        """Send what waits; a collector that does not answer is not waited for."""
        sender = threading.Thread(target=self._provider.shutdown, name="netra-tracing-close", daemon=True)
        sender.start()
        sender.join(STOP_SECONDS)

    def ids(self) -> dict[str, str] | None:
        """See `tracing.ids`."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid or not found.trace_flags.sampled:
            return None
        return {"trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"}

    def sending(self, run_id: str) -> Sending:
        """See `tracing.sending`."""
        return Sending(self, run_id, self._under(self._place(run_id, "message")))

    def attempt(self, run_id: str, number: int) -> AbstractContextManager[object]:
        """See `tracing.attempt`."""
        return _Attached(self._under(self._place(run_id, f"attempt {number}" if number else "message")))

    def open(
        self,
        name: str,
        about: Mapping[str, str | int],
        *,
        arguments: Mapping[str, Any] | None = None,
        calls: bool = False,
    ) -> OpenSpan:
        """A span below the present one, for as long as the `with` block takes.

        Args:
            arguments: a tool's, which are content.
            calls: whether another server is asked.
        """
        if arguments is not None and self.content:
            about = {**about, "gen_ai.tool.call.arguments": _shown(arguments)}
        return OpenSpan(self, name, about, SpanKind.CLIENT if calls else SpanKind.INTERNAL)

    def database(self, use: str, system: str) -> AbstractContextManager[object]:
        """See `tracing.database`."""
        left = contexts.get_value(_LEFT)
        if not isinstance(left, list) or left[0] <= 0:
            return nullcontext()
        left[0] -= 1
        about = {"db.system.name": system, "netra.database.use": use}
        return OpenSpan(self, f"database {use}", about, SpanKind.CLIENT, is_present=False)

    def ended(self, end: TracedEnd) -> None:
        """See `tracing.ended`. Of attempts before the last only bounds are known: the run's beginning, and its own."""
        now = time.time_ns()
        began = now - round(end.seconds * 1e9)
        last = began if end.last_seconds is None else max(began, now - round(end.last_seconds * 1e9))
        common: dict[str, Any] = {
            "gen_ai.conversation.id": end.thread_id,
            "gen_ai.agent.name": end.agent,
            "user.id": end.user_id,
            "netra.run.id": end.run_id,
        }
        outcome: dict[str, Any] = {
            "gen_ai.usage.input_tokens": end.tokens[0],
            "gen_ai.usage.output_tokens": end.tokens[1],
            "netra.cost_usd": end.cost_usd,
            "netra.run.status": end.status,
        }
        if end.status != "succeeded":
            outcome["error.type"] = end.error or end.status
        message = self._place(end.run_id, "message")
        about = common | outcome | {"netra.run.attempts": end.attempts}
        sent = made_at(end.run_id)
        first = began if sent is None else min(began, round(sent * 1e9))
        self._send("message", message, None, (first, now), about)
        before: SpanContext | None = None
        for number in range(1, end.attempts + 1):
            own = self._place(end.run_id, f"attempt {number}")
            about = common | {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.provider.name": "netra",
                "netra.attempt": number,
            }
            times = (began, last)
            if number == end.attempts:
                times = (last, now)
                about |= outcome | self._said(end)
            else:
                about["netra.attempt.interrupted"] = True
            self._send(f"invoke_agent {end.agent}", own, message, times, about, before=before)
            before = own

    def _said(self, end: TracedEnd) -> dict[str, str]:
        if not self.content or end.content is None:
            return {}
        return {
            f"gen_ai.{key}.messages": json.dumps([{"role": role, "parts": [{"type": "text", "content": _shown(text)}]}])
            for key, role, text in zip(("input", "output"), ("user", "assistant"), end.content, strict=True)
        }

    def _send(
        self,
        name: str,
        own: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        about: dict[str, Any],
        *,
        before: SpanContext | None = None,
    ) -> None:
        links = [] if before is None else [trace.Link(before, {"netra.link": "previous attempt"})]
        above = contexts.Context() if parent is None else self._under(parent)
        kind = SpanKind.SERVER if parent is None else SpanKind.INTERNAL
        with self._ids.exactly(own):
            span = self.tracer.start_span(name, above, kind, about, links, times[0])
        if "error.type" in about:
            span.set_status(StatusCode.ERROR)
        span.end(max(times))

    def _place(self, run_id: str, part: str) -> SpanContext:
        """A span of a run that is sent at the run's end, to be a parent until then."""
        trace_id = _number(f"netra trace {run_id}", 16)
        # Asked as for a trace's first span, so that every process comes to the same answer.
        sampled = self._chosen.should_sample(contexts.Context(), trace_id, "message", SpanKind.SERVER).decision
        flags = TraceFlags(TraceFlags.SAMPLED if sampled is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        return SpanContext(trace_id, _number(f"netra span {run_id} {part}", 8), is_remote=False, trace_flags=flags)

    def _under(self, parent: SpanContext) -> contexts.Context:
        empty = contexts.set_value(_LEFT, [DATABASE_SPANS], contexts.Context())
        return trace.set_span_in_context(trace.NonRecordingSpan(parent), empty)


class _Attached:
    """Makes a context the present one."""

    def __init__(self, context: contexts.Context) -> None:
        self._context = context
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = contexts.attach(self._context)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        contexts.detach(self._token)


class OpenSpan:
    """A span that begins and ends with a `with` block; see `Spans.open`."""

    def __init__(
        self, spans: Spans, name: str, about: Mapping[str, str | int], kind: SpanKind, *, is_present: bool = True
    ) -> None:
        self._spans = spans
        self._name = name
        self._about = about
        self._kind = kind
        self._is_present = is_present
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Any = None

    def __enter__(self) -> OpenSpan:
        self._span = self._spans.tracer.start_span(self._name, kind=self._kind, attributes=self._about)
        if self._is_present:
            self._token = contexts.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            contexts.detach(self._token)
        if error is not None:
            self._span.set_attribute("error.type", str(getattr(error, "code", None) or type(error).__qualname__))
            # What an exception says may quote the conversation.
            self._span.set_status(StatusCode.ERROR, _shown(str(error)) if self._spans.content else None)
        self._span.end()

    def result(self, value: object) -> None:
        """What a tool gave, which is content."""
        if self._spans.content:
            self._span.set_attribute("gen_ai.tool.call.result", _shown(value))

    def answered(self, model: str | None, tokens: tuple[int, int], finish: str | None) -> None:
        """What a model says of its answer."""
        self._span.set_attribute("gen_ai.usage.input_tokens", tokens[0])
        self._span.set_attribute("gen_ai.usage.output_tokens", tokens[1])
        if model:
            self._span.set_attribute("gen_ai.response.model", model)
        if finish:
            self._span.set_attribute("gen_ai.response.finish_reasons", [finish])


class Sending:
    """See `tracing.sending`."""

    def __init__(self, spans: Spans, run_id: str, above: contexts.Context) -> None:
        self._spans = spans
        self._run_id = run_id
        self._above = above
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Any = None
        self._stored = False

    def __enter__(self) -> Sending:
        about = {"netra.run.id": self._run_id}
        self._span = self._spans.tracer.start_span("send message", self._above, SpanKind.PRODUCER, about)
        self._token = contexts.attach(trace.set_span_in_context(self._span, self._above))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        contexts.detach(self._token)
        if self._stored and error is None:
            self._span.end()
        else:
            self._spans.keeper.forget(self._span.get_span_context().span_id)

    def stored(self, run_id: str, thread_id: str) -> None:
        """The message is stored, with this run. Another one than announced is that of the same message sent before."""
        self._stored = run_id == self._run_id
        self._span.set_attribute("gen_ai.conversation.id", thread_id)


class _Ids(RandomIdGenerator):
    """Random ids, or exactly those asked for."""

    def __init__(self) -> None:
        self._asked = threading.local()

    def exactly(self, wanted: SpanContext) -> AbstractContextManager[object]:
        """Give the next span of this thread these ids."""
        return _Asked(self._asked, wanted)

    @property
    def asked(self) -> bool:
        """Whether this thread begins a span whose ids were asked for."""
        return getattr(self._asked, "wanted", None) is not None

    def generate_trace_id(self) -> int:
        wanted: SpanContext | None = getattr(self._asked, "wanted", None)
        return super().generate_trace_id() if wanted is None else wanted.trace_id

    def generate_span_id(self) -> int:
        wanted: SpanContext | None = getattr(self._asked, "wanted", None)
        return super().generate_span_id() if wanted is None else wanted.span_id


class _OfRuns(Sampler):
    """Leaves out what begins a trace and is no run's message: frameworks trace every request, down to health checks.

    Args:
        chosen: decides about the rest.
        ids: knows whose span is begun.
    """

    def __init__(self, chosen: Sampler, ids: _Ids) -> None:
        self._chosen = chosen
        self._ids = ids

    def should_sample(
        self,
        parent_context: contexts.Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        above = trace.get_current_span(parent_context).get_span_context()
        if not above.is_valid and not self._ids.asked:
            return SamplingResult(Decision.DROP)
        return self._chosen.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"OfRuns({self._chosen.get_description()})"


class _Asked:
    def __init__(self, asked: threading.local, wanted: SpanContext) -> None:
        self._asked = asked
        self._wanted = wanted

    def __enter__(self) -> None:
        self._asked.wanted = self._wanted

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._asked.wanted = None


class _Keeper(SpanProcessor):
    """Hands a span on when its parent was handed on, so that a crash between the two leaves no orphan.

    The spans of messages and attempts are never open here, so what is directly below them goes at once.
    """

    def __init__(self, sender: SpanProcessor) -> None:
        self._sender = sender
        self._lock = threading.Lock()
        self._open: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def on_start(self, span: Span, parent_context: contexts.Context | None = None) -> None:
        with self._lock:
            self._open[span.get_span_context().span_id] = []
            if len(self._open) > OPEN_SPANS:  # somebody opens spans and never ends them
                self._open.popitem(last=False)

    def on_end(self, span: ReadableSpan) -> None:
        ready = [span]
        with self._lock:
            waiting = None if span.parent is None else self._open.get(span.parent.span_id)
            if waiting is not None and len(waiting) < OPEN_SPANS:
                waiting.append(span)
                return
            if waiting is not None:
                self._drop(_id(span))
                return
            for each in ready:  # grows while it is walked: parents first
                ready.extend(self._open.pop(_id(each), ()))
        for each in ready:
            self._sender.on_end(each)

    def forget(self, span_id: int) -> None:
        """A span is not sent after all, nor what is below it."""
        with self._lock:
            self._drop(span_id)

    def _drop(self, span_id: int) -> None:
        gone = [span_id]
        for each in gone:
            gone.extend(_id(child) for child in self._open.pop(each, ()))

    def shutdown(self) -> None:
        self._sender.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._sender.force_flush(timeout_millis)


def _id(span: ReadableSpan) -> int:
    found = span.get_span_context()
    return 0 if found is None else found.span_id


def _number(of: str, size: int) -> int:
    """An id that every process derives alike, and as good as a random one for samplers that look at it."""
    return int.from_bytes(hashlib.sha256(of.encode()).digest()[:size], "big") or 1


def _resource() -> Resource:
    about = {"service.version": __version__}
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not named:
        about["service.name"] = "netra"
    return Resource.create(about)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= CONTENT_CHARS else text[:CONTENT_CHARS] + "…"
