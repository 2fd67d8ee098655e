"""The server's own work: a run is one session, and circuits that open are seen beside the sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netra.agents import Answer, RunContext, agent
from netra.agents.spec import spec_of
from netra.app import create_app
from netra.config import Settings
from netra.sessions.scopes import current_session
from support.engine import workbench


@agent(title="Curious")
async def curious(ctx: RunContext) -> Any:
    session = current_session()
    assert session is not None
    await ctx.tool(str, 1)
    found = session.metrics
    assert found is not None, "what the tool did was stored"
    ids = {"run": session.run_id, "user": session.user_id, "thread": session.thread_id, "request": session.request_id}
    return Answer("done", {**ids, "queries": found.query_count, "transactions": found.transaction_count})


@pytest.mark.spec("factory.server-uses-it")
async def test_a_run_is_one_session_with_everything_it_stores(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [spec_of(curious)]) as bench:
        end, _ = await bench.ask("curious")
        seen = end["result"]
        ids = {"run": end["run_id"], "user": bench.user_id, "thread": end["thread_id"], "request": f"{end['run_id']}.1"}
        assert {name: seen[name] for name in ids} == ids
        assert seen["queries"] > 0
        assert seen["transactions"] > 0


async def test_a_circuit_that_opens_is_counted(tmp_path: Path) -> None:
    netra = create_app(Settings(data_dir=tmp_path, breaker_failures=2))
    breaker = netra.breakers.get("agent", "poor")
    while breaker.state != "open":
        breaker.admit()
        breaker.failed("no")
    assert netra.database.aggregator.figures().breaker_trips == 1
