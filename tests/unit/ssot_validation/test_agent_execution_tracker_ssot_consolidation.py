"""The tracker of executions has one definition, one store behind it and one set of states, wherever they are named."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import netra
from netra.events import RunStatus
from netra.executions import (
    AgentExecutionTracker,
    ExecutionRecord,
    ExecutionState,
    Phase,
    get_execution_tracker,
    state_of_run,
)
from netra.executions.states import FINAL
from support.executions import begin, complete, empty_tracker

SOURCES = Path(netra.__file__).parent
OWNED = {
    "AgentExecutionTracker": "executions/tracker.py",
    "get_execution_tracker": "executions/tracker.py",
    "ExecutionState": "executions/states.py",
    "Phase": "executions/states.py",
    "ExecutionRecord": "executions/records.py",
    "Breaker": "executions/breaker.py",
    "Breakers": "executions/breaker.py",
    "CircuitOpen": "errors.py",
}


@pytest.fixture
def tracker() -> Iterator[AgentExecutionTracker]:
    with empty_tracker() as tracker:
        yield tracker


def definitions() -> Iterator[tuple[str, str]]:
    """Every class and function of the sources at any depth: its name, and its file."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, path.relative_to(SOURCES).as_posix()


@pytest.mark.spec("rules.one-definition")
def test_each_name_is_defined_once() -> None:
    homes: dict[str, list[str]] = {name: [] for name in OWNED}
    for name, path in definitions():
        if name in homes:
            homes[name].append(path)
    assert homes == {name: [path] for name, path in OWNED.items()}


@pytest.mark.spec("rules.one-definition")
def test_no_other_class_tracks_executions() -> None:
    rivals = {name for name, _ in definitions() if "ExecutionTracker" in name or name.endswith("CircuitBreaker")}
    assert rivals == {"AgentExecutionTracker"}


def modules() -> Iterator[ModuleType]:
    package = importlib.import_module("netra.executions")
    yield package
    for found in pkgutil.iter_modules(package.__path__):
        yield importlib.import_module(f"netra.executions.{found.name}")


@pytest.mark.spec("rules.one-definition")
def test_a_name_is_the_same_object_in_every_module_of_the_package() -> None:
    package = importlib.import_module("netra.executions")
    for module in modules():
        for name in package.__all__:
            assert getattr(module, name, getattr(package, name)) is getattr(package, name), (module.__name__, name)


@pytest.mark.spec("tracker.direct-construction")
def test_the_class_cannot_be_made_again_under_another_name() -> None:
    with pytest.raises(RuntimeError, match="get_execution_tracker"):
        type("UserExecutionTracker", (AgentExecutionTracker,), {})


@pytest.mark.spec("tracker.states")
def test_the_states_are_one_vocabulary_and_the_rows_map_onto_it() -> None:
    assert {state_of_run(status) for status in get_args(RunStatus)} == FINAL
    assert {state_of_run("queued"), state_of_run("running")} <= set(ExecutionState) - FINAL
    assert {state.value for state in ExecutionState} >= {"timeout", "dead"}


@pytest.mark.spec("tracker.states", "tracker.phases", "tracker.history", "tracker.heartbeats-and-progress")
def test_one_tracker_does_what_the_specification_gives_it(tracker: AgentExecutionTracker) -> None:
    ada = get_execution_tracker({"user_id": "usr_ada"})
    execution_id = begin(ada, "run_1", "usr_ada", timeout_seconds=900.0)
    ada.heartbeat(execution_id)
    ada.transition(execution_id, Phase.TOOL)
    ada.progress(execution_id)
    assert tracker.judge() == []
    complete(ada, execution_id)
    record = tracker.get_execution(execution_id)
    assert isinstance(record, ExecutionRecord)
    assert record.state is ExecutionState.COMPLETED
    assert (record.steps[0].phase, record.steps[-1].phase) == (Phase.CREATED, Phase.ENDED)


@pytest.mark.spec("tracker.user-executions", "tracker.cleanup-user-data", "tracker.isolation")
def test_users_share_the_tracker_and_nothing_in_it(tracker: AgentExecutionTracker) -> None:
    ada, bob = (get_execution_tracker({"user_id": user_id}) for user_id in ("usr_ada", "usr_bob"))
    begin(ada, "run_1", "usr_ada")
    begin(bob, "run_2", "usr_bob")
    assert [record.execution_id for record in ada.get_user_executions("usr_ada")] == ["run_1"]
    assert ada.get_user_executions("usr_bob") == []
    with pytest.raises(PermissionError):
        ada.cleanup_user_data("usr_bob")
    assert ada.cleanup_user_data("usr_ada") == 1
    assert [record.execution_id for record in tracker.get_active_executions()] == ["run_2"]
