"""Each user's handle: one object for one user, which sees that user's executions and nothing else."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netra.executions import AgentExecutionTracker, blocked_constructions, get_execution_tracker
from netra.monitoring.daily import daily
from netra.monitoring.metrics import metrics
from support.clock import ManualClock
from support.executions import begin, complete, create, empty_tracker

KINDS = ["read", "write", "create", "clean_up"]


def handle_of(user_id: str) -> AgentExecutionTracker:
    return get_execution_tracker({"user_id": user_id})


def refusals(kind: str) -> float:
    value = metrics.registry.get_sample_value("netra_isolation_refusals_total", {"kind": kind})
    return 0.0 if value is None else value


@pytest.mark.spec("tracker.user-handle")
def test_one_user_has_one_handle_and_it_is_a_tracker(tracker: AgentExecutionTracker) -> None:
    ada = handle_of("usr_ada")
    assert isinstance(ada, AgentExecutionTracker)
    assert type(ada) is AgentExecutionTracker
    assert handle_of("usr_ada") is ada
    assert handle_of("usr_bob") is not ada
    assert ada is not tracker
    assert handle_of(" usr_ada") is not ada, "ids are compared as they are"


@pytest.mark.spec("tracker.user-handle")
@pytest.mark.parametrize("first", ["handle", "execution"])
def test_the_handle_stays_the_same_while_its_user_has_executions(tracker: AgentExecutionTracker, first: str) -> None:
    if first == "execution":
        begin(tracker)
    seen = weakref.ref(handle_of("usr_ada"))
    if first == "handle":
        ada = handle_of("usr_ada")
        seen = weakref.ref(ada)
        begin(tracker)
        del ada
    complete(tracker, "run_1")
    gc.collect()
    assert seen() is not None
    assert handle_of("usr_ada") is seen()


@pytest.mark.spec("tracker.user-handle")
def test_handles_of_users_without_executions_take_no_memory(tracker: AgentExecutionTracker) -> None:
    seen = [weakref.ref(handle_of(f"usr_{number}")) for number in range(1000)]
    begin(tracker, "run_1", "usr_ada")
    seen.append(weakref.ref(handle_of("usr_ada")))
    tracker.cleanup_user_data("usr_ada")
    gc.collect()
    assert [ref() for ref in seen if ref() is not None] == []


@pytest.mark.spec("tracker.bad-context")
@pytest.mark.parametrize("context", ["usr_ada", ["usr_ada"], 7, object(), ("user_id", "usr_ada")])
def test_a_context_that_is_no_dict_is_a_type_error(context: Any) -> None:
    with pytest.raises(TypeError, match="dict"):
        get_execution_tracker(context)


@pytest.mark.spec("tracker.bad-context")
@pytest.mark.parametrize(
    "context", [{}, {"user_id": ""}, {"user_id": " \t"}, {"user_id": None}, {"user_id": 7}, {"user": "usr_ada"}]
)
def test_a_context_without_a_user_is_a_value_error(context: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="user_id"):
        get_execution_tracker(context)


@pytest.mark.spec("tracker.no-current-user")
def test_whose_a_handle_is_never_changes(tracker: AgentExecutionTracker) -> None:
    context = {"user_id": "usr_ada"}
    ada = get_execution_tracker(context)
    context["user_id"] = "usr_bob"
    assert ada.user_context is not None
    assert ada.user_context.user_id == "usr_ada"
    for name in ("user_context", "_context", "_book", "anything"):
        with pytest.raises(AttributeError):
            setattr(ada, name, None)
    with pytest.raises(AttributeError):
        del ada._context
    with pytest.raises(AttributeError):
        ada.user_context.user_id = "usr_bob"  # type: ignore[misc]


@pytest.mark.spec("tracker.direct-construction")
@pytest.mark.parametrize(
    "construct",
    [
        lambda tracker: AgentExecutionTracker(),
        lambda tracker: AgentExecutionTracker({"user_id": "usr_ada"}),
        lambda tracker: type(tracker)(),
        lambda tracker: type("Mine", (AgentExecutionTracker,), {}),
        lambda tracker: type("Mine", (AgentExecutionTracker,), {"__new__": object.__new__}),
        lambda tracker: copy.copy(tracker),
        lambda tracker: copy.deepcopy(tracker),
        lambda tracker: pickle.dumps(tracker),
        lambda tracker: object.__new__(AgentExecutionTracker).get_active_executions(),
    ],
    ids=["call", "with a context", "type", "subclass", "own __new__", "copy", "deepcopy", "pickle", "object.__new__"],
)
def test_a_tracker_made_without_the_factory_is_refused_and_counted(
    tracker: AgentExecutionTracker, construct: Callable[[AgentExecutionTracker], object]
) -> None:
    def counts() -> tuple[float | None, int, int, int | None]:
        metric = metrics.registry.get_sample_value("netra_blocked_constructions_total")
        day = daily.since_start("blocked_constructions").count
        return metric, day, blocked_constructions(), tracker.get_metrics().blocked_constructions

    before = counts()
    with pytest.raises(RuntimeError, match=r"get_execution_tracker\(\): a second one would not see"):
        construct(tracker)
    assert counts() == tuple(count + 1 for count in before if count is not None)


class Ours:
    """Bob's handle, with an execution of his and one of Ada's that he is not to see."""

    def __init__(self, tracker: AgentExecutionTracker) -> None:
        begin(tracker, "run_ada", "usr_ada", thread_id="thr_ada", metadata={"canary": "ada"})
        begin(tracker, "run_bob", "usr_bob", thread_id="thr_bob")
        self.everybody = tracker
        self.bob = handle_of("usr_bob")
        self._refused_before = Counter(tracker.get_metrics().refusals)

    @property
    def refused(self) -> dict[str, int]:
        """The attempts that were refused and counted since, by kind."""
        return dict(Counter(self.everybody.get_metrics().refusals) - self._refused_before)


@pytest.fixture
def ours(clock: ManualClock) -> Iterator[Ours]:
    with empty_tracker(clock) as tracker:
        yield Ours(tracker)


READS: list[tuple[Callable[[AgentExecutionTracker], object], object]] = [
    (lambda bob: bob.get_execution("run_ada"), None),
    (lambda bob: bob.get_user_executions("usr_ada"), []),
    (lambda bob: bob.get_executions_by_thread("thr_ada"), []),
]
WRITES: list[tuple[str, Callable[[AgentExecutionTracker], object]]] = [
    ("write", lambda bob: bob.start_execution("run_ada")),
    ("write", lambda bob: bob.transition("run_ada", "tool")),
    ("write", lambda bob: bob.heartbeat("run_ada")),
    ("write", lambda bob: bob.progress("run_ada", "mine")),
    ("write", lambda bob: bob.pause("run_ada")),
    ("write", lambda bob: bob.resume("run_ada")),
    ("write", lambda bob: bob.finish("run_ada", "failed")),
    ("write", lambda bob: bob.leave("run_ada")),
    ("create", lambda bob: create(bob, "run_new", "usr_ada")),
    ("create", lambda bob: create(bob, "run_ada", "usr_bob", attempt=2)),
    ("clean_up", lambda bob: bob.cleanup_user_data("usr_ada")),
]


@pytest.mark.spec("tracker.isolation", "tracker.refusals-counted")
@pytest.mark.parametrize(("read", "nothing"), READS)
def test_reading_another_users_executions_gives_nothing_and_is_counted(
    ours: Ours, read: Callable[[AgentExecutionTracker], object], nothing: object
) -> None:
    before = {kind: refusals(kind) for kind in KINDS}
    day = daily.since_start("refused_accesses").count
    assert read(ours.bob) == nothing
    assert {kind: refusals(kind) - before[kind] for kind in KINDS} == {**dict.fromkeys(KINDS, 0), "read": 1}
    assert ours.refused == {"read": 1}
    assert daily.since_start("refused_accesses").count == day + 1


@pytest.mark.spec("tracker.isolation", "tracker.refusals-counted")
@pytest.mark.parametrize(("kind", "write"), WRITES)
def test_writing_to_another_users_executions_is_refused_and_counted(
    ours: Ours, kind: str, write: Callable[[AgentExecutionTracker], object]
) -> None:
    before = ours.everybody.get_user_executions("usr_ada")
    counted = {each: refusals(each) for each in KINDS}
    of_tracker = dict(ours.everybody.get_metrics().refusals or {})
    with pytest.raises(PermissionError) as refused:
        write(ours.bob)
    assert "ada" not in str(refused.value)
    assert refused.value.__suppress_context__, "the traceback does not tell either"
    assert ours.everybody.get_user_executions("usr_ada") == before
    assert {each: refusals(each) - counted[each] for each in KINDS} == {**dict.fromkeys(KINDS, 0), kind: 1}
    assert (ours.everybody.get_metrics().refusals or {})[kind] == of_tracker.get(kind, 0) + 1
    assert ours.refused == {kind: 1}


@pytest.mark.spec("tracker.isolation")
def test_a_handle_lists_and_judges_and_counts_its_own_only(ours: Ours, clock: ManualClock) -> None:
    bob = ours.bob

    def ids(records: list[Any]) -> list[str]:
        return [record.execution_id for record in records]

    assert ids(bob.get_active_executions()) == ["run_bob"]
    assert ids(bob.get_executions_by_agent("echo")) == ["run_bob"]
    assert ids(bob.get_executions_by_thread("thr_bob")) == ["run_bob"]
    assert ids(bob.get_user_executions("usr_bob")) == ["run_bob"]
    assert bob.get_metrics().active["running"] == 1
    assert (bob.get_metrics().refusals, bob.get_metrics().blocked_constructions) == (None, None)
    clock.advance(1000)
    assert ids(bob.judge()) == ["run_bob"]
    assert ids(ours.everybody.judge()) == ["run_ada", "run_bob"]
    ours.everybody.finish("run_ada", "failed")
    assert bob.get_ended_executions() == []
    assert ours.refused == {}, "nothing of this is an attempt on somebody else's"


@pytest.mark.spec("tracker.isolation")
def test_what_does_not_exist_reads_the_same_as_what_is_another_users(ours: Ours) -> None:
    texts = []
    for execution_id in ("run_ada", "run_that_never_was"):
        with pytest.raises(PermissionError) as refused:
            ours.bob.heartbeat(execution_id)
        texts.append(str(refused.value))
    assert texts[0] == texts[1]
    assert ours.bob.get_execution("run_ada") is ours.bob.get_execution("run_that_never_was") is None
    assert ours.refused == {"write": 1, "read": 1}, "only attempts on somebody's are counted"


@pytest.mark.spec("tracker.user-handle")
def test_a_handle_does_everything_for_its_own_user(ours: Ours) -> None:
    begin(ours.bob, "run_2", "usr_bob")
    ours.bob.pause("run_2")
    ours.bob.resume("run_2")
    complete(ours.bob, "run_2")
    assert ours.everybody.get_execution("run_2") == ours.bob.get_execution("run_2")
    assert ours.bob.cleanup_user_data("usr_bob") == 2
    assert ours.everybody.get_user_executions("usr_bob") == []
    assert len(ours.everybody.get_user_executions("usr_ada")) == 1


USERS = 50
ROUNDS = 10


def live(user: int, canaries: dict[int, str], note: Callable[[str], None]) -> Iterator[None]:
    """One user's work, who tries a neighbour's door in each round. Yields between steps, so that users interleave."""
    user_id, neighbour = f"usr_{user}", f"usr_{(user + 1) % USERS}"
    handle = handle_of(user_id)
    for number in range(ROUNDS):
        execution_id = f"run_{user}_{number}"
        create(handle, execution_id, user_id, metadata={"canary": canaries[user]}, agent_name="echo")
        handle.start_execution(execution_id)
        yield
        handle.transition(execution_id, "working")
        handle.transition(execution_id, "tool", canaries[user])
        yield
        foreign = f"run_{(user + 1) % USERS}_{number}"
        if handle.get_execution(foreign) is not None or handle.get_user_executions(neighbour):
            note(f"{user_id} reads {foreign}")
        try:
            handle.finish(foreign, "failed", canaries[user])
        except PermissionError:
            pass
        else:
            note(f"{user_id} ends {foreign}")
        yield
        if handle_of(user_id) is not handle:
            note(f"{user_id} has two handles")
        for record in handle.get_executions_by_agent("echo") + handle.get_active_executions():
            seen = {record.metadata["canary"], *(step.note for step in record.steps if step.note)}
            if record.user_id != user_id or seen != {canaries[user]}:
                note(f"{user_id} sees {record.user_id} and {seen}")
        complete(handle, execution_id)
        yield


def check(tracker: AgentExecutionTracker, failures: list[str], canaries: dict[int, str]) -> None:
    assert failures == []
    for user in range(USERS):
        records = tracker.get_user_executions(f"usr_{user}")
        assert [record.state.value for record in records] == ["completed"] * ROUNDS
        assert {record.metadata["canary"] for record in records} == {canaries[user]}


@pytest.mark.spec("tracker.no-current-user", "tracker.isolation")
@pytest.mark.parametrize("way", ["threads", "tasks"])
async def test_fifty_users_at_once_see_no_canary_but_their_own(way: str) -> None:
    canaries = {user: f"canary-{user}-{way}" for user in range(USERS)}
    failures: list[str] = []

    def in_thread(user: int, ready: threading.Barrier) -> None:
        ready.wait(30)
        try:
            for _ in live(user, canaries, failures.append):
                time.sleep(0)  # lets another thread run
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(repr(error))

    async def in_task(user: int) -> None:
        for _ in live(user, canaries, failures.append):
            await asyncio.sleep(0)

    with empty_tracker() as tracker:
        if way == "threads":
            ready = threading.Barrier(USERS)
            threads = [threading.Thread(target=in_thread, args=(user, ready)) for user in range(USERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                await asyncio.to_thread(thread.join, 60)
        else:
            await asyncio.gather(*(in_task(user) for user in range(USERS)))
        check(tracker, failures, canaries)
