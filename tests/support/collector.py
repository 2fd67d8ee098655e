"""A real OTLP/HTTP receiver for traces, in this process: what a server under test sends is decoded and kept."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

Value = str | int | float | bool | list[object] | None


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    began: int
    ended: int
    about: dict[str, Value]
    failed: bool
    words: str
    links: tuple[str, ...]
    service: Value


class Collector:
    """Listens on a free port of 127.0.0.1 while its `with` block runs."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.wire = b""
        """Every body as it came, for what must not be in any of them."""
        self._news = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces", self.path
                collector._take(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a server send its traces here, soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_address[1]}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    def wait(self, wanted: Callable[[list[Received]], bool], timeout: float = 20) -> list[Received]:
        """The spans, once they are as wanted."""
        deadline = time.monotonic() + timeout
        with self._news:
            while not wanted(self.spans):
                assert self._news.wait(deadline - time.monotonic()), [(s.name, s.about) for s in self.spans]
            return list(self.spans)

    def _take(self, body: bytes) -> None:
        found = []
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {each.key: _value(each.value) for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                found += [
                    Received(
                        trace=span.trace_id.hex(),
                        id=span.span_id.hex(),
                        parent=span.parent_span_id.hex(),
                        name=span.name,
                        kind=span.kind,
                        began=span.start_time_unix_nano,
                        ended=span.end_time_unix_nano,
                        about={each.key: _value(each.value) for each in span.attributes},
                        failed=span.status.code == 2,
                        words=span.status.message,
                        links=tuple(link.span_id.hex() for link in span.links),
                        service=about.get("service.name"),
                    )
                    for span in scope.spans
                ]
        with self._news:
            self.wire += body
            self.spans += found
            self._news.notify_all()


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    found: Value = getattr(value, kind)
    return found


def unbroken(spans: list[Received]) -> None:
    """Assert that these are exactly one trace: one beginning, every parent there, every span once, and ended."""
    assert len({span.trace for span in spans}) == 1, {span.trace for span in spans}
    ids = [span.id for span in spans]
    assert len(ids) == len(set(ids)), "a span was sent twice"
    assert [span.name for span in spans if not span.parent] == ["message"]
    orphans = [span.name for span in spans if span.parent and span.parent not in ids]
    assert not orphans, orphans
    assert all(span.ended >= span.began > 0 for span in spans)
