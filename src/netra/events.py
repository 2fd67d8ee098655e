"""The vocabulary of the wire: every event a thread log holds and every frame a socket carries.

Each type is defined once, here, as a `msgspec.Struct`; the JSON Schema and the page's TypeScript types are
generated from these classes. Whoever does the work builds an event, `netra.log` stores it and gives it its place
(`seq`, `prev`), and the doors in `netra.gateway` only pass the bytes on.

A stored event is the JSON of one of the `Event` types without `seq` and `prev`: those two are known only when the
event is appended (`seq`) or read (`prev`), and `place` puts them in front of the stored bytes without decoding them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

PROTOCOL = "netra.v1"
"""The WebSocket subprotocol, and the version of everything in this module."""

RunStatus = Literal["succeeded", "failed", "cancelled", "timed_out", "stalled", "died"]
"""How a run ended. Each run ends exactly once."""

Timestamp = Annotated[str, Meta(description="RFC 3339, UTC, milliseconds", examples=["2026-01-02T03:04:05.678Z"])]
Seq = Annotated[int, Meta(ge=0, description="Position in the thread log, from 1; 0 in an event not yet placed")]
Count = Annotated[int, Meta(ge=0)]


class Attachment(Struct, frozen=True, kw_only=True):
    """A file that came with a message."""

    id: str
    name: str
    size: Annotated[int, Meta(ge=0, description="Bytes")]
    media_type: str


class Usage(Struct, frozen=True, kw_only=True):
    """What a run spent on models. All zero for an agent that called none."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_usd: float = 0.0


class Failure(Struct, frozen=True, kw_only=True):
    """Why a run or a tool failed: a stable code for programs, a message for people."""

    code: str
    message: str


class BlobRef(Struct, frozen=True, kw_only=True):
    """Stands in an event for a value larger than 64 KiB; its bytes are at `GET /api/blobs/{id}`."""

    blob: str = msgspec.field(name="$blob")
    size: Annotated[int, Meta(ge=0, description="Bytes")]


class Event(Struct, kw_only=True, frozen=True, tag_field="type"):
    """What every event carries."""

    seq: Seq = 0
    prev: Annotated[int, Meta(ge=0, description="The seq of the nearest earlier event still in the log, or 0")] = 0
    event_id: str
    thread_id: str
    run_id: str | None
    user_id: str
    agent_name: str | None
    timestamp: Timestamp


class UserMessage(Event, frozen=True, kw_only=True, tag="user_message"):
    """The user's turn is stored."""

    message_id: str
    content: str
    attachments: list[Attachment] = []


class AgentStarted(Event, frozen=True, kw_only=True, tag="agent_started"):
    """A worker has begun the run."""

    status: Literal["starting"] = "starting"
    message: str
    attempt: Count = 1
    limits: dict[str, float] = {}


class AgentThinking(Event, frozen=True, kw_only=True, tag="agent_thinking"):
    """A step of reasoning, as text for people."""

    step_number: Count
    reasoning: str


class TextDelta(Event, frozen=True, kw_only=True, tag="text_delta"):
    """A piece of the streamed answer. Removed from the log when the run ends: `final_response` replaces it."""

    message_id: str
    attempt: Count
    offset: Annotated[int, Meta(ge=0, description="Characters of the answer before this piece")]
    text: str


class ToolExecuting(Event, frozen=True, kw_only=True, tag="tool_executing"):
    """A tool is about to run."""

    tool_call_id: str
    tool_name: str
    parameters: Annotated[dict[str, Any], Meta(description="Or a BlobRef")]
    tool_purpose: str | None = None


class ToolCompleted(Event, frozen=True, kw_only=True, tag="tool_completed"):
    """A tool has run."""

    tool_call_id: str
    tool_name: str
    success: bool
    results: Any = None
    error: Failure | None = None
    duration_ms: Count


class ApprovalRequested(Event, frozen=True, kw_only=True, tag="approval_requested"):
    """The run waits for a person's decision."""

    approval_id: str
    tool_call_id: str | None
    prompt: str
    schema: dict[str, Any] | None = None
    expires_at: Timestamp
    default: str = "denied"


class ApprovalResolved(Event, frozen=True, kw_only=True, tag="approval_resolved"):
    """The decision the run waited for."""

    approval_id: str
    decision: str
    payload: Any = None
    by: Annotated[str, Meta(description="A user id, or `timeout`")]


class AgentCompleted(Event, frozen=True, kw_only=True, tag="agent_completed"):
    """The end of a run, once."""

    status: RunStatus
    final_response: str | BlobRef
    result: Any = None
    error: Failure | None = None
    duration_ms: Count
    usage: Usage = Usage()


ThreadEvent = (
    UserMessage
    | AgentStarted
    | AgentThinking
    | TextDelta
    | ToolExecuting
    | ToolCompleted
    | ApprovalRequested
    | ApprovalResolved
    | AgentCompleted
)
"""Everything a thread log can hold."""


# Frames from the server that are not events of a log.


class User(Struct, frozen=True, kw_only=True):
    """The person behind a connection."""

    id: str
    email: str
    name: str
    roles: list[str]


class Limits(Struct, frozen=True, kw_only=True):
    """What a client may send."""

    message_bytes: int
    content_chars: int
    file_bytes: int
    attachments: int
    runs_running: int
    runs_queued: int


class ConnectionEstablished(Struct, frozen=True, kw_only=True, tag_field="type", tag="connection_established"):
    """The first frame of every connection."""

    connection_id: str
    user: User
    protocol: str
    heartbeat_seconds: float
    server_time: Timestamp
    limits: Limits


class Ack(Struct, frozen=True, kw_only=True, tag_field="type", tag="ack", omit_defaults=True):
    """A command was accepted and what it caused is stored."""

    id: str | None = None
    thread_id: str | None = None
    run_id: str | None = None
    message_id: str | None = None
    seq: int | None = None


class Live(Struct, frozen=True, kw_only=True, tag_field="type", tag="live"):
    """The log has been replayed up to `seq`; what follows happens now."""

    thread_id: str
    seq: int


class ThreadChanged(Struct, frozen=True, kw_only=True, tag_field="type", tag="thread_changed"):
    """A thread of this user was created, renamed, deleted, or has a new event at its head."""

    id: str
    title: str
    last_seq: int
    running: bool
    updated_at: Timestamp
    deleted: bool = False


class Resync(Struct, frozen=True, kw_only=True, tag_field="type", tag="resync"):
    """This connection fell behind and its subscription ended; subscribe again from `after`.

    An `after` below the one the reader asked for says that the log was restored from a backup and is shorter: the
    reader forgets the thread and reads it from 0.
    """

    thread_id: str
    after: int


class ErrorFrame(Struct, frozen=True, kw_only=True, tag_field="type", tag="error", omit_defaults=True):
    """A command could not be carried out. `id` and `thread_id` repeat the command's; a conflict has `missed`."""

    code: str
    message: str
    hint: str | None = None
    id: str | None = None
    thread_id: str | None = None
    field: str | None = None
    missed: list[ThreadEvent] | None = None
    retry_after_seconds: float | None = None


class QualityFinding(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with an answer."""

    kind: Annotated[str, Meta(description="failed, empty, truncated, repeated, same_as_before or contradicts_tools")]
    detail: str


class QualityPoint(Struct, frozen=True, kw_only=True):
    """An hour or a day of an agent's answers."""

    start: Timestamp
    checked: Count
    score: Annotated[float | None, Meta(description="Mean, 0 to 100; null without a check")]
    failed: Count
    thumbs_up: Count
    thumbs_down: Count


class AgentQuality(Struct, frozen=True, kw_only=True):
    """How good an agent's answers were, by the automatic checks and by what people said."""

    agent: str
    checked: Annotated[int, Meta(ge=0, description="Answers that were checked; runs that were cancelled are not")]
    score: Annotated[float | None, Meta(description="Mean, 0 to 100; null without a check")]
    change: Annotated[
        float | None, Meta(description="Mean of the period's second half less that of its first; null without one")
    ]
    failed_share: Annotated[float | None, Meta(description="Of the checked runs, 0 to 1")]
    thumbs_up: Count
    thumbs_down: Count
    comments: Annotated[int, Meta(ge=0, description="Thumbs that came with words")]
    findings: Annotated[dict[str, int], Meta(description="Answers by kind of finding")]
    points: Annotated[list[QualityPoint], Meta(description="Those with anything in them, oldest first")]


class QualityMetrics(Struct, frozen=True, kw_only=True, tag_field="type", tag="quality_metrics"):
    """The answer to `get_quality_metrics`: of the caller's own runs; for administrators, of everybody's."""

    id: str | None
    everybody: bool
    days: int
    step: Literal["hour", "day"]
    agents: list[AgentQuality]


class QualityAlert(Struct, frozen=True, kw_only=True, tag_field="type", tag="quality_alert", omit_defaults=True):
    """To who subscribed: something is wrong with an answer of theirs; to administrators also: an agent got worse."""

    alert: Literal["finding", "dropped", "recovered"]
    agent: str
    summary: str
    score: Annotated[float, Meta(description="Of the answer, or the mean of the agent's last ones")]
    before: Annotated[float | None, Meta(description="The agent's mean before it got worse")] = None
    run_id: str | None = None
    thread_id: str | None = None
    findings: list[QualityFinding] = []


class ContentValidation(Struct, frozen=True, kw_only=True, tag_field="type", tag="content_validation"):
    """The answer to `validate_content`."""

    id: str | None
    score: Annotated[int, Meta(ge=0, le=100)]
    findings: list[QualityFinding]


class QualityReport(Struct, frozen=True, kw_only=True, tag_field="type", tag="quality_report"):
    """The answer to `generate_quality_report`: of the caller's own runs; for administrators, of everybody's."""

    id: str | None
    everybody: bool
    days: int
    made_at: Timestamp
    agents: list[AgentQuality]
    markdown: str


class OperationsTile(Struct, frozen=True, kw_only=True):
    """A figure of the dashboard."""

    name: str
    value: float | None
    of: Annotated[float | None, Meta(description="The most it can be")] = None
    word: Literal["ok", "high", "full", "alert"] = "ok"


class LiveExecution(Struct, frozen=True, kw_only=True):
    """An execution of this process that has not ended."""

    id: str
    user_id: str
    thread_id: str
    agent: str
    state: str
    phase: str
    attempt: int
    created_at: Timestamp
    started_at: Timestamp | None
    worked_seconds: float
    heartbeat_age_seconds: float | None
    progress_age_seconds: float | None
    paused: Annotated[bool, Meta(description="A person is to decide")]


class OpenAlert(Struct, frozen=True, kw_only=True):
    """An incident that is not over."""

    id: str
    rule: str
    key: str
    severity: Literal["info", "warning", "critical"]
    summary: str
    opened_at: Timestamp
    acknowledged: bool


class Operations(Struct, frozen=True, kw_only=True, tag_field="type", tag="operations"):
    """What goes on on the server at this moment, for administrators who watch."""

    at: Timestamp
    tiles: list[OperationsTile]
    values: Annotated[
        dict[str, float | None], Meta(description="By series of the history; of the running step, this process only")
    ]
    executions: Annotated[list[LiveExecution], Meta(description="The oldest first")]
    left_out: Annotated[int, Meta(description="Executions that are not in the list")]
    alerts: list[OpenAlert]


class Draining(Struct, frozen=True, kw_only=True, tag_field="type", tag="draining"):
    """The server is going away; reconnect and resume after the given time."""

    retry_after_ms: int


class Pong(Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to `ping`."""

    server_time: Timestamp


ServerFrame = (
    ConnectionEstablished
    | Ack
    | Live
    | ThreadChanged
    | Resync
    | ErrorFrame
    | QualityMetrics
    | QualityAlert
    | ContentValidation
    | QualityReport
    | Operations
    | Draining
    | Pong
)


# Commands from the client.

CommandId = Annotated[str, Meta(min_length=1, max_length=128, description="Idempotency key, chosen by the client")]


class SendMessage(Struct, frozen=True, kw_only=True, tag_field="type", tag="user_message"):
    """Store the user's turn and start a run. The same `id` again gives the same answer and no second run."""

    id: CommandId
    content: str
    thread_id: str | None = None
    agent: str | None = None
    attachments: list[str] = []
    base_seq: Count | None = None


class Subscribe(Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribe"):
    """Send the events of a thread after `after`, then `live`, then events as they happen."""

    thread_id: str
    after: Count = 0


class Unsubscribe(Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribe"):
    """Stop sending the events of a thread."""

    thread_id: str


class CancelRun(Struct, frozen=True, kw_only=True, tag_field="type", tag="cancel_run"):
    """End a run."""

    run_id: str


class ResolveApproval(Struct, frozen=True, kw_only=True, tag_field="type", tag="resolve_approval"):
    """Answer what a run asked."""

    approval_id: str
    decision: str
    payload: Any = None


RequestId = Annotated[str, Meta(min_length=1, max_length=128, description="Repeated in the answer")]
Days = Annotated[int, Meta(ge=1, le=90, description="How far back")]


class GetQualityMetrics(Struct, frozen=True, kw_only=True, tag_field="type", tag="get_quality_metrics"):
    """How good answers were over time."""

    id: RequestId | None = None
    agent: str | None = None
    days: Days = 7


class SubscribeQualityAlerts(Struct, frozen=True, kw_only=True, tag_field="type", tag="subscribe_quality_alerts"):
    """Send `quality_alert` to this connection from now on, or no more."""

    id: RequestId | None = None
    on: bool = True


class ToolResult(Struct, frozen=True, kw_only=True):
    """What a tool gave, for figures to be held against it."""

    name: str
    result: Any


class ValidateContent(Struct, frozen=True, kw_only=True, tag_field="type", tag="validate_content"):
    """Check a text as answers are checked. Nothing of it is kept."""

    id: RequestId | None = None
    content: str
    kind: Literal["markdown", "plain"] = "markdown"
    tool_results: list[ToolResult] = []
    previous: Annotated[str | None, Meta(description="The answer to another question before it")] = None


class GenerateQualityReport(Struct, frozen=True, kw_only=True, tag_field="type", tag="generate_quality_report"):
    """Write a report on the answers of the last days."""

    id: RequestId | None = None
    days: Days = 7


class WatchOperations(Struct, frozen=True, kw_only=True, tag_field="type", tag="watch_operations"):
    """Send `operations` to this connection once a second from now on, or no more. Only administrators may."""

    id: RequestId | None = None
    on: bool = True


class Ping(Struct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """Keep the connection alive."""


Command = (
    SendMessage
    | Subscribe
    | Unsubscribe
    | CancelRun
    | ResolveApproval
    | GetQualityMetrics
    | SubscribeQualityAlerts
    | ValidateContent
    | GenerateQualityReport
    | WatchOperations
    | Ping
)


_encoder = msgspec.json.Encoder()
_UNPLACED = b'"seq":0,"prev":0,'


def encode(frame: Event | ServerFrame) -> bytes:
    """The JSON of an event or a frame."""
    return _encoder.encode(frame)


def place(body: bytes, seq: int, prev: int) -> bytes:
    """Put `seq` and `prev` in front of an event stored without them (`body`, a JSON object)."""
    return b'{"seq":%d,"prev":%d,' % (seq, prev) + body[1:]


def encode_unplaced(event: Event) -> bytes:
    """The JSON of an event as it is stored: without `seq` and `prev`, whatever they are."""
    if event.seq or event.prev:
        event = msgspec.structs.replace(event, seq=0, prev=0)
    return _encoder.encode(event).replace(_UNPLACED, b"", 1)


_decoder: msgspec.json.Decoder[ThreadEvent] = msgspec.json.Decoder(ThreadEvent)


def decode(data: bytes) -> ThreadEvent:
    """An event from its JSON.

    Raises:
        msgspec.ValidationError: the JSON is not one of `ThreadEvent`.
    """
    return _decoder.decode(data)
