"""The peers of `delivery.py`: an ASGI application that sends each published event to every open WebSocket.

    python fanout.py {websockets-sansio,wsproto,starlette} PORT

`POST /publish?count=N&interval=SECONDS` sends N events, one every so many seconds, and answers at once. It is what the
bare server costs: no log, no users, no bounded buffer, one `await send` after the other.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

EVENT: dict[str, Any] = {
    "seq": 0,
    "prev": 0,
    "type": "agent_thinking",
    "event_id": "evt_01k9mz3v5m8w2r7q4t6y0x1z2a",
    "thread_id": "thr_01k9mz3v5m8w2r7q4t6y0x1z2a",
    "run_id": "run_01k9mz3v5m8w2r7q4t6y0x1z2a",
    "user_id": "usr_01k9mz3v5m8w2r7q4t6y0x1z2a",
    "agent_name": "ticker",
    "timestamp": "2026-01-02T03:04:05.678Z",
    "step_number": 0,
    "reasoning": "",
}
"""The size and shape of what Netra sends."""

REASONING = "Looking at the next part of the data, which is about as long as this sentence."


def event(number: int) -> str:
    """One event as it goes over the wire."""
    content = {**EVENT, "seq": number, "prev": number - 1, "step_number": number, "reasoning": REASONING}
    return json.dumps(content, separators=(",", ":"))


class Bare:
    """Nothing but the server's own WebSocket implementation."""

    def __init__(self) -> None:
        self.sends: set[Any] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            self.sends.add(send)
            while (await receive())["type"] != "websocket.disconnect":
                pass
            self.sends.discard(send)
        elif scope["type"] == "http":
            query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
            task = asyncio.create_task(self.publish(int(query["count"]), float(query["interval"])))
            self.tasks.add(task)
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def publish(self, count: int, interval: float) -> None:
        for number in range(count):
            text = event(number + 1)
            for send in tuple(self.sends):
                await send({"type": "websocket.send", "text": text})
            await asyncio.sleep(interval)


def starlette() -> Starlette:
    """The same with Starlette's WebSocket class."""
    sockets: set[WebSocket] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def publish(count: int, interval: float) -> None:
        for number in range(count):
            text = event(number + 1)
            for socket in tuple(sockets):
                await socket.send_text(text)
            await asyncio.sleep(interval)

    async def start(request: Request) -> Response:
        query = request.query_params
        tasks.add(asyncio.create_task(publish(int(query["count"]), float(query["interval"]))))
        return Response(status_code=204)

    async def door(socket: WebSocket) -> None:
        await socket.accept()
        sockets.add(socket)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            sockets.discard(socket)

    return Starlette(routes=[Route("/publish", start, methods=["POST"]), WebSocketRoute("/ws", door)])


def main() -> None:
    """Serve until killed."""
    kind, port = sys.argv[1], int(sys.argv[2])
    uvicorn.run(
        starlette() if kind == "starlette" else Bare(),
        host="127.0.0.1",
        port=port,
        ws="websockets-sansio" if kind == "starlette" else kind,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="warning",
        backlog=2048,
    )


if __name__ == "__main__":
    main()
