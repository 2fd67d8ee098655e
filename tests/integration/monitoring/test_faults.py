"""Each fault for real, in a server's own parts: an incident that begins once and ends once, and none while all is well.

The parts run in this process with a clock the test moves, so that an hour takes a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from netra import RunContext, agent
from netra.app import Netra
from netra.config import Settings
from netra.errors import NetraError
from netra.executions import get_execution_tracker
from netra.identity import Scope
from netra.ids import new_id
from netra.monitoring.metrics import metrics
from support.alerting import Webhook, webhook
from support.clock import ManualClock
from support.waiting import until


@agent(title="Faulty", description="Has a fault.")
async def faulty(ctx: RunContext) -> str:
    raise RuntimeError("a fault of the agent's own")


PASSWORD = "a long enough password"


class Site:
    """A started server, without sockets, and the notices it sent."""

    def __init__(self, netra: Netra, clock: ManualClock, hook: Webhook, scope: Scope) -> None:
        self.netra, self.clock, self.hook, self.scope = netra, clock, hook, scope

    async def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 10)):
            self.clock.advance(10)
            await self.netra.alerts.turn()
            await self.netra.alerts.deliver()

    async def ask(self, agent: str, thread_id: str | None = None) -> str:
        sent = await self.netra.messages.send(
            self.scope, id=new_id("msg"), content="Hello", agent=agent, thread_id=thread_id
        )
        return sent.run_id

    async def ended(self, run_id: str) -> str:
        async def end() -> str | None:
            run = await self.netra.runs.get(self.scope, run_id)
            return None if run.ended_at is None else run.state

        return await until(end, "the end of the run")

    def told(self, rule: str) -> list[str]:
        """The notices about a rule: the severity, or `resolved`."""
        titles = [str(message["title"]) for message in self.hook.received]
        return [title[1 : title.index("]")] for title in titles if f"] {rule}" in title]

    async def hears(self, rule: str, expected: list[str]) -> None:
        """Wait for the notices about a rule: the manager's own task may be sending one at this moment."""
        await until(lambda: len(self.told(rule)) >= len(expected), f"{expected} about {rule}")
        assert self.told(rule) == expected

    @property
    def titles(self) -> list[str]:
        return [str(message["title"]) for message in self.hook.received]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    async with contextlib.AsyncExitStack() as stack:

        async def started(**settings: Any) -> Site:
            metrics.breaker_state.clear()  # of this process: other tests have left circuits open
            hook = await stack.enter_async_context(webhook())
            chosen = Settings(
                data_dir=tmp_path / "data",
                agents=["support.agents:echo", "support.agents:endless", f"{__name__}:faulty"],
                alert_urls=[hook.url],
                password_workers=1,
                **settings,
            )
            clock = ManualClock()
            netra = Netra(chosen, clock=clock)
            await netra.start()
            stack.push_async_callback(netra.stop)
            user = await netra.identity.users.create("ann@example.com", PASSWORD)
            return Site(netra, clock, hook, user.scope)

        yield started


Start = Callable[..., Any]


async def test_a_healthy_hour_with_work_in_it_is_silent(start: Start) -> None:
    site: Site = await start()
    for _ in range(6):
        assert await site.ended(await site.ask("echo")) == "succeeded"
        await site.pass_time(600)
    assert site.titles == []
    assert await site.netra.alerts.open_incidents() == []


async def test_agents_that_fail_open_run_failures_and_their_circuit(start: Start) -> None:
    site: Site = await start(breaker_failures=5, runs_running=4)
    for _ in range(5):
        assert await site.ended(await site.ask("faulty")) == "failed"
    await site.pass_time(120)
    await site.hears("run_failures", ["critical"])
    await site.hears("breaker_open", ["warning"])
    await site.pass_time(1200)  # they are out of the window; the circuit lets one try
    for _ in range(6):
        assert await site.ended(await site.ask("echo")) == "succeeded"
    await site.pass_time(300)
    await site.hears("run_failures", ["critical", "resolved"])


async def test_refused_sign_ins_are_an_attack(start: Start) -> None:
    site: Site = await start(login_attempts=5)
    transport = httpx.ASGITransport(app=site.netra.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        for number in range(60):
            body = {"email": f"nobody{number % 12}@example.com", "password": "a wrong password"}
            assert (await client.post("/api/auth/login", json=body)).status_code in (401, 429)
    await site.pass_time(60)
    await site.hears("sign_in_attack", ["warning"])
    await site.pass_time(900)
    await site.hears("sign_in_attack", ["warning", "resolved"])


async def test_attempts_on_others_executions_are_told(start: Start) -> None:
    site: Site = await start()
    run_id = await site.ask("endless")
    tracker = site.netra.tracker
    await until(lambda: any(each.execution_id == run_id for each in tracker.get_active_executions()), "the run")
    stranger = get_execution_tracker({"user_id": "usr_stranger"})
    for _ in range(6):
        assert stranger.get_execution(run_id) is None
    await site.pass_time(60)
    await site.hears("isolation_refusals", ["critical"])
    await site.netra.runs.cancel(site.scope, run_id)
    assert await site.ended(run_id) == "cancelled"
    await site.pass_time(900)
    await site.hears("isolation_refusals", ["critical", "resolved"])


async def test_a_pool_without_connections_and_a_leak_are_told(start: Start) -> None:
    site: Site = await start(session_connections=1, session_wait_seconds=0.2, session_held_seconds=30)
    factory = site.netra.database
    with contextlib.suppress(NetraError):
        async with factory.get_request_scoped_session("usr_1", "req_1") as session:
            await session.connection()
            with pytest.raises(PoolTimeout):
                async with factory.get_request_scoped_session("usr_2", "req_2") as other:
                    await other.connection()
            site.clock.advance(31)
            await factory.leaks.check()
    await site.pass_time(60)
    await site.hears("pool_exhaustion", ["critical"])
    await site.hears("session_leak", ["warning"])
    await site.pass_time(1800)
    await site.hears("pool_exhaustion", ["critical", "resolved"])
    await site.hears("session_leak", ["warning", "resolved"])


async def test_a_blocked_loop_is_told(start: Start) -> None:
    site: Site = await start(alert_rules={"loop_lag": {"for_seconds": 0}})
    time.sleep(0.6)
    await asyncio.sleep(0.3)
    await site.pass_time(10)
    await site.hears("loop_lag", ["warning"])
    for _ in range(15):
        await asyncio.sleep(0.11)
        await site.pass_time(10)
    await site.hears("loop_lag", ["warning", "resolved"])


async def test_a_disk_without_room_is_told(start: Start) -> None:
    site: Site = await start(alert_disk_free_bytes=2**60)
    await site.pass_time(60)
    await site.hears("disk_space", ["critical"])


async def test_runs_that_nobody_takes_up_are_told(start: Start) -> None:
    site: Site = await start()
    await site.netra.engine.drain(0)  # it takes no more runs
    run_id = await site.ask("echo")
    await site.pass_time(180)
    await site.hears("queue_age", ["warning"])
    await site.netra.runs.cancel(site.scope, run_id)
