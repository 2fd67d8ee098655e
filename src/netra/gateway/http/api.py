"""The HTTP API over threads, messages, runs, approvals, files and agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.responses import FileResponse

from netra.agents import AgentSpec
from netra.chat import Approvals, Files, Messages, Runs, Threads
from netra.config import Settings
from netra.errors import InvalidInput, NotFound
from netra.identity import Principal
from netra.text import clean_id

from .body import JsonRoute, Upload
from .models import (
    AgentList,
    AgentModel,
    ApprovalBody,
    ApprovalModel,
    EventList,
    FileList,
    FileModel,
    MessageBody,
    RunModel,
    SentModel,
    ThreadBody,
    ThreadChange,
    ThreadList,
    ThreadModel,
)
from .problems import problems
from .sse import Streams

Require = Callable[..., Any]
Limit = Annotated[int, Query(ge=1, le=200)]
Seq = Annotated[int, Query(ge=0, le=2**53)]


def api_routes(
    *,
    require: Require,
    settings: Settings,
    agents: Mapping[str, AgentSpec],
    threads: Threads,
    messages: Messages,
    runs: Runs,
    approvals: Approvals,
    files: Files,
    streams: Streams,
    sample: Callable[[AgentSpec], Path],
) -> APIRouter:
    """The routes.

    Args:
        require: the dependency that gives the caller's Principal or refuses.
        agents: by name, the default first.
        streams: keeps the open event streams.
        sample: the file to try an agent with, made when it is first asked for.
    """
    router = APIRouter(prefix="/api", route_class=JsonRoute)
    signed_in = Depends(require)
    _agent_routes(router, signed_in, agents, sample)
    _thread_routes(router, signed_in, threads)
    _event_routes(router, signed_in, threads, streams)
    _message_routes(router, signed_in, messages)
    _run_routes(router, signed_in, runs, approvals)
    _file_routes(router, signed_in, files)
    _blob_routes(router, signed_in, threads)
    return router


def _agent_routes(
    router: APIRouter, signed_in: Any, agents: Mapping[str, AgentSpec], sample: Callable[[AgentSpec], Path]
) -> None:

    @router.get("/agents", responses=problems(401), tags=["agents"])
    async def list_agents(caller: Principal = signed_in) -> AgentList:
        """The agents there are."""
        items = [
            AgentModel(
                name=spec.name,
                title=spec.title,
                description=spec.description,
                examples=list(spec.examples),
                accepts=list(spec.accepts),
                sample=spec.sample is not None,
            )
            for spec in agents.values()
        ]
        return AgentList(items=items, default=items[0].name)

    @router.get("/agents/{name}/sample", responses=problems(401, 404), response_class=FileResponse, tags=["agents"])
    async def agent_sample(name: str, caller: Principal = signed_in) -> FileResponse:
        """A file to try the agent with."""
        spec = agents.get(name)
        if spec is None or spec.sample is None:
            raise NotFound("There is no sample for this agent.")
        path = await asyncio.to_thread(sample, spec)
        return FileResponse(path, filename=path.name)


def _thread_routes(router: APIRouter, signed_in: Any, threads: Threads) -> None:
    @router.get("/threads", responses=problems(401, 422), tags=["threads"])
    async def list_threads(
        caller: Principal = signed_in,
        q: Annotated[str | None, Query(description="Only threads that contain this text.")] = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> ThreadList:
        """The caller's threads, the most recently changed first."""
        found, more = await threads.list(caller.scope, query=q, limit=limit, cursor=cursor)
        return ThreadList(items=[ThreadModel.of(thread) for thread in found], next_cursor=more)

    @router.post("/threads", status_code=201, responses=problems(401, 403, 413, 422), tags=["threads"])
    async def create_thread(body: ThreadBody, caller: Principal = signed_in) -> ThreadModel:
        """A new, empty thread."""
        return ThreadModel.of(await threads.create(caller.scope, body.title))

    @router.get("/threads/{thread_id}", responses=problems(401, 404), tags=["threads"])
    async def get_thread(thread_id: str, caller: Principal = signed_in) -> ThreadModel:
        """One thread."""
        return ThreadModel.of(await threads.get(caller.scope, clean_id(thread_id)))

    @router.patch("/threads/{thread_id}", responses=problems(401, 403, 404, 413, 422), tags=["threads"])
    async def change_thread(thread_id: str, body: ThreadChange, caller: Principal = signed_in) -> ThreadModel:
        """Rename a thread, or say what happens to a message sent while a run goes on."""
        changed = await threads.update(caller.scope, clean_id(thread_id), title=body.title, on_busy=body.on_busy)
        return ThreadModel.of(changed)

    @router.delete("/threads/{thread_id}", status_code=204, responses=problems(401, 403, 404), tags=["threads"])
    async def delete_thread(thread_id: str, caller: Principal = signed_in) -> None:
        """Remove a thread and everything in it. What still runs is stopped."""
        await threads.delete(caller.scope, clean_id(thread_id))


def _event_routes(router: APIRouter, signed_in: Any, threads: Threads, streams: Streams) -> None:
    @router.get(
        "/threads/{thread_id}/events",
        response_model=EventList,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "A page, or the live stream."},
            **problems(401, 404, 422, 429),
        },
        tags=["threads"],
    )
    async def read_events(
        request: Request,
        thread_id: str,
        caller: Principal = signed_in,
        after: Seq = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Events of a thread after `after`. With `Accept: text/event-stream`, they go on as they happen."""
        thread_id = clean_id(thread_id)
        if "text/event-stream" in request.headers.get("accept", ""):
            if last_event_id is not None:
                if not last_event_id.isascii() or not last_event_id.isdigit() or len(last_event_id) > 15:
                    raise InvalidInput("Last-Event-ID is not a seq.", field="Last-Event-ID")
                after = int(last_event_id)
            head = (await threads.events(caller.scope, thread_id, after=after, limit=1)).last_seq
            events = await threads.follow(caller.scope, thread_id, after=after)
            return streams.response(caller, events, from_head=head if head < after else None)
        page = await threads.events(caller.scope, thread_id, after=after, limit=limit)
        body = b'{"events":[' + b",".join([wire for _, _, wire in page.events]) + b'],"last_seq":%d}' % page.last_seq
        return Response(body, media_type="application/json")


def _message_routes(router: APIRouter, signed_in: Any, messages: Messages) -> None:
    async def send(body: MessageBody, caller: Principal, thread_id: str | None) -> SentModel:
        sent = await messages.send(
            caller.scope,
            id=body.id,
            content=body.content,
            thread_id=thread_id,
            agent=body.agent,
            attachments=body.attachments,
            base_seq=body.base_seq,
        )
        return SentModel.model_validate(sent, from_attributes=True)

    @router.post("/messages", status_code=202, responses=problems(401, 403, 409, 413, 422, 429), tags=["messages"])
    async def start_thread(body: MessageBody, caller: Principal = signed_in) -> SentModel:
        """Send a message in a new thread. The same `id` again gives the same answer."""
        return await send(body, caller, None)

    @router.post(
        "/threads/{thread_id}/messages",
        status_code=202,
        responses=problems(401, 403, 404, 409, 413, 422, 429),
        tags=["messages"],
    )
    async def send_message(thread_id: str, body: MessageBody, caller: Principal = signed_in) -> SentModel:
        """Send a message. The same `id` again gives the same answer; a stale `base_seq` gives 409 with `missed`."""
        return await send(body, caller, clean_id(thread_id))


def _run_routes(router: APIRouter, signed_in: Any, runs: Runs, approvals: Approvals) -> None:
    @router.get("/runs/{run_id}", responses=problems(401, 404), tags=["runs"])
    async def get_run(run_id: str, caller: Principal = signed_in) -> RunModel:
        """One run."""
        return RunModel.of(await runs.get(caller.scope, clean_id(run_id)))

    @router.post("/runs/{run_id}/cancel", status_code=202, responses=problems(401, 403, 404), tags=["runs"])
    async def cancel_run(run_id: str, caller: Principal = signed_in) -> RunModel:
        """End a run. Its `agent_completed` follows at once."""
        run_id = clean_id(run_id)
        await runs.cancel(caller.scope, run_id)
        return RunModel.of(await runs.get(caller.scope, run_id))

    @router.post("/approvals/{approval_id}", responses=problems(401, 403, 404, 409, 413, 422), tags=["approvals"])
    async def resolve_approval(approval_id: str, body: ApprovalBody, caller: Principal = signed_in) -> ApprovalModel:
        """Answer what a run asked. The same answer again changes nothing."""
        thread_id = await approvals.resolve(caller.scope, clean_id(approval_id), body.decision, body.payload)
        return ApprovalModel(approval_id=approval_id, thread_id=thread_id, decision=body.decision)


def _file_routes(router: APIRouter, signed_in: Any, files: Files) -> None:
    @router.post(
        "/files",
        status_code=201,
        responses=problems(401, 403, 408, 413, 415, 422),
        tags=["files"],
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "multipart/form-data": {
                        "schema": {
                            "type": "object",
                            "required": ["file"],
                            "properties": {"file": {"type": "string", "format": "binary"}},
                        }
                    }
                },
            }
        },
    )
    async def upload_file(request: Request, caller: Principal = signed_in) -> FileModel:
        """Store a file, to be attached to a message within a day."""
        upload = Upload(request)
        stored = await files.store(caller.scope, await upload.name(), upload.pieces())
        return FileModel.of(stored)

    @router.get("/files", responses=problems(401, 422), tags=["files"])
    async def list_files(caller: Principal = signed_in, limit: Limit = 50, cursor: str | None = None) -> FileList:
        """The caller's files, the newest first."""
        found, more = await files.list(caller.scope, limit=limit, cursor=cursor)
        return FileList(items=[FileModel.of(stored) for stored in found], next_cursor=more)

    @router.get("/files/{file_id}", responses=problems(401, 404), response_class=FileResponse, tags=["files"])
    async def download_file(file_id: str, caller: Principal = signed_in) -> FileResponse:
        """The bytes of a file, as an attachment."""
        stored = await files.get(caller.scope, clean_id(file_id))
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(stored.name, safe='')}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, no-store",
        }
        return FileResponse(stored.path, media_type="application/octet-stream", headers=headers)

    @router.delete("/files/{file_id}", status_code=204, responses=problems(401, 403, 404, 409), tags=["files"])
    async def delete_file(file_id: str, caller: Principal = signed_in) -> None:
        """Remove a file that is not attached to a message. An attached one goes with its thread."""
        await files.delete(caller.scope, clean_id(file_id))


def _blob_routes(router: APIRouter, signed_in: Any, threads: Threads) -> None:
    @router.get("/blobs/{blob_id}", responses=problems(401, 404), tags=["threads"])
    async def read_blob(blob_id: str, caller: Principal = signed_in) -> Response:
        """The JSON of a value that was too large for its event (`{"$blob": id, "size": bytes}`)."""
        return Response(await threads.blob(caller.scope, clean_id(blob_id)), media_type="application/json")
