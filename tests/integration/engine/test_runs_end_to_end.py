"""A run from its message to its end: events in order, results, history, files, every way to fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from netra.agents import Answer, RunContext, Thought, agent
from netra.agents.spec import AgentSpec, spec_of
from netra.errors import AgentError
from netra.events import Attachment
from netra.log import Transaction
from netra.storage.tables import events as events_table
from support.engine import kinds, workbench


def double(number: int) -> int:
    return number * 2


async def describe(city: str, api_key: str = "") -> dict[str, str]:
    return {"city": city}


@agent(title="Trivial")
async def trivial(ctx: RunContext) -> Any:
    yield Thought("Thinking.")
    value = await ctx.tool(double, 21, purpose="To know.")
    town = await ctx.tool(describe, "Uppsala", api_key="sk-very-secret")
    for piece in ("The ", "answer ", "is "):
        yield piece
    yield f"{value} in {town['city']}."
    yield Answer(result={"value": value})


async def test_an_async_generator_runs_to_its_end(database_url: str, tmp_path: Path) -> None:
    async with workbench(database_url, tmp_path, [spec_of(trivial)]) as bench:
        end, events = await bench.ask("trivial", "How much?")
    assert kinds(events) == [
        "user_message",
        "agent_started",
        "agent_thinking",
        "tool_executing",
        "tool_completed",
        "tool_executing",
        "tool_completed",
        "agent_completed",
    ]
    assert end["status"] == "succeeded"
    assert end["final_response"] == "The answer is 42 in Uppsala."
    assert end["result"] == {"value": 42}
    assert events[1]["message"] == "Trivial is starting."
    assert events[3]["parameters"] == {"number": 21}
    assert events[3]["tool_purpose"] == "To know."
    assert events[4]["results"] == 42
    assert events[4]["tool_call_id"] == events[3]["tool_call_id"]
    assert "sk-very-secret" not in str(events)
    assert not any(event["type"] == "text_delta" for event in events), "streamed text is removed at the end"
    assert [event["prev"] for event in events][1:] == [event["seq"] for event in events][:-1]


@agent
async def repeats(ctx: RunContext) -> str:
    return ctx.message.content


@agent
class Counting:
    """Counts its calls: a class is made anew for each run."""

    def __init__(self) -> None:
        self.calls = 0

    async def run(self, ctx: RunContext) -> str:
        self.calls += 1
        return f"call {self.calls}"


class Shared:
    name = "shared"

    async def run(self, ctx: RunContext) -> None:
        await ctx.stream("only streamed")


async def test_every_form_of_agent_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [spec_of(repeats), spec_of(Counting), spec_of(Shared())]) as bench:
        assert (await bench.ask("repeats", "echo"))[0]["final_response"] == "echo"
        for _ in range(2):
            assert (await bench.ask("Counting"))[0]["final_response"] == "call 1"
        assert (await bench.ask("shared"))[0]["final_response"] == "only streamed"


@agent
async def remembers(ctx: RunContext) -> Answer:
    turns = [
        {"question": t.question, "answer": t.answer, "files": [f.name for f in t.attachments], "result": t.result}
        for t in ctx.history
    ]
    here = [[file.name, file.path.read_text()] for file in ctx.files.all()]
    return Answer(f"{ctx.message.content}!", {"turns": turns, "here": here, "mine": len(ctx.message.attachments)})


async def test_history_and_files_come_from_the_log(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for name in ("fil_a", "fil_b"):
        (tmp_path / "files" / name).write_text(f"content of {name}")
    first = Attachment(id="fil_a", name="a.csv", size=3, media_type="text/csv")
    second = Attachment(id="fil_b", name="b.csv", size=3, media_type="text/csv")
    async with workbench(database_url, tmp_path, [spec_of(remembers)]) as bench:
        thread = await bench.thread()
        await bench.ask("remembers", "one", thread=thread, attachments=[first])
        end, _ = await bench.ask("remembers", "two", thread=thread, attachments=[second])
        assert end["result"]["here"] == [["a.csv", "content of fil_a"], ["b.csv", "content of fil_b"]]
        assert end["result"]["mine"] == 1
        (turn,) = end["result"]["turns"]
        assert (turn["question"], turn["answer"], turn["files"]) == ("one", "one!", ["a.csv"])
        assert turn["result"]["turns"] == []


@agent
async def long_winded(ctx: RunContext) -> Answer:
    if ctx.history:
        return Answer(str(len(ctx.history[0].answer)), len(ctx.history[0].result))
    return Answer("x" * 100_000, ["y" * 1000] * 100)


async def test_an_answer_kept_as_a_blob_is_whole_in_the_history(tmp_path: Path) -> None:
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [spec_of(long_winded)]) as bench:
        thread = await bench.thread()
        end, _ = await bench.ask("long_winded", thread=thread)
        assert "$blob" in end["final_response"]
        end, _ = await bench.ask("long_winded", thread=thread)
        assert (end["final_response"], end["result"]) == ("100000", 100)


def refuse() -> None:
    raise AgentError("The bank is closed.")


def explode() -> None:
    raise ValueError("secret detail of the inside")


@agent
async def streams_then_refuses(ctx: RunContext) -> None:
    await ctx.stream("So far so good")
    await ctx.tool(refuse)


@agent
async def explodes(ctx: RunContext) -> None:
    explode()


@agent
async def survives(ctx: RunContext) -> str:
    try:
        await ctx.tool(explode)
    except ValueError as error:
        return f"survived {error}"
    return "nothing happened"


@agent
async def returns_a_number(ctx: RunContext) -> str:
    return 7  # type: ignore[return-value]


@agent
async def returns_the_unspeakable(ctx: RunContext) -> Answer:
    return Answer("text", {"lock": threading.Lock()})


@agent
async def cancels_itself(ctx: RunContext) -> None:
    raise asyncio.CancelledError


@agent
async def says_half_a_character(ctx: RunContext) -> str:
    await ctx.think("\ud83d")
    return "half \ud83d"


@agent
async def spends(ctx: RunContext) -> None:
    await ctx.stream("spending")
    ctx.add_usage(input_tokens=10, output_tokens=5, cost_usd=0.25)
    with contextlib.suppress(AgentError):  # an agent that looks away
        ctx.add_usage(input_tokens=10, output_tokens=5, cost_usd=0.25)
    await ctx.tool(double, 1)


FAILING = [
    streams_then_refuses,
    explodes,
    survives,
    returns_a_number,
    returns_the_unspeakable,
    cancels_itself,
    says_half_a_character,
    spends,
]


@pytest.mark.parametrize(
    ("name", "status", "code", "message", "text"),
    [
        ("streams_then_refuses", "failed", "agent_error", "The bank is closed.", "So far so good"),
        ("explodes", "failed", "internal", "run_", ""),
        ("survives", "succeeded", None, "", "survived secret detail of the inside"),
        ("returns_a_number", "failed", "agent_error", "int", ""),
        ("returns_the_unspeakable", "failed", "agent_error", "cannot be stored", ""),
        ("cancels_itself", "failed", "internal", "run_", ""),
        ("says_half_a_character", "succeeded", None, "", "half ?"),
        ("spends", "failed", "budget_exceeded", "$0.3", "spending"),
        ("nobody", "failed", "agent_error", "no agent 'nobody'", ""),
    ],
)
async def test_whatever_an_agent_does_its_run_ends_once(
    tmp_path: Path, name: str, status: str, code: str | None, message: str, text: str
) -> None:
    agents = [spec_of(each) for each in FAILING]
    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, agents, run_cost_usd=0.3) as bench:
        thread, run_id = await bench.send(agent=name)
        end = await bench.ended(thread, run_id)
        assert end["status"] == status
        assert end["final_response"] == text
        assert (end["error"] or {}).get("code") == code
        assert message in (end["error"] or {}).get("message", "")
        assert "secret detail" not in str(end["error"])
        assert kinds(await bench.events(thread)).count("agent_completed") == 1
        row = await bench.row(run_id)
        assert row.state == status
        assert row.ended_at is not None
        if name == "spends":
            assert (row.input_tokens, row.output_tokens, float(row.cost_usd)) == (20, 10, 0.5)
            assert end["usage"] == {"input_tokens": 20, "output_tokens": 10, "cost_usd": 0.5}


async def test_text_is_streamed_at_once_and_in_pieces(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: RunContext) -> None:
        for number in range(100):
            await ctx.stream(f"{number} ")
        await go_on.wait()

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("slow", slow)]) as bench:
        thread, run_id = await bench.send(agent="slow")
        expected = "".join(f"{number} " for number in range(100))
        read = {"text": ""}

        def complete(event: dict[str, Any]) -> bool:
            if event["type"] == "text_delta":
                assert event["offset"] == len(read["text"])
                assert event["attempt"] == 1
                read["text"] += event["text"]
            return read["text"] == expected

        events = await bench.until(thread, complete)
        assert 1 < sum(event["type"] == "text_delta" for event in events) <= 4
        go_on.set()
        assert (await bench.ended(thread, run_id))["final_response"] == expected


async def test_sub_agents_speak_under_their_own_names_and_nested_tools_are_seen(tmp_path: Path) -> None:
    async def boss(ctx: RunContext) -> str:
        async def outer(number: int) -> int:
            inner = await ctx.sub("worker").tool(double, number)
            return int(inner) + 1

        await ctx.sub("triage").think("Looking.")
        results = await asyncio.gather(*(ctx.tool(outer, number) for number in (1, 2, 3)))
        return str(results)

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("boss", boss)]) as bench:
        end, events = await bench.ask("boss")
    assert end["final_response"] == "[3, 5, 7]"
    assert end["agent_name"] == "boss"
    assert [e["agent_name"] for e in events if e["type"] == "agent_thinking"] == ["triage"]
    assert sorted(e["agent_name"] for e in events if e["type"] == "tool_completed") == ["boss"] * 3 + ["worker"] * 3


async def test_a_tool_knows_its_idempotency_key(tmp_path: Path) -> None:
    async def keyed(ctx: RunContext) -> str:
        def key() -> str | None:
            return ctx.idempotency_key

        keys = [await ctx.tool(key), await ctx.tool(key)]
        assert ctx.idempotency_key is None
        assert keys[0] != keys[1]
        assert all(each.startswith(ctx.run_id) for each in keys)
        return "fine"

    async with workbench(f"sqlite:///{tmp_path / 'netra.db'}", tmp_path, [AgentSpec("keyed", keyed)]) as bench:
        assert (await bench.ask("keyed"))[0]["final_response"] == "fine"


async def test_a_run_whose_figures_cannot_be_stored_ends_without_them(database_url: str, tmp_path: Path) -> None:
    async def overflows(ctx: RunContext) -> str:
        ctx.usage.input_tokens = 10**30  # past every check
        return "fine"

    async with workbench(database_url, tmp_path, [AgentSpec("overflows", overflows)]) as bench:
        end, _ = await bench.ask("overflows")
    assert (end["status"], end["error"]["code"]) == ("failed", "internal")
    assert end["usage"]["input_tokens"] == 0


async def test_a_run_whose_end_fails_in_every_form_is_ended_by_the_next_sweep(tmp_path: Path) -> None:
    async def answers(ctx: RunContext) -> str:
        return "fine"

    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("answers", answers)]) as bench:
        thread = await bench.thread()

        def trigger(tx: Transaction) -> None:  # the database refuses the ends that the run's own attempt tries
            tx.connection.exec_driver_sql(
                "CREATE TRIGGER refusing BEFORE UPDATE OF state ON runs WHEN NEW.state IN ('succeeded', 'failed') "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            )

        await bench.log.transact(trigger)
        end, events = await bench.ask("answers", thread=thread)
    assert (end["status"], end["error"]["code"]) == ("died", "died")
    assert kinds(events).count("agent_completed") == 1


async def test_a_turn_that_cannot_be_read_does_not_stop_the_thread(tmp_path: Path) -> None:
    async def remembers(ctx: RunContext) -> str:
        return " ".join(f"{turn.question}={turn.answer or '?'}" for turn in ctx.history)

    url = f"sqlite:///{tmp_path / 'netra.db'}"
    async with workbench(url, tmp_path, [AgentSpec("remembers", remembers)]) as bench:
        thread = await bench.thread()
        await bench.ask("remembers", "one", thread=thread)
        await bench.ask("remembers", "two", thread=thread)

        def spoil(tx: Transaction) -> None:
            tx.connection.execute(
                update(events_table)
                .where(events_table.c.thread_id == thread, events_table.c.type == "agent_completed")
                .where(events_table.c.seq == 3)
                .values(body=b'{"type":"agent_completed","usage":{"cost_usd":null}}')
            )

        await bench.log.transact(spoil)
        _, run_id = await bench.send("three", agent="remembers", thread=thread)
        assert (await bench.ended_row(run_id)).state == "succeeded"
        async with bench.database.read() as connection:
            last = (
                select(events_table.c.body).where(events_table.c.run_id == run_id).order_by(events_table.c.seq.desc())
            )
            body = json.loads(bytes((await connection.execute(last.limit(1))).scalar_one()))
        assert body["final_response"] == "one=? two=one=?"
