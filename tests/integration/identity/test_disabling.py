"""What a user's end means for what works on their behalf."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netra.app import Netra
from netra.config import Settings
from netra.identity import Scope


async def test_the_runs_of_a_disabled_user_end_and_those_that_wait_never_start(
    database_url: str, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", database_url=database_url, agents=["support.chatty:hang"], runs_running=1
    )
    netra = Netra(settings)
    await netra.start()
    try:
        users = netra.identity.users
        names = ("eve@example.com", "ann@example.com")
        eve, ann = [Scope((await users.create(each, "a good long password")).id, frozenset({"user"})) for each in names]
        running, waiting = [await netra.messages.send(eve, id=str(n), content="x") for n in range(2)]
        other = await netra.messages.send(ann, id="1", content="x")
        async with asyncio.timeout(20):
            for scope, sent in ((eve, running), (ann, other)):
                while (await netra.runs.get(scope, sent.run_id)).state != "running":
                    await asyncio.sleep(0.01)
            await users.disable(eve.user_id)
            for sent in (running, waiting):
                while (run := await netra.runs.get(eve, sent.run_id)).ended_at is None:
                    await asyncio.sleep(0.01)
                assert run.state == "cancelled"
        assert (await netra.runs.get(eve, waiting.run_id)).started_at is None
        assert (await netra.runs.get(ann, other.run_id)).state == "running"
    finally:
        await netra.stop()
