"""What it costs to count a session: make the metrics of one, and read them.

Variants make 1,000 objects and read of each what an error's log line reads (last activity, operations, errors):
`DatabaseSessionMetrics`, and the plain dataclass with the same fields that one would write first. `errors` are made,
counted up and told as a dictionary, for both. Each round times many repetitions and keeps the fastest, which other work
on the machine disturbs least.

`user facts` is the CPU time that `UserSessionTracker` takes for what the log tells it of 1,000 runs of 20 users in 100
threads, twelve events each, written to SQLite after every 500: what a server stores that is fully busy with runs.

    python benchmarks/session_metrics.py [--quick] [--rounds N]
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum

from harness import Column, arguments, chosen, interleave, machine, report, versions
from sqlalchemy import insert

from netra.clock import SystemClock
from netra.events import AgentCompleted, AgentStarted, AgentThinking, Event, UserMessage
from netra.sessions import RequestScopedSessionFactory, UserSessionTracker
from netra.sessions.metrics import DatabaseSessionMetrics, SessionState
from netra.storage import Database
from netra.storage.migrate import migrate
from netra.storage.tables import users
from support.logs import user_row

OBJECTS = 1000
RUNS_IN_A_WRITE = 500


class PlainState(str, Enum):  # noqa: UP042 - as the plain version would be written
    CREATED = "created"
    ERROR = "error"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class PlainSessionMetrics:
    """The same fields and aliases, in the plainest way."""

    session_id: str = ""
    request_id: str = ""
    user_id: str = ""
    created_at: datetime = field(default_factory=utc_now)
    last_activity_at: datetime = field(default_factory=utc_now)
    error_count: int = 0
    last_error: str | None = None
    state: PlainState | SessionState = PlainState.CREATED
    query_count: int = 0
    transaction_count: int = 0
    closed_at: datetime | None = None
    total_time_ms: float | None = None

    @property
    def last_activity(self) -> datetime:
        return self.last_activity_at

    @property
    def operations_count(self) -> int:
        return self.query_count

    @property
    def errors(self) -> int:
        return self.error_count

    def record_error(self, message: str) -> None:
        self.error_count += 1
        self.last_error = message
        self.state = PlainState.ERROR
        self.last_activity_at = utc_now()

    def to_dict(self) -> dict[str, object]:
        now = utc_now()
        values = asdict(self)
        for name in ("created_at", "last_activity_at", "closed_at"):
            values[name] = values[name].isoformat() if values[name] is not None else None
        values["state"] = self.state.value
        values["age_seconds"] = (now - self.created_at).total_seconds()
        values["inactivity_seconds"] = (now - self.last_activity_at).total_seconds()
        return values


Kind = type[DatabaseSessionMetrics] | type[PlainSessionMetrics]


def create_and_read(kind: Kind) -> None:
    """Make the objects, and read what an error's log line reads."""
    for _ in range(OBJECTS):
        made = kind("ses_1", "req_1", "usr_1")
        made.last_activity  # noqa: B018 - reading it is what is measured
        made.operations_count  # noqa: B018
        made.errors  # noqa: B018


def fail_and_tell(kind: Kind) -> None:
    """Make the objects, count an error and tell everything."""
    for _ in range(OBJECTS):
        made = kind("ses_1", "req_1", "usr_1")
        made.record_error("gone")
        made.to_dict()


def fastest(work: Callable[[Kind], None], kind: Kind, repetitions: int) -> float:
    """The fastest of some repetitions, in seconds."""
    best = float("inf")
    for _ in range(repetitions):
        started = time.perf_counter()
        work(kind)
        best = min(best, time.perf_counter() - started)
    return best


def events_of_run(user_id: str, thread_id: str) -> list[Event]:
    """What the log stores of one run."""
    common = {
        "event_id": "evt_1",
        "thread_id": thread_id,
        "run_id": "run_1",
        "user_id": user_id,
        "agent_name": "echo",
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    return [
        UserMessage(**common, message_id="msg_1", content="hello"),
        AgentStarted(**common, message="Echo is starting."),
        *(AgentThinking(**common, step_number=number, reasoning="…") for number in range(9)),
        AgentCompleted(**common, status="succeeded", final_response="hello", duration_ms=1),
    ]


def user_facts() -> dict[str, float]:
    """CPU time of noting and writing what 1,000 runs say of their users."""
    with tempfile.TemporaryDirectory() as directory:
        return {"milliseconds": asyncio.run(_user_facts(f"sqlite:///{directory}/netra.db")) * 1000}


async def _user_facts(url: str) -> float:
    migrate(url)
    database = RequestScopedSessionFactory(Database(url), SystemClock())
    await database.start()
    tracker = UserSessionTracker(database, SystemClock())
    people = [f"usr_{number}" for number in range(20)]
    await database.write(lambda connection: connection.execute(insert(users), [user_row(one) for one in people]))
    runs = [events_of_run(people[n % 20], f"thr_{people[n % 20]}_{n % 100 // 20}") for n in range(OBJECTS)]
    try:
        started = time.process_time()
        for number, events in enumerate(runs, 1):
            for event in events:
                tracker.stored(event)
            if number % RUNS_IN_A_WRITE == 0:
                await tracker.flush()
        return time.process_time() - started
    finally:
        await database.close()


def main() -> None:
    options = arguments("Make and read session metrics.", rounds=9)
    before = machine()
    repetitions = 5 if options.quick else 40

    def variant(work: Callable[[Kind], None], kind: Kind) -> Callable[[], dict[str, float]]:
        return lambda: {"milliseconds": fastest(work, kind, repetitions) * 1000}

    works = {"create, read": create_and_read, "fail, to_dict": fail_and_tell}
    kinds: dict[str, Kind] = {"plain dataclass": PlainSessionMetrics, "DatabaseSessionMetrics": DatabaseSessionMetrics}
    variants = {f"{what}: {name}": variant(work, kind) for what, work in works.items() for name, kind in kinds.items()}
    variants["user facts: 1,000 runs"] = user_facts
    samples = interleave(chosen(variants, options), options.rounds)
    report(
        "session_metrics",
        samples,
        [Column("milliseconds", f"ms per {OBJECTS:,}", 3, ratio=True)],
        baseline={name: f"{name.partition(':')[0]}: plain dataclass" for name in variants},
        options=options,
        versions=versions("msgspec"),
        before=before,
        parameters={"objects": OBJECTS, "repetitions": repetitions, "runs_in_a_write": RUNS_IN_A_WRITE},
        notes=["User facts are CPU time and have no peer: microseconds per run, to set beside run_overhead's."],
    )


if __name__ == "__main__":
    main()
