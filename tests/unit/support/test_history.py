"""The judge of histories objects to every kind of fault, and to nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from support.history import Asked, Entry, Event, Got, Log, Rested, Sent, check


def event(seq: int, prev: int, type: str, run: str | None = "run_1", **members: Any) -> Event:
    head = {"seq": seq, "prev": prev, "type": type, "run_id": run, "thread_id": "thr_1", "user_id": "ann"}
    return {**head, **members}


MESSAGE = event(1, 0, "user_message", None, content="hello")
STARTED = event(2, 1, "agent_started")
FIRST_TEXT = event(3, 2, "text_delta", text="a")
SECOND_TEXT = event(4, 3, "text_delta", text="b")
END = event(5, 4, "agent_completed", status="succeeded")
END_IN_LOG = {**END, "prev": 2}
LOG = Log("ann", "thr_1", (MESSAGE, STARTED, END_IN_LOG))
SENT = Sent("ann", "k1", "hello", "thr_1", 1, "run_1")
LIVE: list[Entry] = [
    Asked("tab", "ann", "thr_1", 0),
    *(Got("tab", e) for e in (MESSAGE, STARTED, FIRST_TEXT, SECOND_TEXT, END)),
    Rested("tab"),
]
GOOD: list[Entry] = [SENT, *LIVE, LOG]


def without(history: list[Entry], *entries: Entry) -> list[Entry]:
    return [entry for entry in history if entry not in entries]


def test_a_good_history_has_no_fault() -> None:
    assert check(GOOD) == []


def test_a_reader_that_comes_after_compaction_has_no_fault() -> None:
    late: list[Entry] = [Asked("late", "ann", "thr_1", 0), *(Got("late", e) for e in LOG.events), Rested("late")]
    assert check([*GOOD, *late]) == []


def test_a_reader_that_resumes_in_the_middle_of_compacted_text_has_no_fault() -> None:
    cut: list[Entry] = [
        Asked("cut", "ann", "thr_1", 0),
        *(Got("cut", e) for e in (MESSAGE, STARTED, FIRST_TEXT)),
        Asked("cut", "ann", "thr_1", 3),
        Got("cut", END_IN_LOG),
        Rested("cut"),
    ]
    assert check([*GOOD, *cut]) == []


def test_a_message_whose_answer_never_came_may_be_stored_or_not() -> None:
    assert check([Sent("ann", "k1", "hello"), *LIVE, LOG]) == []
    assert check([*GOOD, Sent("ann", "k2", "lost on the way")]) == []


BAD: dict[str, tuple[str, list[Entry]]] = {
    "an event never came": ("gap", without(GOOD, Got("tab", STARTED))),
    "streamed text never came": ("gap", without(GOOD, Got("tab", FIRST_TEXT))),
    "the end never came": ("lost", without(GOOD, Got("tab", END))),
    "an event came twice": ("repeated", [*GOOD[:4], Got("tab", STARTED), *GOOD[4:]]),
    "two events changed places": ("gap", [SENT, LIVE[0], LIVE[2], LIVE[1], *LIVE[3:], LOG]),
    "an old event came late": (
        "order",
        [*GOOD, Asked("late", "ann", "thr_1", 2), Got("late", END_IN_LOG), Got("late", MESSAGE)],
    ),
    "an event nobody stored came": ("phantom", [*GOOD, Got("tab", event(6, 5, "agent_thinking"))]),
    "an event was lost from the log": ("phantom", [SENT, *LIVE, Log("ann", "thr_1", (MESSAGE, {**END, "prev": 1}))]),
    "a message nobody sent is in the log": ("phantom", [*LIVE, LOG]),
    "a refused message is in the log": ("phantom", [Sent("ann", "k1", "hello", refused=True), *LIVE, LOG]),
    "an acknowledged message is not in the log": ("lost", [*GOOD, Sent("ann", "k2", "gone", "thr_1", 9, "run_1")]),
    "an acknowledged thread is not there": ("lost", [*GOOD, Sent("ann", "k2", "gone", "thr_9", 1, "run_9")]),
    "one key has two places": ("double", [*GOOD, Sent("ann", "k1", "hello", "thr_1", 2, "run_1")]),
    "one message is stored twice": (
        "double",
        [SENT, Log("ann", "thr_1", (*LOG.events, event(6, 5, "user_message", None, content="hello")))],
    ),
    "content changed": ("changed", [*GOOD[:2], Got("tab", {**STARTED, "message": "other"}), *GOOD[3:]]),
    "somebody else reads": (
        "leak",
        [*GOOD, Asked("spy", "bob", "thr_1", 0), Got("spy", MESSAGE)],
    ),
    "another thread's event came": ("leak", [*GOOD, Got("tab", {**MESSAGE, "thread_id": "thr_2"})]),
    "a run never ended": ("end", [SENT, *LIVE[:3], Log("ann", "thr_1", (MESSAGE, STARTED))]),
    "an accepted message was never answered": ("end", [SENT, Log("ann", "thr_1", (MESSAGE,))]),
    "a run ended twice": ("end", [SENT, Log("ann", "thr_1", (*LOG.events, event(6, 5, "agent_completed")))]),
    "a run went on after its end": ("end", [SENT, Log("ann", "thr_1", (*LOG.events, event(6, 5, "agent_thinking")))]),
    "a run started twice": (
        "end",
        [SENT, Log("ann", "thr_1", (MESSAGE, STARTED, event(3, 2, "agent_started"), {**END, "prev": 3}))],
    ),
    "streamed text outlived its run": (
        "end",
        [SENT, Log("ann", "thr_1", (MESSAGE, STARTED, FIRST_TEXT, {**END, "prev": 3}))],
    ),
    "prev is wrong in the log": ("gap", [SENT, Log("ann", "thr_1", (MESSAGE, STARTED, END))]),
    "a reader forgot where it was": ("resume", [*GOOD, Asked("tab", "ann", "thr_1", 2)]),
}


@pytest.mark.parametrize(("kind", "history"), BAD.values(), ids=BAD.keys())
def test_the_judge_objects_when(kind: str, history: list[Entry]) -> None:
    assert any(fault.startswith(f"{kind}: ") for fault in check(history)), check(history)
