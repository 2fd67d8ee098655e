"""A small OpenAI-compatible server over real HTTP: answers from a script, streams, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Script:
    """What the server answers, in order, and the bodies of the requests it got.

    An answer is a text (sent in pieces of words) or a list of tool calls `(name, arguments)`.
    """

    answers: list[str | list[tuple[str, dict[str, Any]]] | int]
    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)


@asynccontextmanager
async def openai_server(answers: Sequence[str | list[tuple[str, dict[str, Any]]] | int]) -> AsyncIterator[Script]:
    """Serve `POST /v1/chat/completions` on a free port of 127.0.0.1. A number among the answers is an HTTP status."""
    script = Script(list(answers))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        script.requests.append(body)
        writer.write(_answer(script, body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    script.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield script
    finally:
        server.close()


def _answer(script: Script, body: dict[str, Any]) -> bytes:
    answer = script.answers.pop(0)
    if isinstance(answer, int):
        problem = json.dumps({"error": {"message": "scripted failure"}}).encode()
        return (
            b"HTTP/1.1 %d Scripted\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % (answer, len(problem))
        ) + problem
    assert body["stream"] is True
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if isinstance(answer, str):
        deltas += [{"content": piece + " "} for piece in answer.split(" ")[:-1]]
        deltas.append({"content": answer.split(" ")[-1]})
    else:
        for index, (name, arguments) in enumerate(answer):
            call = {
                "index": index,
                "id": f"call_{len(script.requests)}_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            deltas.append({"tool_calls": [call]})
    reason = "stop" if isinstance(answer, str) else "tool_calls"
    head = {"id": f"chatcmpl-{len(script.requests)}", "object": "chat.completion.chunk", "created": 1767225600}
    chunks: list[dict[str, Any]] = [
        {**head, "model": body["model"], "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks[-1]["choices"][0]["finish_reason"] = reason
    chunks.append({**head, "model": body["model"], "choices": [], "usage": usage})
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    head_lines = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n"
    return head_lines + b"content-length: %d\r\n\r\n" % len(stream) + stream
