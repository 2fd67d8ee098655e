"""The text of an answer while its agent writes it: gathered, and sent as `text_delta` events a few times a second.

What was sent is removed from the log when the run ends; `agent_completed` then holds the whole text. The port of each
attempt (`netra.engine.port`) has one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from netra.events import Event, TextDelta

from .runs import Attempt

DELTA_SECONDS = 0.05
"""Streamed text is stored at once, then at most this often."""
DELTA_CHARS = 16_384
"""The longest piece of streamed text; no event may be so large that it holds up a reader's others."""


class StreamedAnswer:
    """See the module.

    Args:
        put: sends an event, with its key.
        head: the fields that every event of an agent's has.
    """

    def __init__(
        self, attempt: Attempt, *, put: Callable[[str, Event], None], head: Callable[[str], dict[str, Any]]
    ) -> None:
        self._attempt = attempt
        self._put = put
        self._head = head
        self._message_id = "msg_" + attempt.run_id.partition("_")[2]
        self._parts: list[str] = []
        self._sent_chars = 0
        self._pending: list[str] = []
        self._agent = attempt.agent
        self._timer: asyncio.TimerHandle | None = None
        self.chars = 0
        """How long the answer is so far."""

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._parts)

    def keep(self, text: str) -> None:
        """Let the answer go on, without sending that."""
        self._parts.append(text)
        self.chars += len(text)

    def add(self, agent_name: str, text: str) -> None:
        """Let the answer go on."""
        self.keep(text)
        self._pending.append(text)
        self._agent = agent_name
        if self._timer is None:
            self._send()

    def close(self) -> None:
        """Send nothing more. Safe to call twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        """Send what came since the last time; called once at first, then by the timer while there is more."""
        if not self._pending:
            self._timer = None
            return
        text = "".join(self._pending)
        self._pending.clear()
        for start in range(0, len(text), DELTA_CHARS):
            piece = text[start : start + DELTA_CHARS]
            self._put(
                f"{self._attempt.run_id}:{self._attempt.number}:text:{self._sent_chars}",
                TextDelta(
                    **self._head(self._agent),
                    message_id=self._message_id,
                    attempt=self._attempt.number,
                    offset=self._sent_chars,
                    text=piece,
                ),
            )
            self._sent_chars += len(piece)
        self._timer = asyncio.get_running_loop().call_later(DELTA_SECONDS, self._send)
