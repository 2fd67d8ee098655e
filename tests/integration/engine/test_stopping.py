"""Cancel, deadline and limits: runs stop when they must, at once, and whatever they are doing."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from sqlalchemy import update

from netra.agents import RunContext
from netra.agents.spec import AgentSpec
from netra.storage.tables import runs
from support.engine import kinds, workbench


class Held:
    """An agent that holds inside what it does until told, and says when it got there."""

    def __init__(self) -> None:
        self.arrived = asyncio.Semaphore(0)
        self.release = asyncio.Event()
        self.order: list[str] = []
        self.together = 0
        self.most_together = 0
        self.cleaned_up = asyncio.Event()

    async def run(self, ctx: RunContext) -> str:
        self.order.append(ctx.message.content)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        self.arrived.release()
        try:
            await ctx.stream("half an ans")
            await ctx.tool(self._hold)
        except asyncio.CancelledError:
            self.cleaned_up.set()
            raise
        finally:
            self.together -= 1
        return ctx.message.content

    async def _hold(self) -> str:
        await self.release.wait()
        return "held"


async def test_cancel_reaches_a_running_step_at_once(database_url: str, tmp_path: Path) -> None:
    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)]) as bench:
        thread, run_id = await bench.send(agent="held")
        await bench.until(thread, lambda event: event["type"] == "tool_executing")
        await bench.engine.cancel(run_id)
        end = await bench.ended(thread, run_id)
        assert end["status"] == "cancelled"
        assert end["final_response"] == "half an ans"
        assert end["error"] is None
        async with asyncio.timeout(5):
            await held.cleaned_up.wait()
        await bench.engine.cancel(run_id)
        assert kinds(await bench.events(thread)).count("agent_completed") == 1
        assert (await bench.row(run_id)).state == "cancelled"


async def test_cancel_abandons_a_synchronous_tool_that_goes_on(tmp_path: Path) -> None:
    begun, seen, release = threading.Event(), threading.Event(), threading.Event()

    async def blocked(ctx: RunContext) -> str:
        def work() -> str:
            begun.set()
            ctx.cancelled.wait(10)
            seen.set()
            release.wait(10)
            ctx.check_cancelled()
            return "too late"

        await ctx.tool(work)
        return "never"

    async def quick(ctx: RunContext) -> str:
        return str(await ctx.tool(lambda: "still works"))

    url = f"sqlite:///{tmp_path / 'netra.db'}"
    agents = [AgentSpec("blocked", blocked), AgentSpec("quick", quick)]
    async with workbench(url, tmp_path, agents, tool_workers=1) as bench:
        thread, run_id = await bench.send(agent="blocked")
        assert await asyncio.to_thread(begun.wait, 5)
        await bench.engine.cancel(run_id)
        assert (await bench.ended(thread, run_id))["status"] == "cancelled"
        assert await asyncio.to_thread(seen.wait, 5), "ctx.cancelled is set"
        end, _ = await bench.ask("quick")
        assert end["final_response"] == "still works", "the only tool thread was replaced"
        release.set()


async def test_an_agent_that_ignores_its_cancel_stores_nothing_more(tmp_path: Path) -> None:
    finished: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asleep = asyncio.Event()

    async def stubborn(ctx: RunContext) -> str:
        asleep.set()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            try:
                await ctx.think("I go on.")
            except Exception as error:  # noqa: BLE001 - what it is, is the point
                finished.set_result(type(error).__name__)
        return "my answer all the same"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("stubborn", stubborn)]) as bench:
        thread, run_id = await bench.send(agent="stubborn")
        await asleep.wait()
        await bench.engine.cancel(run_id)
        assert (await bench.ended(thread, run_id))["status"] == "cancelled"
        assert await asyncio.wait_for(finished, 5) == "RunCancelled"
        assert kinds(await bench.events(thread)) == ["user_message", "agent_started", "agent_completed"]


async def test_a_queued_run_is_cancelled_without_having_run(database_url: str, tmp_path: Path) -> None:
    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)]) as bench:
        thread, first = await bench.send("first", agent="held")
        await held.arrived.acquire()
        _, second = await bench.send("second", agent="held", thread=thread)
        await bench.engine.cancel(second)
        assert (await bench.ended(thread, second))["status"] == "cancelled"
        held.release.set()
        assert (await bench.ended(thread, first))["final_response"] == "first"
        assert held.order == ["first"]


async def test_a_cancel_that_was_only_stored_is_found(database_url: str, tmp_path: Path) -> None:
    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)]) as bench:
        thread, run_id = await bench.send(agent="held")
        await held.arrived.acquire()
        await bench.log.transact(
            lambda tx: (
                tx.connection.execute(
                    update(runs).where(runs.c.id == run_id).values(cancel_requested_at=tx.now)
                ).rowcount
            )
        )
        assert (await bench.ended(thread, run_id))["status"] == "cancelled"


async def test_a_run_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    held = Held()
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("held", held)], run_seconds=0.2) as bench:
        end, _ = await bench.ask("held")
        assert end["status"] == "timed_out"
        assert end["error"]["code"] == "timed_out"
        assert end["final_response"] == "half an ans"
        assert end["duration_ms"] >= 200


async def test_one_run_of_a_thread_at_a_time_in_the_order_of_its_messages(database_url: str, tmp_path: Path) -> None:
    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)], runs_running=10) as bench:
        thread = await bench.thread()
        sent = [await bench.send(str(number), agent="held", thread=thread) for number in range(4)]
        held.release.set()
        for _, run_id in sent:
            assert (await bench.ended(thread, run_id))["status"] == "succeeded"
    assert held.order == ["0", "1", "2", "3"]
    assert held.most_together == 1


async def test_a_user_runs_so_many_at_once_and_others_are_not_held_up(database_url: str, tmp_path: Path) -> None:
    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)], runs_running=2) as bench:
        mine = [await bench.send(f"mine {number}", agent="held") for number in range(5)]
        await held.arrived.acquire()
        await held.arrived.acquire()
        theirs = await bench.send("theirs", agent="held", user_id="usr_other")
        await held.arrived.acquire()
        assert sorted(held.order[:2]) == ["mine 0", "mine 1"], "begun together, in whichever order"
        assert held.order[2:] == ["theirs"]
        held.release.set()
        for thread, run_id in [*mine, theirs]:
            assert (await bench.ended(thread, run_id))["status"] == "succeeded"
    assert sorted(held.order[3:]) == ["mine 2", "mine 3", "mine 4"]
    assert held.most_together == 3


async def test_the_process_takes_no_more_than_it_can(tmp_path: Path) -> None:
    held = Held()
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("held", held)], runs_running=10, run_capacity=3) as bench:
        sent = [await bench.send(str(number), agent="held") for number in range(7)]
        for _ in range(3):
            await held.arrived.acquire()
        held.release.set()
        for thread, run_id in sent:
            await bench.ended(thread, run_id)
    assert held.most_together == 3
    assert sorted(held.order) == [str(number) for number in range(7)]


async def test_a_run_queued_without_a_call_is_found(tmp_path: Path) -> None:
    async def answer(ctx: RunContext) -> str:
        return "found"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("answer", answer)]) as bench:
        await bench.ask("answer")
        end, _ = await bench.ask("answer", wake=False)
        assert end["final_response"] == "found"


async def test_a_deleted_thread_takes_its_run_along(database_url: str, tmp_path: Path) -> None:
    from sqlalchemy import delete

    from netra.storage.tables import threads

    held = Held()
    async with workbench(database_url, tmp_path, [AgentSpec("held", held)], runs_running=1) as bench:
        thread, run_id = await bench.send(agent="held")
        await bench.until(thread, lambda event: event["type"] == "tool_executing")
        await bench.log.transact(
            lambda tx: tx.connection.execute(delete(threads).where(threads.c.id == thread)).rowcount
        )
        await bench.engine.cancel(run_id)
        async with asyncio.timeout(5):
            await held.cleaned_up.wait()
        held.release.set()
        assert (await bench.ask("held"))[0]["status"] == "succeeded"


async def test_two_claims_never_take_the_same_run(database_url: str, tmp_path: Path) -> None:
    """Two processes on one database: each claims in a transaction of its own."""
    from netra.clock import SystemClock
    from netra.engine.runs import claim
    from netra.log import Bus, ThreadLog
    from netra.sessions import RequestScopedSessionFactory
    from netra.storage import Database

    async with workbench(database_url, tmp_path, [], start=False) as bench:
        sent = {(await bench.send(agent="x", wake=False))[1] for _ in range(30)}
        databases = [RequestScopedSessionFactory(Database(database_url)) for _ in range(2)]
        for database in databases:
            await database.start()
        logs = [ThreadLog(database, Bus(), SystemClock()) for database in databases]
        taken = await asyncio.gather(
            *(
                log.transact(
                    lambda tx: claim(tx, worker="wrk_test", most=3, per_user=1000, greeting=lambda agent: (agent, {}))
                )
                for _ in range(10)
                for log in logs
            )
        )
        for database in databases:
            await database.stop()
        runs_taken = [attempt.run_id for each in taken for attempt in each.attempts]
        assert len(runs_taken) == len(set(runs_taken))
        assert set(runs_taken) == sent
