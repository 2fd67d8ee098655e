"""What a user's end means for what works on their behalf."""

from __future__ import annotations

from pathlib import Path

from netra.app import Netra
from netra.config import Settings
from netra.identity import Scope
from support.waiting import until


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

        async def states(scope: Scope, *asked: str) -> list[str]:
            return [(await netra.runs.get(scope, run_id)).state for run_id in asked]

        async def both_run() -> bool:
            return await states(eve, running.run_id) + await states(ann, other.run_id) == ["running"] * 2

        async def hers_are_cancelled() -> bool:
            return await states(eve, running.run_id, waiting.run_id) == ["cancelled"] * 2

        await until(both_run, "a run of each")
        await users.disable(eve.user_id)
        await until(hers_are_cancelled, "the end of her runs")
        assert (await netra.runs.get(eve, waiting.run_id)).started_at is None
        assert (await netra.runs.get(ann, other.run_id)).state == "running"
    finally:
        await netra.stop()
