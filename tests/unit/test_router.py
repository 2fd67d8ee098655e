"""Whatever arrives, the router answers, and no failure reaches beyond its own message."""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netra.app import create_app
from netra.config import Settings
from netra.errors import Conflict, RateLimited
from netra.events import Ack, Command, ErrorFrame, Ping, Pong, ResolveApproval, SendMessage, Subscribe, encode
from netra.monitoring.metrics import metrics
from netra.routing import MessageRouter


class Desk:
    """Handlers that note what they were given."""

    def __init__(self) -> None:
        self.seen: list[Command] = []

    async def note(self, sender: str, command: Command) -> Ack:
        self.seen.append(command)
        return Ack(id="noted")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def router(desk: Desk) -> MessageRouter[str]:
    return make_router(desk)


def make_router(desk: Desk) -> MessageRouter[str]:
    router: MessageRouter[str] = MessageRouter()
    for kind in (SendMessage, Subscribe, ResolveApproval):
        router.register(kind, desk.note)
    return router


async def refused(router: MessageRouter[str], data: str | bytes) -> ErrorFrame:
    answer = await router.dispatch("somebody", data)
    assert isinstance(answer, ErrorFrame), answer
    encode(answer)  # what cannot be sent would end the connection
    return answer


@pytest.mark.spec("router.one-registry")
async def test_a_message_reaches_the_handler_of_its_type_decoded(router: MessageRouter[str], desk: Desk) -> None:
    answer = await router.dispatch("somebody", '{"type":"subscribe","thread_id":"thr_1","after":3}')
    assert answer == Ack(id="noted")
    assert desk.seen == [Subscribe(thread_id="thr_1", after=3)]


@pytest.mark.spec("router.unknown-type")
async def test_an_unknown_type_is_named_with_those_there_are(router: MessageRouter[str]) -> None:
    answer = await refused(router, '{"type":"dance","id":"k1"}')
    assert (answer.code, answer.id) == ("unknown_type", "k1")
    assert "dance" in answer.message
    assert "subscribe" in (answer.hint or "")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ('{"type":"subscribe","thread_id":7,"id":"k"}', "thread_id"),
        ('{"type":"subscribe","thread_id":"t","after":-1,"id":"k"}', "after"),
        ('{"type":"subscribe","id":"k"}', None),
        ('{"type":"user_message","id":"","content":"x"}', "id"),
        ('{"type":"user_message","id":"k","content":"x","attachments":["a",2]}', "attachments[1]"),
        ('{"type":"user_message","id":"k","content":"x","base_seq":-1}', "base_seq"),
    ],
)
async def test_a_wrong_field_is_named(router: MessageRouter[str], desk: Desk, data: str, field: str | None) -> None:
    answer = await refused(router, data)
    assert (answer.code, answer.field) == ("invalid_input", field)
    assert desk.seen == []


DEEP = "[" * 100_000 + "]" * 100_000
BAD = {
    "empty": "",
    "no json": "hello",
    "no object": "[1]",
    "no type": "{}",
    "type of another kind": '{"type":7}',
    "deep": DEEP,
    "deep in an unknown member": '{"type":"subscribe","thread_id":"t","x":' + DEEP + "}",
    "deep payload": '{"type":"resolve_approval","approval_id":"a","decision":"d","payload":' + DEEP + "}",
    "half a surrogate pair": '{"type":"subscribe","thread_id":"\\ud800"}',
    "half a surrogate pair as id": '{"type":"dance","id":"\\udc00"}',
    "half a surrogate pair in the text itself": '{"type":"\ud800"}',
    "5,000 digits": '{"type":"subscribe","thread_id":"t","after":' + "9" * 5000 + "}",
    "5,000 digits as id": '{"type":"subscribe","id":' + "9" * 5000 + "}",
    "beyond any double": '{"type":"subscribe","id":1e999}',
    "broken utf-8": b'{"type":"\xff"}',
    "invalid number": '{"type":"subscribe","thread_id":"t","after":01}',
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_what_is_no_message_is_answered_with_an_error(
    router: MessageRouter[str], desk: Desk, data: str | bytes
) -> None:
    answer = await refused(router, data)
    assert answer.code in ("invalid_message", "invalid_input", "unknown_type")
    assert desk.seen == []


async def test_json_nested_deeper_than_the_limit_is_refused(router: MessageRouter[str], desk: Desk) -> None:
    for levels, allowed in ((60, True), (64, False), (500, False)):
        payload = "[" * levels + "]" * levels
        data = '{"type":"resolve_approval","approval_id":"a","decision":"d","payload":' + payload + "}"
        answer = await router.dispatch("somebody", data)
        assert isinstance(answer, Ack if allowed else ErrorFrame), levels
    assert len(desk.seen) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.one_of(
    st.text(),
    st.binary(),
    JSON.map(json.dumps),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "user_message", "resolve_approval", "x"])},
        optional=dict.fromkeys(("id", "thread_id", "after", "content", "attachments", "approval_id"), JSON),
    ).map(json.dumps),
)


@settings(max_examples=300, deadline=None)
@given(data=MESSAGES)
def test_nothing_that_can_be_sent_makes_the_router_raise(data: str | bytes) -> None:
    answer = asyncio.run(make_router(Desk()).dispatch("somebody", data))
    assert answer is not None
    encode(answer)


@pytest.mark.spec("router.handler-failure")
async def test_a_handler_that_fails_is_answered_and_others_go_on(desk: Desk) -> None:
    router: MessageRouter[str] = MessageRouter()

    async def fail(sender: str, command: Ping) -> None:
        raise ZeroDivisionError("a secret of the inside")

    router.register(Ping, fail)
    router.register(Subscribe, desk.note)
    failed, fine = await asyncio.gather(
        refused(router, '{"type":"ping","id":"k"}'),
        router.dispatch("somebody", '{"type":"subscribe","thread_id":"t"}'),
    )
    assert (failed.code, failed.id) == ("internal", "k")
    assert "secret" not in failed.message
    assert isinstance(fine, Ack)


@pytest.mark.spec("router.handler-failure")
async def test_a_handler_that_is_too_slow_is_cancelled_and_answered() -> None:
    router: MessageRouter[str] = MessageRouter()
    cancelled = asyncio.Event()

    async def hang(sender: str, command: Ping) -> Pong:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    router.register(Ping, hang, deadline=0.01)
    answer = await refused(router, '{"type":"ping"}')
    assert answer.code == "unavailable"
    assert cancelled.is_set()


async def test_an_error_of_a_use_case_keeps_its_details() -> None:
    router: MessageRouter[str] = MessageRouter()
    errors = iter([Conflict("moved on", hint="read", missed=[]), RateLimited("slow down", retry_after=2.5)])

    async def refuse(sender: str, command: Subscribe) -> None:
        raise next(errors)

    router.register(Subscribe, refuse)
    conflict = await refused(router, '{"type":"subscribe","thread_id":"thr_1"}')
    assert (conflict.code, conflict.hint, conflict.missed, conflict.thread_id) == ("conflict", "read", [], "thr_1")
    limited = await refused(router, '{"type":"subscribe","thread_id":"thr_1"}')
    assert (limited.code, limited.retry_after_seconds) == ("rate_limited", 2.5)


async def test_cancelling_the_dispatch_cancels_the_handler() -> None:
    router: MessageRouter[str] = MessageRouter()
    begun = asyncio.Event()

    async def hang(sender: str, command: Ping) -> None:
        begun.set()
        await asyncio.Event().wait()

    router.register(Ping, hang)
    task = asyncio.create_task(router.dispatch("somebody", '{"type":"ping"}'))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.spec("router.one-registry")
def test_a_type_has_one_handler(router: MessageRouter[str], desk: Desk) -> None:
    with pytest.raises(ValueError, match="subscribe"):
        router.register(Subscribe, desk.note)


@pytest.mark.spec("router.one-registry")
def test_every_command_of_the_wire_has_its_handler_on_the_one_router() -> None:
    netra = create_app(Settings())
    tags = {kind.__struct_config__.tag for kind in get_args(Command)}
    assert set(netra.router.types) == tags


@pytest.mark.spec("router.one-class")
def test_a_router_is_made_without_arguments_and_knows_nothing_yet() -> None:
    assert MessageRouter().types == ()


@pytest.mark.spec("router.outbound")
def test_the_router_sends_nothing_by_itself() -> None:
    verbs = {name for name in dir(MessageRouter) if not name.startswith("_")}
    assert verbs == {"register", "dispatch", "types"}


@pytest.mark.parametrize("outcome", ["ok", "internal", "conflict", "timeout"])
async def test_each_handled_message_is_counted_and_timed(outcome: str) -> None:
    router: MessageRouter[str] = MessageRouter()

    async def handle(sender: str, command: Ping) -> Pong:
        if outcome == "internal":
            raise ZeroDivisionError
        if outcome == "conflict":
            raise Conflict("moved on")
        if outcome == "timeout":
            await asyncio.Event().wait()
        return Pong(server_time="2026-01-02T03:04:05.678Z")

    def value(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(name, labels) or 0.0

    router.register(Ping, handle, deadline=0.02)
    counted = value("netra_commands_total", type="ping", outcome=outcome)
    timed = value("netra_command_seconds_count", type="ping")
    spent = value("netra_command_seconds_sum", type="ping")
    await router.dispatch("somebody", '{"type":"ping"}')
    assert value("netra_commands_total", type="ping", outcome=outcome) == counted + 1
    assert value("netra_command_seconds_count", type="ping") == timed + 1
    assert value("netra_command_seconds_sum", type="ping") - spent >= (0.02 if outcome == "timeout" else 0)
