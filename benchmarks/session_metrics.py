"""What it costs to count a session: make the metrics of one, and read them.

Variants make 1,000 objects and read of each what an error's log line reads (last activity, operations, errors):
`DatabaseSessionMetrics`, and the plain dataclass with the same fields that one would write first. `errors` are made,
counted up and told as a dictionary, for both. Each round times many repetitions and keeps the fastest, which other work
on the machine disturbs least.

    python benchmarks/session_metrics.py [--quick] [--rounds N]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import Enum

from harness import Column, arguments, chosen, interleave, machine, report, versions

from netra.sessions.metrics import DatabaseSessionMetrics, SessionState

OBJECTS = 1000


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


def main() -> None:
    options = arguments("Make and read session metrics.", rounds=9)
    before = machine()
    repetitions = 5 if options.quick else 40

    def variant(work: Callable[[Kind], None], kind: Kind) -> Callable[[], dict[str, float]]:
        return lambda: {"milliseconds": fastest(work, kind, repetitions) * 1000}

    works = {"create, read": create_and_read, "fail, to_dict": fail_and_tell}
    kinds: dict[str, Kind] = {"plain dataclass": PlainSessionMetrics, "DatabaseSessionMetrics": DatabaseSessionMetrics}
    variants = {f"{what}: {name}": variant(work, kind) for what, work in works.items() for name, kind in kinds.items()}
    samples = interleave(chosen(variants, options), options.rounds)
    report(
        "session_metrics",
        samples,
        [Column("milliseconds", f"ms per {OBJECTS:,}", 3, ratio=True)],
        baseline={name: f"{name.partition(':')[0]}: plain dataclass" for name in variants},
        options=options,
        versions=versions("msgspec"),
        before=before,
        parameters={"objects": OBJECTS, "repetitions": repetitions},
    )


if __name__ == "__main__":
    main()
