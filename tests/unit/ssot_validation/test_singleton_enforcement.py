"""There is one tracker of executions in a process, reached through its factory, whoever asks and from wherever."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import netra.executions
from netra.app import create_app
from netra.config import Settings
from netra.executions import AgentExecutionTracker, blocked_constructions, get_execution_tracker
from support.clock import ManualClock
from support.executions import begin, empty_tracker


@pytest.fixture
def tracker() -> Iterator[AgentExecutionTracker]:
    with empty_tracker(ManualClock()) as tracker:
        yield tracker


@pytest.mark.spec("tracker.one-instance")
def test_every_call_gives_the_same_instance(tracker: AgentExecutionTracker) -> None:
    assert get_execution_tracker() is tracker
    assert get_execution_tracker(None) is netra.executions.get_execution_tracker(user_context=None) is tracker


@pytest.mark.spec("tracker.one-instance")
def test_threads_that_ask_first_at_the_same_moment_get_one_instance() -> None:
    # In a fresh process, where nobody has asked before.
    program = """
import sys, threading
from netra.executions import get_execution_tracker
sys.setswitchinterval(1e-6)
ready, found = threading.Barrier(32), []
def ask():
    ready.wait(30)
    found.append((get_execution_tracker(), get_execution_tracker({"user_id": "usr_ada"})))
threads = [threading.Thread(target=ask) for _ in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len({id(whole) for whole, _ in found}), len({id(handle) for _, handle in found}), len(found))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["1", "1", "32"]


@pytest.mark.spec("tracker.one-instance")
async def test_threads_and_tasks_get_the_same_instance(tracker: AgentExecutionTracker) -> None:
    async def ask() -> AgentExecutionTracker:
        return get_execution_tracker()

    found = await asyncio.gather(*(ask() for _ in range(10)))
    found += await asyncio.gather(*(asyncio.to_thread(get_execution_tracker) for _ in range(10)))
    assert all(each is tracker for each in found)


@pytest.mark.spec("tracker.one-instance", "tracker.every-run")
def test_the_server_tracks_with_the_same_instance(tmp_path_factory: pytest.TempPathFactory) -> None:
    with empty_tracker() as tracker:
        servers = [create_app(Settings(data_dir=tmp_path_factory.mktemp("data"))) for _ in range(2)]
        assert [server.tracker is tracker for server in servers] == [True, True]


@pytest.mark.spec("tracker.one-instance", "tracker.user-handle")
def test_handles_and_the_whole_are_views_of_the_same_executions(tracker: AgentExecutionTracker) -> None:
    ada = get_execution_tracker({"user_id": "usr_ada"})
    begin(ada, "run_1", "usr_ada")
    begin(tracker, "run_2", "usr_ada")
    assert ada.get_active_executions() == tracker.get_user_executions("usr_ada") != []
    tracker.finish("run_1", "failed")
    assert [record.execution_id for record in ada.get_active_executions()] == ["run_2"]


@pytest.mark.spec("tracker.direct-construction")
def test_construction_names_the_factory_and_the_reason(tracker: AgentExecutionTracker) -> None:
    before = blocked_constructions()
    with pytest.raises(RuntimeError) as blocked:
        AgentExecutionTracker()
    assert "get_execution_tracker()" in str(blocked.value)
    assert "would not see the executions" in str(blocked.value)
    assert blocked_constructions() == before + 1
    assert get_execution_tracker() is tracker, "and nothing has changed"


@pytest.mark.spec("tracker.direct-construction")
def test_blocked_constructions_of_many_threads_are_all_counted(tracker: AgentExecutionTracker) -> None:
    before = blocked_constructions()

    def construct() -> None:
        for _ in range(20):
            with pytest.raises(RuntimeError):
                AgentExecutionTracker()

    threads = [threading.Thread(target=construct) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert blocked_constructions() == before + 200
    assert tracker.get_metrics().blocked_constructions == before + 200


@pytest.mark.spec("tracker.no-current-user")
def test_no_method_sets_a_current_user() -> None:
    names = [name for name, _ in inspect.getmembers(AgentExecutionTracker) if not name.startswith("_")]
    assert [name for name in names if name.startswith("set") or "current" in name] == []
    assert AgentExecutionTracker.user_context.fset is None  # type: ignore[attr-defined]
