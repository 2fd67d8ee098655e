"""The bodies and answers of the HTTP API, as pydantic models; OpenAPI is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from netra.chat import Run, StoredFile, Thread
from netra.clock import rfc3339

Moment = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str, when_used="json"), Field(description="RFC 3339, UTC")
]


class Body(BaseModel):
    """A request body. Unknown fields are refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")


class ThreadModel(BaseModel):
    id: str
    title: str
    agent: str | None = Field(description="Who answered last.")
    on_busy: Literal["queue", "reject"] = Field(description="What happens to a message sent while a run goes on.")
    created_at: Moment
    updated_at: Moment
    last_seq: int
    running: bool

    @classmethod
    def of(cls, thread: Thread) -> ThreadModel:
        return cls.model_validate(thread, from_attributes=True)


class ThreadList(BaseModel):
    items: list[ThreadModel]
    next_cursor: str | None


class ThreadBody(Body):
    title: str | None = None


class ThreadChange(Body):
    title: str | None = None
    on_busy: Literal["queue", "reject"] | None = None


class EventList(BaseModel):
    events: list[dict[str, Any]] = Field(description="Events as in the WebSocket protocol, oldest first.")
    last_seq: int


class MessageBody(Body):
    id: str = Field(min_length=1, max_length=128, description="Idempotency key, chosen by the client.")
    content: str
    agent: str | None = None
    attachments: list[str] = Field(default_factory=list, max_length=100)
    base_seq: int | None = Field(None, ge=0, le=2**53)


class SentModel(BaseModel):
    thread_id: str
    message_id: str
    run_id: str
    seq: int


class UsageModel(BaseModel):
    input_tokens: int
    output_tokens: int
    cost_usd: float


class RunModel(BaseModel):
    id: str
    thread_id: str
    agent: str
    state: str
    attempt: int
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    usage: UsageModel

    @classmethod
    def of(cls, run: Run) -> RunModel:
        return cls.model_validate(run, from_attributes=True)


class ApprovalBody(Body):
    decision: str = Field(min_length=1, max_length=64)
    payload: Any = None


class ApprovalModel(BaseModel):
    approval_id: str
    thread_id: str
    decision: str


class FileModel(BaseModel):
    id: str
    name: str
    size: int = Field(description="Bytes.")
    media_type: str
    thread_id: str | None = Field(description="Where it is attached; null until a message takes it.")
    created_at: Moment

    @classmethod
    def of(cls, stored: StoredFile) -> FileModel:
        return cls.model_validate(stored, from_attributes=True)


class FileList(BaseModel):
    items: list[FileModel]
    next_cursor: str | None


class AgentModel(BaseModel):
    name: str
    title: str
    description: str
    examples: list[str]
    accepts: list[str] = Field(description="Endings of the files it can read.")
    sample: bool = Field(description="Whether GET /api/agents/{name}/sample has a file to try it with.")


class AgentList(BaseModel):
    items: list[AgentModel]
    default: str


class Health(BaseModel):
    status: Literal["ok", "failing"]
    version: str
    parts: dict[str, str] = Field(description="Part of the server: ok, or what is wrong with it.")
