"""`MessageRouter`: one table, message type to handler; one order of dispatch; every message is answered.

A message is decoded into the type its handler was registered with, so handlers never see bad input. What goes wrong
becomes an `error` frame: an unknown type, a wrong field, a handler that raises or takes too long. No failure of one
handler reaches another, and none closes the connection. Inbound only: what a server sends on its own account goes
through `netra.gateway.socket.hub`, under other names (`subscribe`, `notify`, `send`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from prometheus_client import Histogram

from netra.errors import NetraError, Unavailable
from netra.events import ErrorFrame, ServerFrame
from netra.monitoring.metrics import metrics
from netra.text import JSON_DEPTH, too_deep

C = TypeVar("C")
"""What a handler is told about the sender."""
M = TypeVar("M", bound=msgspec.Struct)

log = structlog.get_logger(__name__)

DEADLINE_SECONDS = 30.0


class _Envelope(msgspec.Struct):
    type: str
    id: Any = None


class _Bad(Exception):
    """The message cannot be dispatched; carries the answer."""

    def __init__(self, answer: ErrorFrame) -> None:
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Route(Generic[C]):
    decoder: msgspec.json.Decoder[Any]
    handler: Callable[[C, Any], Awaitable[ServerFrame | None]]
    deadline: float
    seconds: Histogram


class MessageRouter(Generic[C]):
    """See the module."""

    def __init__(self) -> None:
        self._routes: dict[str, _Route[C]] = {}
        self._envelope = msgspec.json.Decoder(_Envelope)

    def register(
        self,
        kind: type[M],
        handler: Callable[[C, M], Awaitable[ServerFrame | None]],
        *,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        """Let `handler` answer messages of a type.

        Args:
            kind: a Struct with a tag, which is the message's `type`.
            handler: gets the sender and the message; returns the answer, or None when it has sent its own.
            deadline: seconds after which it is cancelled and an error is answered.

        Raises:
            ValueError: the type has a handler already, or no tag.
        """
        tag = kind.__struct_config__.tag
        if not isinstance(tag, str):
            raise ValueError(f"{kind.__name__} has no tag to dispatch on")
        if tag in self._routes:
            raise ValueError(f"messages of type {tag!r} have a handler already")
        self._routes[tag] = _Route(msgspec.json.Decoder(kind), handler, deadline, metrics.command_seconds.labels(tag))

    @property
    def types(self) -> tuple[str, ...]:
        """The message types there are handlers for."""
        return tuple(self._routes)

    async def dispatch(self, sender: C, data: str | bytes) -> ServerFrame | None:
        """Decode a message, let its handler work, and return what to answer. Never raises, save for cancellation."""
        try:
            kind, command_id, route, message = self._decode(data)
        except _Bad as bad:
            metrics.commands.labels("unknown", "invalid").inc()
            return bad.answer
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(route.deadline):
                answer = await route.handler(sender, message)
        except TimeoutError:
            metrics.commands.labels(kind, "timeout").inc()
            log.error("command timed out", type=kind, seconds=route.deadline)
            late = Unavailable("The server took too long.", hint="Send it again with the same id.")
            return error_frame(late, command_id, message)
        except NetraError as error:
            metrics.commands.labels(kind, error.code).inc()
            return error_frame(error, command_id, message)
        except Exception:
            metrics.commands.labels(kind, "internal").inc()
            log.exception("command failed", type=kind)
            return ErrorFrame(
                code="internal", message="The server failed at this; the failure is logged.", id=command_id
            )
        finally:
            route.seconds.observe(time.perf_counter() - begun)
        metrics.commands.labels(kind, "ok").inc()
        return answer

    def _decode(self, data: str | bytes) -> tuple[str, str | None, _Route[C], Any]:
        try:
            envelope = self._envelope.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _Bad(
                ErrorFrame(
                    code="invalid_message",
                    message=f"This is not a message: {_plain(error)}.",
                    hint='Send a JSON object with a "type".',
                )
            ) from None
        command_id = envelope.id if isinstance(envelope.id, str) and len(envelope.id) <= 128 else None
        route = self._routes.get(envelope.type)
        if route is None:
            raise _Bad(
                ErrorFrame(
                    code="unknown_type",
                    message=f"There is no message type {envelope.type[:64]!r}.",
                    hint=f"Types: {', '.join(self._routes)}.",
                    id=command_id,
                )
            )
        try:
            message = route.decoder.decode(data)
            if _may_be_deep(data) and too_deep(msgspec.json.decode(data)):
                raise RecursionError
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            reason, _, path = _plain(error).partition(" - at `$.")
            raise _Bad(
                ErrorFrame(code="invalid_input", message=f"{reason}.", id=command_id, field=path.rstrip("`") or None)
            ) from None
        return envelope.type, command_id, route, message


def error_frame(error: NetraError, command_id: str | None = None, message: Any = None) -> ErrorFrame:
    """An error as a frame."""
    return ErrorFrame(
        code=error.code,
        message=error.message,
        hint=error.hint,
        id=command_id,
        thread_id=getattr(message, "thread_id", None),
        field=error.details.get("field"),
        missed=error.details.get("missed"),
        retry_after_seconds=error.details.get("retry_after_seconds"),
    )


def _may_be_deep(data: str | bytes) -> bool:
    """A cheap look that lets almost every message pass: there are no more levels than opening brackets."""
    if isinstance(data, str):
        return data.count("[") + data.count("{") > JSON_DEPTH
    return data.count(b"[") + data.count(b"{") > JSON_DEPTH


def _plain(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")
