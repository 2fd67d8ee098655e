"""Server-sent events: a thread's log as a stream, resumed with `Last-Event-ID`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import anyio
from starlette.responses import StreamingResponse

from netra.config import Settings
from netra.errors import LimitReached, NetraError
from netra.identity import Principal
from netra.monitoring.metrics import metrics
from netra.sessions.tracker import Note, unnoted

COMMENT_SECONDS = 15.0
"""Longest silence of a stream; `heartbeat_seconds`, when that is less."""
RETRY_MILLISECONDS = 1000


class Streams:
    """The open streams: capped per user, ended when their owner's login ends or the server drains."""

    def __init__(self, settings: Settings, *, note: Note = unnoted) -> None:
        self._most = settings.sockets_per_user
        self._silence = min(COMMENT_SECONDS, settings.heartbeat_seconds)
        self._note = note
        self._open: dict[asyncio.Event, Principal] = {}
        self._users: Counter[str] = Counter()

    def principals(self) -> list[Principal]:
        """Whom the open streams belong to."""
        return list(self._open.values())

    def end(self, principals: set[Principal] | None = None) -> None:
        """End the streams of these principals, or all."""
        for ending, principal in self._open.items():
            if principals is None or principal in principals:
                ending.set()

    def response(
        self,
        principal: Principal,
        events: AsyncIterator[list[tuple[int, int, bytes]]],
        *,
        from_head: int | None = None,
    ) -> StreamingResponse:
        """The answer to a reader.

        Args:
            from_head: the log's last seq, when the reader asked for what comes after a later one; it is told.

        Raises:
            LimitReached: the user has too many connections open.
        """
        if self._users[principal.scope.user_id] >= self._most:
            raise LimitReached("Too many open streams.", hint="Close one first.")
        return StreamingResponse(
            self._stream(principal, events, from_head),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _stream(
        self, principal: Principal, events: AsyncIterator[list[tuple[int, int, bytes]]], from_head: int | None
    ) -> AsyncIterator[bytes]:
        user_id = principal.scope.user_id
        ending = asyncio.Event()
        self._open[ending] = principal
        self._users[user_id] += 1
        metrics.connections.labels("stream").inc()
        self._note(user_id, "connected")
        ended = asyncio.create_task(ending.wait())
        following: asyncio.Task[list[tuple[int, int, bytes]]] | None = None
        try:
            yield b"retry: %d\n\n" % RETRY_MILLISECONDS
            if from_head is not None:  # the id is where the reader resumes from now on
                yield b": the log ends at %d, before your place, and goes on from there\nid: %d\n\n" % (
                    from_head,
                    from_head,
                )
            while True:
                if following is None:
                    following = asyncio.ensure_future(anext(events))
                done, _ = await asyncio.wait(
                    {following, ended}, timeout=self._silence, return_when=asyncio.FIRST_COMPLETED
                )
                if ended in done:
                    return
                if following not in done:
                    yield b": still here\n\n"
                    continue
                try:
                    batch = following.result()
                except (StopAsyncIteration, NetraError):  # the thread was deleted
                    return
                finally:
                    following = None
                if batch:
                    metrics.events_delivered.inc(len(batch))
                    yield b"".join([b"id: %d\ndata: %b\n\n" % (seq, wire) for seq, _, wire in batch])
                else:
                    yield b": caught up\n\n"
        finally:
            ended.cancel()
            del self._open[ending]
            self._users[user_id] -= 1
            if not self._users[user_id]:
                del self._users[user_id]
            metrics.connections.labels("stream").dec()
            self._note(user_id, "disconnected")
            # Starlette ends a stream by a cancelled anyio scope, in which every further await is cancelled too.
            with anyio.CancelScope(shield=True):
                if following is not None:
                    following.cancel()
                    await asyncio.wait({following})
                await events.aclose()  # type: ignore[attr-defined]
