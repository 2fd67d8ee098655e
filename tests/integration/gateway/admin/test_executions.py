"""What administrators see of executions, live ones with their signs of life and ended ones; others see nothing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.accounts import Account
from support.runs import begin
from support.server import ServerProcess
from support.waiting import block_until


def shown(operator: httpx.Client, run_id: str) -> dict[str, Any]:
    return dict(operator.get(f"/api/admin/executions/{run_id}").raise_for_status().json())


def until(operator: httpx.Client, run_id: str, **expected: object) -> dict[str, Any]:
    """The execution, once it shows what is expected."""

    def found() -> dict[str, Any] | None:
        execution = shown(operator, run_id)
        return execution if expected.items() <= execution.items() else None

    return block_until(found, f"{run_id} with {expected}")


def listed(operator: httpx.Client, **filters: object) -> dict[str, Any]:
    return dict(operator.get("/api/admin/executions", params=filters).raise_for_status().json())  # type: ignore[arg-type]


@pytest.mark.spec("tracker.every-run")
def test_a_running_execution_shows_its_owner_phase_and_signs_of_life(operator: httpx.Client, ann: Account) -> None:
    run_id = begin(ann, "endless")["run_id"]
    until(operator, run_id, state="running")
    (active,) = listed(operator, user=ann.id)["active"]
    assert (active["id"], active["user_id"], active["agent"], active["attempt"]) == (run_id, ann.id, "endless", 1)
    assert (active["state"], active["phase"], active["paused"]) == ("running", "working", False)
    assert 0 <= active["heartbeat_age_seconds"] < 15
    assert 0 <= active["progress_age_seconds"] < 60
    assert active["started_at"] is not None
    assert listed(operator, user=ann.id, state="pending")["active"] == []
    assert listed(operator, user=ann.id, agent="echo")["active"] == []
    with ann.client() as client:
        client.post(f"/api/runs/{run_id}/cancel")
    found = until(operator, run_id, phase="ended")
    assert (found["state"], found["status"]) == ("cancelled", "cancelled")
    assert listed(operator, user=ann.id)["active"] == []


def test_an_execution_that_waits_for_a_person_says_so(operator: httpx.Client, ann: Account) -> None:
    run_id = begin(ann, "approving")["run_id"]
    found = until(operator, run_id, phase="waiting")
    assert found["progress_age_seconds"] is None
    (active,) = listed(operator, user=ann.id)["active"]
    assert (active["state"], active["paused"]) == ("running", True)
    with ann.client() as client:
        client.post(f"/api/runs/{run_id}/cancel")
    until(operator, run_id, phase="ended")


@pytest.mark.spec("tracker.history")
def test_what_ended_is_listed_in_pages_and_by_state_agent_and_user(operator: httpx.Client, ann: Account) -> None:
    run_ids = [begin(ann, "echo")["run_id"] for _ in range(3)]
    for run_id in run_ids:
        until(operator, run_id, phase="ended")
    ended = listed(operator, user=ann.id)["ended"]
    assert sorted(each["id"] for each in ended) == sorted(run_ids)
    assert [each["id"] for each in ended] == sorted(run_ids, reverse=True)
    assert {(each["state"], each["status"], each["agent"]) for each in ended} == {("completed", "succeeded", "echo")}
    first = listed(operator, user=ann.id, limit=2)
    second = listed(operator, user=ann.id, limit=2, cursor=first["next_cursor"])
    assert first["ended"] + second["ended"] == ended
    assert second["next_cursor"] is None
    assert listed(operator, user=ann.id, state="dead")["ended"] == []
    assert listed(operator, user=ann.id, state="running")["ended"] == []
    assert len(listed(operator, user=ann.id, state="completed", agent="echo")["ended"]) == 3
    assert listed(operator, user=ann.id, agent="endless")["ended"] == []
    of_thread = listed(operator, thread=ended[0]["thread_id"])
    assert (of_thread["ended"], of_thread["active"]) == ([ended[0]], [])
    steps = shown(operator, run_ids[0])["steps"]
    assert steps[0]["phase"] == "created"
    assert [(step["phase"], step["state"]) for step in steps[-2:]] == [
        ("finalising", "completing"),
        ("ended", "completed"),
    ]


def test_figures_of_isolation_come_with_it(operator: httpx.Client) -> None:
    found = listed(operator)
    assert (found["refusals"], found["blocked_constructions"]) == ({}, 0)


@pytest.mark.parametrize("path", ["/api/admin/executions", "/api/admin/executions/run_1"])
def test_others_learn_nothing(server: ServerProcess, ann: Account, path: str) -> None:
    nothing = httpx.get(server.base_url + "/api/admin/nothing", headers=ann.headers, trust_env=False)
    for headers in (ann.headers, {}):
        answer = httpx.get(server.base_url + path, headers=headers, trust_env=False)
        assert answer.status_code == 404
        assert {**answer.json(), "request_id": ""} == {**nothing.json(), "request_id": ""}


def test_what_is_not_there_or_cannot_be_asked_is_refused(operator: httpx.Client) -> None:
    assert operator.get("/api/admin/executions/run_9").status_code == 404
    for wrong in ({"state": "succeeded"}, {"limit": 0}, {"agent": "\x00"}, {"user": "\x00"}, {"cursor": "\x00"}):
        assert operator.get("/api/admin/executions", params=wrong).status_code == 422, wrong
