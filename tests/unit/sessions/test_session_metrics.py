"""The classes that count what happens in sessions."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from netra.sessions.metrics import (
    BaseSessionMetrics,
    DatabaseSessionMetrics,
    SessionState,
    SystemSessionMetrics,
    create_database_session_metrics,
    create_system_session_metrics,
    error_context,
    session_metrics,
)

LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.mark.spec("session-metrics.states")
def test_states_are_strings() -> None:
    names = ["created", "active", "idle", "committed", "rolled_back", "closing", "closed", "error"]
    assert [state.value for state in SessionState] == names
    assert all(isinstance(state, str) and state == state.value for state in SessionState)


# What both kinds have


@pytest.mark.spec("session-metrics.base")
@pytest.mark.parametrize("kind", [BaseSessionMetrics, DatabaseSessionMetrics, SystemSessionMetrics])
def test_every_kind_knows_when_it_began_and_what_went_wrong(kind: type[BaseSessionMetrics]) -> None:
    before = datetime.now(UTC)
    made = kind()
    assert before <= made.created_at == made.last_activity_at <= datetime.now(UTC)
    assert (made.error_count, made.last_error) == (0, None)
    made.mark_activity()
    assert made.last_activity_at >= made.created_at
    made.record_error("no answer")
    made.record_error("gone")
    assert (made.error_count, made.last_error) == (2, "gone")
    assert not hasattr(made, "__dict__")


@pytest.mark.spec("session-metrics.base")
def test_age_and_inactivity_are_seconds_since_the_creation_and_the_last_activity() -> None:
    made = BaseSessionMetrics(created_at=LONG_AGO, last_activity_at=LONG_AGO + timedelta(minutes=1))
    now = LONG_AGO + timedelta(minutes=5)
    assert made.get_age_seconds(now) == 300
    assert made.get_inactivity_seconds(now) == 240
    assert made.get_age_seconds() > made.get_inactivity_seconds() > 0
    made.mark_activity(now)
    assert made.get_inactivity_seconds(now) == 0
    assert made.get_age_seconds(LONG_AGO - timedelta(hours=1)) == 0, "a clock that was set back"


def test_times_in_other_zones_and_without_one_are_understood() -> None:
    there = LONG_AGO.astimezone(timezone(timedelta(hours=5)))
    bare = LONG_AGO.replace(tzinfo=None)
    for given in (there, bare):
        made = DatabaseSessionMetrics(created_at=given)
        assert made.get_age_seconds(LONG_AGO + timedelta(seconds=7)) == 7
        made.close()
        assert made.to_dict()["age_seconds"]


# Database sessions


@pytest.mark.spec("session-metrics.positional-arguments")
def test_positional_arguments_are_session_request_and_user() -> None:
    made = DatabaseSessionMetrics("ses_1", "req_2", "usr_3")
    assert (made.session_id, made.request_id, made.user_id) == ("ses_1", "req_2", "usr_3")
    with pytest.raises(TypeError):
        DatabaseSessionMetrics("ses_1", "req_2", "usr_3", LONG_AGO)  # type: ignore[misc]
    given = DatabaseSessionMetrics(
        "ses_1", created_at=LONG_AGO, last_activity_at=LONG_AGO + timedelta(1), state=SessionState.IDLE
    )
    assert (given.created_at, given.last_activity_at) == (LONG_AGO, LONG_AGO + timedelta(1))
    assert given.state is SessionState.IDLE


@pytest.mark.parametrize("kind", [DatabaseSessionMetrics, SystemSessionMetrics])
def test_a_time_given_as_none_is_now(kind: Any) -> None:
    before = datetime.now(UTC)
    found = kind(created_at=None, last_activity_at=None)
    assert before <= found.created_at <= found.last_activity <= datetime.now(UTC)
    assert found.to_dict()["created_at"] == found.created_at.isoformat()


@pytest.mark.spec("session-metrics.fresh")
def test_a_fresh_object_has_an_activity_and_no_counts() -> None:
    made = DatabaseSessionMetrics()
    assert (made.session_id, made.request_id, made.user_id) == ("", "", "")
    assert isinstance(made.last_activity_at, datetime)
    assert made.last_activity_at.tzinfo is not None
    assert (made.query_count, made.transaction_count, made.error_count) == (0, 0, 0)
    assert made.state is SessionState.CREATED
    assert made.closed_at is made.total_time_ms is made.last_error is None


@pytest.mark.spec("session-metrics.aliases")
def test_aliases_always_equal_what_they_stand_for() -> None:
    made = DatabaseSessionMetrics()

    def check() -> None:
        assert made.last_activity == made.last_activity_at
        assert made.operations_count == made.query_count
        assert made.errors == made.error_count

    check()
    for change in (
        made.mark_activity,
        made.increment_query_count,
        lambda: made.record_error("x"),
        lambda: setattr(made, "last_activity_at", LONG_AGO),
        lambda: setattr(made, "query_count", 7),
        lambda: setattr(made, "error_count", 9),
        made.close,
    ):
        change()
        check()
    assert (made.operations_count, made.errors) == (7, 9)


@pytest.mark.spec("session-metrics.aliases")
@pytest.mark.parametrize("alias", ["last_activity", "operations_count", "errors"])
@pytest.mark.parametrize("kind", [DatabaseSessionMetrics, SystemSessionMetrics])
def test_aliases_are_there_for_both_kinds_and_cannot_be_set(kind: type[BaseSessionMetrics], alias: str) -> None:
    made = kind()
    assert getattr(made, alias) is not None
    with pytest.raises(AttributeError):
        setattr(made, alias, getattr(made, alias))


@pytest.mark.spec("session-metrics.record-error")
def test_an_error_is_counted_kept_and_activity() -> None:
    made = DatabaseSessionMetrics(last_activity_at=LONG_AGO)
    made.record_error("the pool is exhausted")
    assert (made.error_count, made.last_error, made.state) == (1, "the pool is exhausted", SessionState.ERROR)
    assert made.last_activity_at > LONG_AGO


@pytest.mark.spec("session-metrics.close")
@pytest.mark.parametrize("close", [DatabaseSessionMetrics.close_session, DatabaseSessionMetrics.close])
def test_closing_takes_the_time_given_or_computes_it(close: object) -> None:
    given = DatabaseSessionMetrics()
    close(given, 12.5)  # type: ignore[operator]
    assert (given.state, given.total_time_ms) == (SessionState.CLOSED, 12.5)
    computed = DatabaseSessionMetrics(created_at=datetime.now(UTC) - timedelta(seconds=2))
    close(computed)  # type: ignore[operator]
    assert computed.closed_at is not None
    assert computed.total_time_ms == (computed.closed_at - computed.created_at).total_seconds() * 1000 >= 2000
    assert computed.last_activity == computed.closed_at


@pytest.mark.spec("session-metrics.close")
def test_only_the_first_closing_counts() -> None:
    made = DatabaseSessionMetrics()
    made.close(5)
    before = made.to_dict()
    made.close(6)
    after = made.to_dict()
    assert {k: v for k, v in before.items() if not k.endswith("_seconds")} == {
        k: v for k, v in after.items() if not k.endswith("_seconds")
    }


@pytest.mark.spec("session-metrics.counts")
def test_queries_and_transactions_are_counted_and_are_activity() -> None:
    made = DatabaseSessionMetrics(last_activity_at=LONG_AGO)
    made.increment_query_count()
    made.increment_query_count()
    assert made.last_activity > LONG_AGO
    made.last_activity_at = LONG_AGO
    made.increment_transaction_count()
    assert (made.query_count, made.transaction_count) == (2, 1)
    assert made.last_activity > LONG_AGO


@pytest.mark.spec("session-metrics.to-dict")
def test_the_dictionary_has_every_field_with_times_as_text_and_the_ages() -> None:
    made = DatabaseSessionMetrics("s", "r", "u", created_at=LONG_AGO)
    made.record_error("gone")
    made.close(3)
    told = made.to_dict()
    assert told.keys() == {*made.__struct_fields__, "age_seconds", "inactivity_seconds"}
    assert told["created_at"] == "2020-01-02T03:04:05.678901+00:00"
    assert told["last_activity_at"] == told["closed_at"] == made.last_activity.isoformat()
    assert (told["session_id"], told["request_id"], told["user_id"]) == ("s", "r", "u")
    assert (told["state"], told["error_count"], told["last_error"], told["total_time_ms"]) == ("closed", 1, "gone", 3)
    assert type(told["state"]) is str
    age, inactivity = told["age_seconds"], told["inactivity_seconds"]
    assert isinstance(age, float)
    assert isinstance(inactivity, float)
    assert age > inactivity >= 0


# All user sessions


@pytest.mark.spec("session-metrics.system")
def test_the_counts_of_a_system_move_and_never_below_zero() -> None:
    made = SystemSessionMetrics(last_activity_at=LONG_AGO)
    made.increment_total_sessions(3)
    made.increment_active_sessions(2)
    made.increment_expired_sessions_cleaned()
    made.increment_sessions_created_today(3)
    made.increment_sessions_reused_today(2)
    made.decrement_total_sessions()
    made.decrement_active_sessions()
    assert (made.total_sessions, made.active_sessions, made.expired_sessions_cleaned) == (2, 1, 1)
    assert (made.sessions_created_today, made.sessions_reused_today, made.operations_count) == (3, 2, 5)
    assert made.last_activity > LONG_AGO
    with pytest.raises(ValueError, match="active_sessions is 1 and cannot be lowered by 2"):
        made.decrement_active_sessions(2)
    assert made.active_sessions == 1
    made.start_day()
    assert (made.sessions_created_today, made.sessions_reused_today) == (0, 0)
    assert made.average_session_duration_minutes is made.memory_usage_mb is None, "unknown is not zero"
    assert made.to_dict().keys() == {*made.__struct_fields__, "age_seconds", "inactivity_seconds"}


# Making them


@pytest.mark.spec("session-metrics.factories")
def test_factories() -> None:
    made = create_database_session_metrics("s", "r", "u")
    assert type(made) is DatabaseSessionMetrics
    assert (made.session_id, made.request_id, made.user_id) == ("s", "r", "u")
    assert type(create_system_session_metrics()) is SystemSessionMetrics


@pytest.mark.spec("session-metrics.session-metrics-name")
def test_the_kind_is_picked_by_the_fields_given() -> None:
    for given in ({"session_id": "s"}, {"request_id": "r"}, {"user_id": "u"}, {"user_id": "u", "query_count": 2}):
        made = session_metrics(**given)
        assert type(made) is DatabaseSessionMetrics
        assert {name: getattr(made, name) for name in given} == given
    assert type(session_metrics("s", "r", "u")) is DatabaseSessionMetrics
    for given in ({}, {"total_sessions": 4}, {"active_sessions": 1, "memory_usage_mb": 2.5}, {"error_count": 1}):
        made = session_metrics(**given)
        assert type(made) is SystemSessionMetrics
        assert {name: getattr(made, name) for name in given} == given
    for made in (session_metrics(), session_metrics(user_id="u")):
        assert isinstance(made.last_activity, datetime)
        assert made.to_dict()["last_activity_at"] == made.last_activity.isoformat()
    with pytest.raises(TypeError):
        session_metrics(user_id="u", total_sessions=1)
    with pytest.raises(TypeError):
        session_metrics(colour="blue")


# Errors


@pytest.mark.spec("session-metrics.error-logging")
def test_an_exception_handler_can_tell_of_any_metrics_object() -> None:
    database = create_database_session_metrics("s", "r", "u")
    database.increment_query_count()
    system = create_system_session_metrics()
    for made in (database, system, BaseSessionMetrics(), session_metrics(), session_metrics(session_id="s")):
        try:
            raise ConnectionError("the database is away")
        except ConnectionError as error:
            made.record_error(str(error))
            told = error_context(made)
        assert told.keys() == {
            "session_id",
            "request_id",
            "user_id",
            "last_activity",
            "operations_count",
            "errors",
        }
        assert told["last_activity"] == made.last_activity.isoformat()
        assert told["errors"] == 1
    assert error_context(database) == {
        "session_id": "s",
        "request_id": "r",
        "user_id": "u",
        "last_activity": database.last_activity.isoformat(),
        "operations_count": 1,
        "errors": 1,
    }
    assert error_context(system)["session_id"] is None


@pytest.mark.spec("session-metrics.error-logging")
def test_telling_of_an_error_cannot_fail_whatever_it_is_given() -> None:
    class Broken:
        @property
        def last_activity(self) -> datetime:
            raise RuntimeError("broken too")

        user_id = object()

    told = error_context(Broken())
    assert told["last_activity"] is None
    assert isinstance(told["user_id"], str)
    assert error_context(None)["errors"] is None


# Cost


@dataclass
class _Plain:
    """The first thing one would write, for comparison; `benchmarks/session_metrics.py` says more."""

    session_id: str = ""
    request_id: str = ""
    user_id: str = ""
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    last_activity_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    error_count: int = 0
    last_error: str | None = None
    state: SessionState = SessionState.CREATED
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


def _seconds(kind: type[DatabaseSessionMetrics] | type[_Plain]) -> float:
    started = time.perf_counter()
    for _ in range(1000):
        made = kind("s", "r", "u")
        assert made.last_activity
        assert made.operations_count == made.errors
    return time.perf_counter() - started


def _share_of_plain() -> float:
    plain = ours = float("inf")
    for tried in range(400):  # the fastest of each: other work on the machine only adds
        plain, ours = min(plain, _seconds(_Plain)), min(ours, _seconds(DatabaseSessionMetrics))
        if ours < plain / 2 and tried > 20:
            break
    return ours / plain


@pytest.mark.spec("session-metrics.speed")
def test_a_thousand_take_at_most_half_the_time_of_a_plain_dataclass() -> None:
    # In a process of its own: counting lines slows down ours alone.
    code = "from test_session_metrics import _share_of_plain; print(_share_of_plain())"
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=here, check=True, capture_output=True, text=True, timeout=60
    )
    assert float(done.stdout) < 0.5


@pytest.mark.spec("session-metrics.standalone")
def test_the_module_needs_nothing_of_the_server() -> None:
    code = """
import sys
import netra.sessions.metrics, netra.sessions.identifiers
loaded = {name for name in sys.modules if name.startswith("netra")}
assert loaded == {"netra", "netra.sessions", "netra.sessions.metrics", "netra.sessions.identifiers"}, loaded
assert not {"sqlalchemy", "fastapi", "pydantic", "structlog", "asyncio"} & set(sys.modules), "heavy"
netra.sessions.metrics.create_database_session_metrics("s", "r", "u").to_dict()
"""
    subprocess.run([sys.executable, "-I", "-c", code], check=True, env={}, timeout=60)
