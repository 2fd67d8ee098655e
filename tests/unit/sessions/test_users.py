"""Sessions of users: one for each user and thread, as long as the pauses are short."""

from __future__ import annotations

import inspect
from datetime import timedelta

import pytest

from netra.sessions.identifiers import RequestID, RunID, SessionID, ThreadID, UserID
from netra.sessions.users import Ending, UserSession, UserSessionManager
from support.clock import ManualClock

ADA, BOB = UserID("usr_ada"), UserID("usr_bob")
HERE, THERE = ThreadID("thr_here"), ThreadID("thr_there")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ended() -> list[tuple[UserSession, Ending]]:
    return []


@pytest.fixture
def manager(clock: ManualClock, ended: list[tuple[UserSession, Ending]]) -> UserSessionManager:
    return UserSessionManager(
        clock, idle_seconds=1800, most=5, on_ended=lambda session, why: ended.append((session, why))
    )


@pytest.mark.spec("user-manager.one-session")
def test_a_user_has_one_session_in_each_thread(manager: UserSessionManager, clock: ManualClock) -> None:
    first = manager.acquire(ADA, HERE)
    clock.advance(minutes=29)
    assert manager.acquire(ADA, HERE) is first
    assert first.last_activity_at == clock.now()
    others = {manager.acquire(ADA, THERE).id, manager.acquire(BOB, HERE).id, manager.acquire(ADA).id}
    assert len(others | {first.id}) == len(manager) == 4
    assert manager.get(ADA, HERE) is first
    assert manager.get(BOB) is None
    assert {session.thread_id for session in manager.of_user(ADA)} == {HERE, THERE, None}


@pytest.mark.spec("user-manager.one-session")
def test_a_session_ends_at_its_last_activity_when_its_user_pauses(
    manager: UserSessionManager, clock: ManualClock, ended: list[tuple[UserSession, Ending]]
) -> None:
    first = manager.acquire(ADA, HERE)
    clock.advance(minutes=10)
    manager.acquire(ADA, HERE)
    last = clock.now()
    clock.advance(minutes=30)
    assert manager.get(ADA, HERE) is first, "idle for just as long as is allowed"
    clock.advance(1)
    assert manager.get(ADA, HERE) is None
    assert ended == [(first, "idle")]
    assert first.ended_at == last
    assert manager.acquire(ADA, HERE) is not first


@pytest.mark.spec("user-manager.one-session")
def test_a_session_belongs_to_one_day(
    manager: UserSessionManager, clock: ManualClock, ended: list[tuple[UserSession, Ending]]
) -> None:
    clock.advance_to(clock.now().replace(hour=23, minute=55))
    before = manager.acquire(ADA, HERE)
    clock.advance(minutes=5)
    after = manager.acquire(ADA, HERE)
    assert after is not before
    assert ended == [(before, "midnight")]
    assert manager.metrics.expired_sessions_cleaned == 0, "it was not idle"


@pytest.mark.spec("user-manager.one-session")
def test_sessions_of_a_user_or_a_thread_can_be_invalidated(
    manager: UserSessionManager, ended: list[tuple[UserSession, Ending]]
) -> None:
    for user_id, thread_id in ((ADA, HERE), (ADA, THERE), (ADA, None), (BOB, HERE)):
        manager.acquire(user_id, thread_id)
    assert manager.invalidate_thread(HERE) == 2
    assert manager.invalidate_thread(HERE) == 0
    assert manager.invalidate_user(ADA) == 2
    assert manager.invalidate_user(ADA) == 0
    assert len(manager) == 0
    assert {why for _, why in ended} == {"invalidated"}
    assert manager._of_user == manager._of_thread == {}, "nothing is left behind"


@pytest.mark.spec("user-manager.one-session")
def test_what_is_kept_is_bounded(
    manager: UserSessionManager, clock: ManualClock, ended: list[tuple[UserSession, Ending]]
) -> None:
    for number in range(5):
        manager.acquire(ADA, ThreadID(f"thr_{number}"))
        clock.advance(1)
    manager.acquire(ADA, ThreadID("thr_0"))
    manager.acquire(BOB)
    assert len(manager) == 5
    assert [(session.thread_id, why) for session, why in ended] == [("thr_1", "full")], "the one used longest ago"


@pytest.mark.spec("user-manager.tuple-keys")
def test_no_pair_of_ids_passes_for_another(manager: UserSessionManager) -> None:
    pairs = [("a:b", "c"), ("a", "b:c"), ("a_b", "c"), ("a", "None"), ("a", None)]
    sessions = [manager.acquire(UserID(user), ThreadID(thread) if thread else None) for user, thread in pairs]
    assert len({session.id for session in sessions}) == len(pairs)
    assert all(type(session.key) is tuple for session in sessions)


@pytest.mark.parametrize(("user_id", "thread_id"), [("", None), ("usr_ada", ""), ("", "thr_here")])
def test_a_blank_id_is_refused(manager: UserSessionManager, user_id: str, thread_id: str | None) -> None:
    with pytest.raises(ValueError, match="needs the id"):
        manager.acquire(UserID(user_id), ThreadID(thread_id) if thread_id is not None else None)


def test_metrics_are_moved_by_what_happens(manager: UserSessionManager, clock: ManualClock) -> None:
    assert manager.metrics.average_session_duration_minutes is None
    manager.acquire(ADA, HERE)
    clock.advance(minutes=20)
    manager.acquire(ADA, HERE)
    manager.acquire(BOB)
    told = manager.metrics
    assert (told.total_sessions, told.active_sessions) == (2, 2)
    assert (told.sessions_created_today, told.sessions_reused_today) == (2, 1)
    assert told.last_activity == clock.now()
    filled = told.memory_usage_mb
    clock.advance(minutes=31)
    told = manager.metrics
    assert (told.total_sessions, told.active_sessions, told.expired_sessions_cleaned) == (2, 0, 2)
    assert told.average_session_duration_minutes == 10
    assert filled is not None
    assert told.memory_usage_mb is not None
    assert told.memory_usage_mb < filled
    clock.advance(days=1)
    told = manager.metrics
    assert (told.total_sessions, told.sessions_created_today, told.sessions_reused_today) == (2, 0, 0)


def test_an_earlier_process_is_followed_up(clock: ManualClock) -> None:
    def left(thread_id: ThreadID, ago: float) -> UserSession:
        then = clock.now() - timedelta(minutes=ago)
        return UserSession(SessionID(f"ses_{thread_id}"), ADA, thread_id, then - timedelta(minutes=1), then)

    manager = UserSessionManager(clock, idle_seconds=1800)
    assert manager.adopt([left(HERE, 5), left(THERE, 31), left(HERE, 20)]) == 1 + 0
    assert [session.id for session in manager.of_user(ADA)] == ["ses_thr_here"]
    clock.advance_to((clock.now() + timedelta(days=1)).replace(hour=0, minute=1))
    assert UserSessionManager(clock).adopt([left(HERE, 5)]) == 0, "of the day before"


@pytest.mark.spec("identifiers.distinct")
def test_kinds_of_ids_are_distinct_types_in_signatures() -> None:
    assert len({UserID, SessionID, RequestID, ThreadID, RunID}) == 5
    assert all(kind.__supertype__ is str for kind in (UserID, SessionID, RequestID, ThreadID, RunID))
    annotations = inspect.get_annotations(UserSessionManager.acquire, eval_str=True)
    assert (annotations["user_id"], annotations["thread_id"]) == (UserID, ThreadID | None)
