"""Runs over HTTP: begun by an account, and awaited."""

from __future__ import annotations

import secrets
from typing import Any

from .accounts import Account
from .waiting import block_until, until


def begin(account: Account, agent: str, content: str = "Hello", thread: str | None = None) -> dict[str, Any]:
    """Send a message. What the server answered: among it `thread_id` and `run_id`."""
    path = "/api/messages" if thread is None else f"/api/threads/{thread}/messages"
    with account.client() as client:
        answer = client.post(path, json={"id": secrets.token_hex(6), "content": content, "agent": agent})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def ended(account: Account, run_id: object, *, seconds: float = 20) -> dict[str, Any]:
    """The run, once it has ended."""
    with account.client() as client:

        def end() -> dict[str, Any] | None:
            run = client.get(f"/api/runs/{run_id}").raise_for_status().json()
            return None if run["ended_at"] is None else run

        return block_until(end, f"the end of {run_id}", seconds=seconds)


async def until_ended(account: Account, run_id: object, *, seconds: float = 60) -> dict[str, Any]:
    """The same for asynchronous tests."""
    async with account.async_client() as client:

        async def end() -> dict[str, Any] | None:
            run = (await client.get(f"/api/runs/{run_id}")).raise_for_status().json()
            return None if run["ended_at"] is None else run

        return await until(end, f"the end of {run_id}", seconds=seconds)
