"""The states of a run, and the units of work that move it from one to the next.

The row in `runs` is at once the queue, the outbox and the truth: a message and its run are stored together, a worker
claims the row, and the transaction that ends the run stores its last event. Every function here runs in the writer
(see `ThreadLog.transact`) and moves a run along this table or raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, select, update

from netra.clock import rfc3339
from netra.errors import IllegalTransition
from netra.events import AgentCompleted, AgentStarted, RunStatus, TextDelta, Usage
from netra.identity.scope import Scope
from netra.ids import new_id
from netra.log import Entry, Fenced, Transaction
from netra.storage.prepared import Prepared
from netra.storage.tables import events, moment, runs, threads, users

ENDS: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "timed_out", "stalled", "died"})
TRANSITIONS: dict[str, frozenset[str]] = {
    "queued": frozenset({"running", "cancelled"}),
    "running": ENDS,
    **{end: frozenset() for end in ENDS},
}


def check_transition(run_id: str, current: str, wanted: str) -> None:
    """Raise unless a run may go from one state to the other.

    Raises:
        IllegalTransition: it may not.
    """
    if wanted not in TRANSITIONS.get(current, frozenset()):
        raise IllegalTransition(f"Run {run_id}", current, wanted)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a run, as its worker needs it.

    Args:
        number: 1, and one more each time the run begins again.
        message: the stored `user_message` event.
        message_seq: its place in the log; what came after belongs to later runs.
        cancelled: the user has asked for the end meanwhile.
        worked_seconds: what earlier attempts have taken of its time, as last noted.
        spent_usd: what they have spent, as last noted.
        exhausted: too many processes have died with this run; it ends as died.
    """

    run_id: str
    thread_id: str
    scope: Scope
    agent: str
    number: int
    message: bytes
    message_seq: int
    worked_seconds: float = 0.0
    spent_usd: float = 0.0
    cancelled: bool = False
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim found. `waiting` says that more runs are queued, which may not start yet."""

    attempts: tuple[Attempt, ...]
    waiting: bool


Greeting = Callable[[str], tuple[str, dict[str, float]]]
"""From an agent's name, what `agent_started` says: its message and its limits."""

_other = runs.alias("other")
_columns = (
    runs.c.id,
    runs.c.thread_id,
    runs.c.user_id,
    runs.c.agent,
    runs.c.state,
    runs.c.attempt,
    runs.c.deaths,
    runs.c.worked_ms,
    runs.c.cost_usd,
    runs.c.message_seq,
    runs.c.ended_at,
    runs.c.cancel_requested_at,
    users.c.roles,
    events.c.body,
)
_source = runs.join(users, users.c.id == runs.c.user_id).join(
    events, (events.c.thread_id == runs.c.thread_id) & (events.c.seq == runs.c.message_seq)
)
_before = (
    select(_other.c.id)
    .where(
        _other.c.thread_id == runs.c.thread_id,
        _other.c.ended_at.is_(None),
        (_other.c.state == "running") | (_other.c.message_seq < runs.c.message_seq),
    )
    .correlate(runs)
    .exists()
)
_running_of_user = (
    select(func.count())
    .select_from(_other)
    .where(_other.c.user_id == runs.c.user_id, _other.c.state == "running", _other.c.ended_at.is_(None))
    .correlate(runs)
    .scalar_subquery()
)
_queued = (runs.c.state == "queued") & runs.c.ended_at.is_(None)
_candidates = Prepared(
    select(*_columns, _running_of_user.label("running"))
    .select_from(_source)
    .where(_queued, runs.c.cancel_requested_at.is_(None), ~_before, _running_of_user < bindparam("per_user"))
    .order_by(runs.c.created_at, runs.c.id)
    .limit(bindparam("most"))
)
_any_queued = Prepared(select(runs.c.id).where(_queued).limit(1))
_take = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.state == "queued")
    .values(state="running", attempt=1, started_at=bindparam("now"), worker_id=bindparam("worker"))
)
_one = Prepared(select(*_columns).select_from(_source).where(runs.c.id == bindparam("run")).with_for_update(of=runs))
_again = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(state="running", attempt=bindparam("number"), deaths=bindparam("lost"), worker_id=bindparam("worker"))
)
_note = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.attempt == bindparam("number"), runs.c.ended_at.is_(None))
    .values(worked_ms=bindparam("worked"), cost_usd=bindparam("cost"))
)
_state = Prepared(
    select(runs.c.thread_id, runs.c.user_id, runs.c.agent, runs.c.state, runs.c.attempt, runs.c.started_at)
    .where(runs.c.id == bindparam("run"))
    .with_for_update()
)
_finish = Prepared(
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(
        state=bindparam("status"),
        ended_at=bindparam("now"),
        input_tokens=bindparam("tokens_in"),
        output_tokens=bindparam("tokens_out"),
        cost_usd=bindparam("cost"),
    )
)
_touch = Prepared(update(threads).where(threads.c.id == bindparam("thread")).values(updated_at=bindparam("now")))


def claim(tx: Transaction, *, worker: str, most: int, per_user: int, greeting: Greeting) -> Claimed:
    """Begin up to `most` queued runs, oldest first: at most `per_user` of one user and one of each thread at a time.

    `worker` is the row of the process that takes them.

    Two processes never begin the same run: the row changes hands only while it is still queued.
    """
    begun: list[Attempt] = []
    while len(begun) < most:
        rows = _candidates.all(tx.connection, {"per_user": per_user, "most": most - len(begun)})
        of_user: Counter[str] = Counter()
        won = 0
        for row in rows:
            if row.running + of_user[row.user_id] >= per_user:
                continue
            if _take.run(tx.connection, {"run": row.id, "now": tx.now, "worker": worker}) != 1:
                continue
            of_user[row.user_id] += 1
            won += 1
            begun.append(_attempt(row, 1))
            _announce(tx, begun[-1], greeting)
        if not won:
            break
    waiting = _any_queued.scalar(tx.connection, {}) is not None
    return Claimed(tuple(begun), waiting)


def begin_again(tx: Transaction, run_id: str, *, worker: str, most_deaths: int, greeting: Greeting) -> Attempt | None:
    """Begin the next attempt at a run whose process is gone; older attempts can store nothing from now on.

    Returns:
        The attempt, or None when the run has ended or was deleted.
    """
    row = _one.one(tx.connection, {"run": run_id})
    if row is None or row.ended_at is not None:
        return None
    if row.state != "running":
        check_transition(run_id, row.state, "running")
    deaths = row.deaths + 1
    attempt = _attempt(row, row.attempt + 1, exhausted=deaths >= most_deaths)
    _again.run(tx.connection, {"run": run_id, "number": attempt.number, "lost": deaths, "worker": worker})
    _announce(tx, attempt, greeting)
    return attempt


def hand_over(tx: Transaction, attempts: Sequence[Attempt]) -> None:
    """Leave running runs to the next process: the end of this one is no death that counts against them."""
    for attempt in attempts:
        tx.connection.execute(
            update(runs)
            .where(runs.c.id == attempt.run_id, runs.c.attempt == attempt.number, runs.c.ended_at.is_(None))
            .values(deaths=runs.c.deaths - 1)
        )


@dataclass(frozen=True, slots=True)
class Note:
    """What a run has taken of its limits so far, all its attempts together."""

    attempt: Attempt
    worked_seconds: float
    spent_usd: float


def note(tx: Transaction, notes: Sequence[Note]) -> None:
    """Write down what running runs have taken of their limits, for the attempt after a crash."""
    if notes:
        _note.run_many(
            tx.connection,
            [
                {
                    "run": each.attempt.run_id,
                    "number": each.attempt.number,
                    "worked": round(each.worked_seconds * 1000),
                    "cost": repr(each.spent_usd),
                }
                for each in notes
            ],
        )


def is_queued(tx: Transaction, run_id: str) -> bool:
    """Whether a run waits to begin; it stays so until the transaction is over."""
    row = _state.one(tx.connection, {"run": run_id})
    return row is not None and row.state == "queued"


@dataclass(frozen=True, slots=True)
class End:
    """How a run ends. `attempt` is None for whoever ends it from outside."""

    run_id: str
    status: RunStatus
    attempt: int | None
    completed: Callable[[Any, int], AgentCompleted]
    usage: Usage = field(default_factory=Usage)
    entries: tuple[Entry, ...] = ()


def end(tx: Transaction, how: End) -> RunStatus | None:
    """End a run: its last events, the removal of its streamed text and its final state, in one.

    Returns:
        The status, or None when the run had ended before or was deleted.

    Raises:
        Fenced: a newer attempt has begun.
        IllegalTransition: the run is not in a state that can end like this.
    """
    row = _state.one(tx.connection, {"run": how.run_id})
    if row is None or row.state in ENDS:
        return None
    if how.attempt is not None and row.attempt != how.attempt:
        raise Fenced(f"Attempt {how.attempt} of {how.run_id} is over.")
    check_transition(how.run_id, row.state, how.status)
    milliseconds = 0 if row.started_at is None else max(0, (tx.now - row.started_at) // 1000)
    completed = Entry(f"{how.run_id}:end", how.completed(row, milliseconds))
    if row.state == "running":
        tx.compact(row.thread_id, how.run_id)
    # Text that was streamed but not stored yet is in `final_response`; appended now, it would outlive its removal.
    tx.append(row.thread_id, [*(e for e in how.entries if not isinstance(e.event, TextDelta)), completed])
    _finish.run(
        tx.connection,
        {
            "run": how.run_id,
            "status": how.status,
            "now": tx.now,
            "tokens_in": how.usage.input_tokens,
            "tokens_out": how.usage.output_tokens,
            "cost": repr(how.usage.cost_usd),
        },
    )
    _touch.run(tx.connection, {"thread": row.thread_id, "now": tx.now})
    tx.thread_changed(row.thread_id)
    return how.status


def _attempt(row: Any, number: int, *, exhausted: bool = False) -> Attempt:
    return Attempt(
        run_id=row.id,
        thread_id=row.thread_id,
        scope=Scope(row.user_id, frozenset(row.roles.split(","))),
        agent=row.agent,
        number=number,
        message=bytes(row.body),
        message_seq=row.message_seq,
        worked_seconds=row.worked_ms / 1000,
        spent_usd=float(row.cost_usd),
        cancelled=row.cancel_requested_at is not None,
        exhausted=exhausted,
    )


def _announce(tx: Transaction, attempt: Attempt, greeting: Greeting) -> None:
    message, limits = greeting(attempt.agent)
    started = AgentStarted(
        event_id=new_id("evt"),
        thread_id=attempt.thread_id,
        run_id=attempt.run_id,
        user_id=attempt.scope.user_id,
        agent_name=attempt.agent,
        timestamp=rfc3339(moment(tx.now)),
        message=message,
        attempt=attempt.number,
        limits=limits,
    )
    tx.append(attempt.thread_id, [Entry(f"{attempt.run_id}:started", started)])
