"""The thread log on both databases: dense, idempotent, fenced, and provable for a reader at any place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from netra.errors import NotFound, Unavailable
from netra.events import AgentCompleted, ToolCompleted, decode
from netra.log import Entry, Fence, Fenced, Page, Placed, Transaction
from netra.storage.tables import blobs, runs, threads
from support.logs import Bench, bench


@pytest.fixture
async def it(database_url: str) -> AsyncIterator[Bench]:
    async with bench(database_url) as opened:
        yield opened


class Reader:
    """A client that follows the rule of the protocol, and objects when it would have to guess."""

    def __init__(self, last: int = 0) -> None:
        self.last = last
        self.applied: list[int] = []

    def take(self, events: Placed) -> bool:
        """Apply what can be applied; False when something is missing before it."""
        for seq, prev, wire in events:
            event = json.loads(wire)
            assert (event["seq"], event["prev"]) == (seq, prev)
            assert prev < seq
            if seq <= self.last:
                continue
            if prev > self.last:
                return False
            self.applied.append(seq)
            self.last = seq
        return True


async def test_seqs_are_dense_from_one_and_prev_is_the_event_before(it: Bench) -> None:
    thread = await it.thread()
    for _ in range(3):
        await it.log.append(thread, [it.message(thread) for _ in range(4)])
    page = await it.log.read(thread)
    assert [(seq, prev) for seq, prev, _ in page.events] == [(n, n - 1) for n in range(1, 13)]
    assert page.last_seq == 12
    for seq, prev, wire in page.events:
        event = decode(wire)
        assert (event.seq, event.prev) == (seq, prev)


async def test_an_append_of_the_same_key_keeps_its_place(it: Bench) -> None:
    thread = await it.thread()
    first, second, third = (it.message(thread) for _ in range(3))
    assert await it.log.append(thread, [first, second]) == [1, 2]
    heard: list[int] = []
    it.bus.listen(thread, lambda published: heard.extend(seq for seq, _, _ in published.events))
    assert await it.log.append(thread, [second, third, third, first]) == [2, 3, 3, 1]
    assert heard == [3]
    assert (await it.log.read(thread)).last_seq == 3


async def test_an_append_of_nothing_publishes_nothing(it: Bench) -> None:
    thread = await it.thread()
    heard: list[object] = []
    it.bus.listen(thread, heard.append)
    assert await it.log.append(thread, []) == []
    assert heard == []


async def test_seqs_stay_dense_and_in_order_under_concurrency(it: Bench) -> None:
    thread = await it.thread()
    heard: list[int] = []
    it.bus.listen(thread, lambda published: heard.extend(seq for seq, _, _ in published.events))
    await asyncio.gather(*(it.log.append(thread, [it.message(thread)]) for _ in range(300)))
    assert heard == list(range(1, 301))
    page = await it.log.read(thread, limit=1000)
    assert [seq for seq, _, _ in page.events] == heard


async def test_a_failing_unit_takes_no_place(it: Bench) -> None:
    thread = await it.thread()

    def work(tx: Transaction) -> None:
        tx.append(thread, [it.message(thread)])
        raise ValueError("no")

    results = await asyncio.gather(
        it.log.append(thread, [it.message(thread)]),
        it.log.transact(work),
        it.log.append(thread, [it.message(thread)]),
        return_exceptions=True,
    )
    assert [results[0], results[2]] == [[1], [2]]
    assert isinstance(results[1], ValueError)


async def test_nothing_is_published_before_it_can_be_read(it: Bench) -> None:
    thread = await it.thread()
    behind: list[int] = []
    reads: list[asyncio.Task[None]] = []

    async def read(seq: int) -> None:
        if (await it.log.read(thread)).last_seq < seq:
            behind.append(seq)

    it.bus.listen(thread, lambda published: reads.append(asyncio.create_task(read(published.events[-1][0]))))
    await asyncio.gather(*(it.log.append(thread, [it.message(thread)]) for _ in range(50)))
    await asyncio.gather(*reads)
    assert reads
    assert behind == []


async def test_a_listener_that_fails_does_not_keep_others_from_hearing(it: Bench) -> None:
    thread = await it.thread()
    heard: list[object] = []

    def fail(_: object) -> None:
        raise RuntimeError("a fault of ours")

    it.bus.listen(thread, fail)
    it.bus.listen(thread, heard.append)
    assert await it.log.append(thread, [it.message(thread)]) == [1]
    assert len(heard) == 1


async def test_an_older_attempt_an_ended_run_and_an_unknown_one_are_refused(it: Bench) -> None:
    thread = await it.thread()
    fence = await it.run(thread, attempt=2)
    await it.log.append(thread, [it.delta(thread, fence.run_id)], fence=fence)
    for stale in (Fence(fence.run_id, 1), Fence(fence.run_id, 3), Fence("run_unknown", 1)):
        with pytest.raises(Fenced):
            await it.log.append(thread, [it.delta(thread, fence.run_id)], fence=stale)
    await it.end(thread, fence.run_id)
    with pytest.raises(Fenced):
        await it.log.append(thread, [it.delta(thread, fence.run_id)], fence=fence)
    assert (await it.log.read(thread)).last_seq == 2


async def test_a_new_attempt_fences_the_old_one_at_once(it: Bench) -> None:
    thread = await it.thread()
    old = await it.run(thread)

    async def append_until_refused() -> int:
        appended = 0
        try:
            while True:
                await it.log.append(thread, [it.delta(thread, old.run_id)], fence=old)
                appended += 1
        except Fenced:
            return appended

    task = asyncio.create_task(append_until_refused())
    while (await it.log.read(thread)).last_seq < 5:
        await asyncio.sleep(0)
    head = await it.log.transact(
        lambda tx: (
            tx.connection.execute(update(runs).where(runs.c.id == old.run_id).values(attempt=2)),
            tx.connection.execute(select(threads.c.last_seq).where(threads.c.id == thread)).scalar_one(),
        )[1]
    )
    assert await task <= head
    assert (await it.log.read(thread)).last_seq == head


async def test_the_end_of_a_run_takes_its_streamed_text_and_nothing_else(it: Bench) -> None:
    thread = await it.thread()
    one, two = await it.run(thread), await it.run(thread)
    await it.log.append(thread, [it.message(thread)])
    for _ in range(3):
        await it.log.append(thread, [it.delta(thread, one.run_id), it.delta(thread, two.run_id)])
    heard: list[tuple[int, int]] = []
    it.bus.listen(thread, lambda published: heard.extend((seq, prev) for seq, prev, _ in published.events))
    await it.end(thread, one.run_id)
    await it.end(thread, two.run_id)
    page = await it.log.read(thread)
    assert [(seq, prev) for seq, prev, _ in page.events] == [(1, 0), (8, 1), (9, 8)]
    assert heard == [(8, 7), (9, 8)]  # 7 was a text of the other run when 8 came


Step = st.sampled_from(["message", "delta one", "delta two", "end one", "end two"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(Step, max_size=25),
    cursors=st.lists(st.integers(0, 25), min_size=1, max_size=6),
    limit=st.integers(1, 5),
    lose=st.sets(st.integers(0, 24)),
)
def test_a_reader_at_any_place_can_prove_that_it_missed_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], cursors: list[int], limit: int, lose: set[int]
) -> None:
    """Random appends and compactions, read in pages from any cursor, live with losses, or both interleaved."""

    async def play() -> None:
        async with bench(f"sqlite:///{tmp_path_factory.mktemp('log') / 'netra.db'}") as it:
            thread = await it.thread()
            fences = {name: await it.run(thread) for name in ("one", "two")}
            live, slow = Reader(), {cursor: Reader(cursor) for cursor in cursors}
            kinds: dict[int, str] = {}
            published: list[Placed] = []
            it.bus.listen(thread, lambda news: published.append(list(news.events)))
            for number, step in enumerate(steps):
                kind, _, name = step.partition(" ")
                published.clear()
                if kind == "message":
                    (seq,) = await it.log.append(thread, [it.message(thread)])
                elif name not in fences:
                    continue
                elif kind == "delta":
                    (seq,) = await it.log.append(thread, [it.delta(thread, fences[name].run_id)], fence=fences[name])
                else:
                    seq = await it.end(thread, fences.pop(name).run_id)
                kinds[seq] = step
                if number not in lose:  # the bus may lose anything
                    for events in published:
                        if not live.take(events):
                            assert live.take((await it.log.read(thread, live.last)).events)
                if number % 3 == 0:
                    for cursor, reader in slow.items():
                        if cursor <= max(kinds):
                            assert reader.take((await it.log.read(thread, reader.last, limit)).events)
            last = max(kinds, default=0)
            assert sorted(kinds) == list(range(1, last + 1))
            for cursor, reader in [(0, live), *slow.items()]:
                if cursor > last:
                    continue
                while (page := await it.log.read(thread, reader.last, limit)).events:
                    assert reader.take(page.events)
                    assert page.more == (page.events[-1][0] < page.last_seq)
                assert reader.last == last
                ended = {name for kind, _, name in (s.partition(" ") for s in kinds.values()) if kind == "end"}
                lasting = {
                    seq for seq, step in kinds.items() if seq > cursor and step not in {f"delta {n}" for n in ended}
                }
                assert lasting <= set(reader.applied) <= set(kinds)

    asyncio.run(play())


async def test_a_large_value_becomes_a_blob_and_goes_with_its_thread(it: Bench) -> None:
    thread = await it.thread()
    fence = await it.run(thread)
    rows = ["x" * 1000] * 100
    completed = ToolCompleted(
        **it.head(thread, fence.run_id), tool_call_id="c", tool_name="t", success=True, results=rows, duration_ms=1
    )
    small = ToolCompleted(
        **it.head(thread, fence.run_id), tool_call_id="d", tool_name="t", success=True, results=rows[:60], duration_ms=1
    )
    end = it.completed(thread, fence.run_id, final_response="y" * 70_000, result={"rows": rows})
    await it.log.append(thread, [Entry("c", completed), Entry("d", small), end])
    page = await it.log.read(thread)
    assert all(len(wire) < 65_536 for _, _, wire in page.events)
    first, second, last = (decode(wire) for _, _, wire in page.events)
    assert isinstance(first, ToolCompleted)
    assert isinstance(second, ToolCompleted)
    assert isinstance(last, AgentCompleted)
    assert second.results == rows[:60]
    assert set(first.results) == {"$blob", "size"}
    async with it.database.read() as connection:
        stored = {row.id: row.body for row in await connection.execute(select(blobs))}
    assert json.loads(stored[first.results["$blob"]]) == rows
    assert json.loads(stored[last.result["$blob"]]) == {"rows": rows}
    assert json.loads(stored[last.final_response.blob]) == "y" * 70_000  # type: ignore[union-attr]
    assert last.final_response.size == 70_002  # type: ignore[union-attr]
    await it.database.write(lambda connection: connection.execute(delete(threads)).rowcount)
    async with it.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(blobs))).scalar() == 0


async def test_a_page_ends_at_its_bytes_and_says_that_there_is_more(it: Bench) -> None:
    thread = await it.thread()
    await it.log.append(thread, [it.message(thread, "x" * 1000) for _ in range(10)])
    reader = Reader()
    sizes = []
    while (page := await it.log.read(thread, reader.last, max_bytes=2500)).events:
        assert reader.take(page.events)
        sizes.append(len(page.events))
        assert page.more == (reader.last < 10)
    assert sizes == [3, 3, 3, 1] or sizes == [2] * 5, sizes


async def test_a_thread_that_does_not_exist_is_not_found(it: Bench) -> None:
    for asked in (it.log.read("thr_none"), it.log.append("thr_none", []), anext(it.log.follow("thr_none"))):
        with pytest.raises(NotFound):
            await asked


# Following


async def exhaust(following: AsyncIterator[Placed]) -> None:
    async for _ in following:
        pass


async def collect(it: Bench, thread: str, until: int, after: int = 0) -> list[int]:
    seqs: list[int] = []
    following = it.log.follow(thread, after)
    try:
        async for batch in following:
            seqs.extend(seq for seq, _, _ in batch)
            if seqs and seqs[-1] >= until:
                return seqs
    finally:
        await following.aclose()  # type: ignore[attr-defined]
    raise AssertionError


async def test_following_reads_the_log_first_then_says_so_then_goes_on(it: Bench) -> None:
    thread = await it.thread()
    await it.log.append(thread, [it.message(thread) for _ in range(3)])
    following = it.log.follow(thread, 1)
    assert [seq for seq, _, _ in await anext(following)] == [2, 3]
    assert await anext(following) == []
    waiting = asyncio.ensure_future(anext(following))
    await it.log.append(thread, [it.message(thread)])
    assert [seq for seq, _, _ in await waiting] == [4]
    await following.aclose()  # type: ignore[attr-defined]


async def test_followers_that_begin_at_any_moment_miss_and_repeat_nothing(it: Bench) -> None:
    thread = await it.thread()
    last = 400
    followers: list[asyncio.Task[list[int]]] = []
    for number in range(last):
        if number % 20 == 0:
            followers.append(asyncio.create_task(collect(it, thread, last, after=number // 2)))
        await it.log.append(thread, [it.message(thread)])
    for index, seqs in enumerate(await asyncio.gather(*followers)):
        assert seqs == list(range(index * 10 + 1, last + 1))


async def test_a_slow_follower_reads_again_what_its_buffer_could_not_keep(
    it: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netra.log.log.FOLLOW_BYTES", 3000)
    monkeypatch.setattr("netra.log.log.PAGE_BYTES", 2000)
    thread = await it.thread()
    fence = await it.run(thread)
    following = it.log.follow(thread)
    assert await anext(following) == []
    first = asyncio.ensure_future(anext(following))
    await it.log.append(thread, [it.message(thread)])
    reader = Reader()
    assert reader.take(await first)
    for _ in range(100):
        await it.log.append(thread, [it.delta(thread, fence.run_id)])
    seq = await it.end(thread, fence.run_id)
    await it.log.append(thread, [it.message(thread) for _ in range(50)])
    while reader.last < seq + 50:
        assert reader.take(await anext(following))
    assert seq in reader.applied
    await following.aclose()  # type: ignore[attr-defined]


async def test_a_follower_hears_that_its_thread_was_deleted(it: Bench) -> None:
    for during_read in (False, True):
        thread = await it.thread()
        await it.log.append(thread, [it.message(thread)])
        following = it.log.follow(thread)

        async def delete_it(thread: str = thread) -> None:
            def work(tx: Transaction) -> None:
                tx.thread_deleted(thread)
                tx.connection.execute(delete(threads).where(threads.c.id == thread))

            await it.log.transact(work)

        if during_read:
            # The deletion is published while the page that was read before it is on its way.
            read = it.log.read

            async def slow(*args: object, read: Any = read, **options: object) -> Page:
                page: Page = await read(*args, **options)
                await delete_it()
                return page

            it.log.read = slow  # type: ignore[method-assign, assignment]
            await anext(following)
            it.log.read = read  # type: ignore[method-assign]
        else:
            await anext(following)
            assert await anext(following) == []
            await delete_it()
        with pytest.raises(NotFound):
            await asyncio.wait_for(exhaust(following), 5)


async def test_a_follower_looks_again_when_a_commit_may_have_succeeded_unheard(
    it: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = await it.thread()
    following = it.log.follow(thread)
    assert await anext(following) == []
    write = it.database.write

    async def unheard(work: object, *, committed: object = None) -> object:
        await write(work)  # type: ignore[arg-type]
        raise Unavailable("The connection broke at the commit.")

    waiting = asyncio.ensure_future(anext(following))
    with monkeypatch.context() as patch:
        patch.setattr(it.database, "write", unheard)
        with pytest.raises(Unavailable):
            await it.log.append(thread, [it.message(thread)])
    async with asyncio.timeout(5):
        assert [seq for seq, _, _ in await waiting] == [1]
    await following.aclose()  # type: ignore[attr-defined]


async def test_two_hundred_followers_hold_no_connection_and_leave_no_listener(it: Bench) -> None:
    thread = await it.thread()
    await it.log.append(thread, [it.message(thread)])
    ready: list[int] = []
    reached = asyncio.Event()

    async def follow() -> None:
        async for batch in it.log.follow(thread):
            if not batch:
                ready.append(1)
                if len(ready) == 200:
                    reached.set()

    tasks = [asyncio.create_task(follow()) for _ in range(200)]
    await reached.wait()
    assert it.database.checked_out == 0
    assert len(it.bus._threads[thread]) == 200
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert it.bus._threads == {}
    assert it.database.checked_out == 0
