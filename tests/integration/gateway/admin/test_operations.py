"""What administrators see of the server at one moment and over time; others learn nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.accounts import Account
from support.runs import begin
from support.sockets import open_socket


def tile(picture: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in picture["tiles"] if each["name"] == name]
    return dict(found)


async def test_who_watches_sees_a_run_begin_and_end(admin: Account, ann: Account) -> None:
    async with open_socket(admin) as socket:
        answer = await socket.ask("watch_operations", id="w1")
        assert (answer["type"], answer["id"]) == ("ack", "w1")
        run_id = begin(ann, "endless")["run_id"]
        seen = await socket.wait(
            lambda frame: frame["type"] == "operations" and run_id in [each["id"] for each in frame["executions"]]
        )
        (execution,) = [each for each in seen["executions"] if each["id"] == run_id]
        assert (execution["user_id"], execution["agent"], execution["attempt"]) == (ann.id, "endless", 1)
        running = await socket.wait(
            lambda frame: frame["type"] == "operations" and (tile(frame, "runs_running")["value"] or 0) >= 1
        )
        assert tile(running, "db_in_use")["of"] > 0
        with ann.client() as client:
            client.post(f"/api/runs/{run_id}/cancel").raise_for_status()
        await socket.wait(
            lambda frame: frame["type"] == "operations" and run_id not in [each["id"] for each in frame["executions"]],
            start=len(socket.frames),
        )


async def test_pictures_come_once_a_second_and_stop_when_asked(admin: Account) -> None:
    async with open_socket(admin) as socket:
        await socket.ask("watch_operations", id="w1")
        await socket.of_type("operations")
        begun, start = time.monotonic(), len(socket.frames)
        for _ in range(3):
            await socket.of_type("operations", start=start)
            start = len(socket.frames)
        assert time.monotonic() - begun > 1.5
        await socket.ask("watch_operations", id="w2", on=False)
        start = len(socket.frames)
        with pytest.raises(TimeoutError):
            await socket.of_type("operations", start=start, timeout=1.5)


async def test_others_may_not_watch(ann: Account) -> None:
    async with open_socket(ann) as socket:
        answer = await socket.ask("watch_operations", id="w1")
        assert (answer["type"], answer["code"]) == ("error", "not_found")
        with pytest.raises(TimeoutError):
            await socket.of_type("operations", timeout=1.5)
    with ann.client() as client:
        for path in ("/api/admin/overview", "/api/admin/history"):
            assert client.get(path).status_code == 404


def test_the_overview_is_the_same_over_http(admin: Account) -> None:
    with admin.client() as client:
        picture = client.get("/api/admin/overview").raise_for_status().json()
    assert [each["name"] for each in picture["tiles"]] == [
        "active_users",
        "user_sessions",
        "db_in_use",
        "runs_running",
        "runs_queued",
        "failures",
        "alerts_open",
    ]
    assert picture["values"]["memory_bytes"] > 10_000_000


def test_the_history_goes_back_as_far_as_asked_and_names_what_there_is(admin: Account) -> None:
    with admin.client() as client:
        hour = client.get("/api/admin/history", params={"minutes": 60}).raise_for_status().json()
        week = client.get("/api/admin/history", params={"minutes": 10080, "series": ["requests"]}).json()
        wrong = client.get("/api/admin/history", params={"series": ["nothing"]})
    assert (hour["step_seconds"], len(hour["times"])) == (10, 360)
    assert {len(each["values"]) for each in hour["series"]} == {360}
    assert (week["step_seconds"], len(week["times"]), [each["name"] for each in week["series"]]) == (
        300,
        2016,
        ["requests"],
    )
    assert wrong.status_code == 422
    assert "requests" in wrong.json()["hint"]


def test_what_cannot_be_acknowledged_leaves_no_entry_in_the_audit_log(admin: Account) -> None:
    with admin.client() as client:
        answer = client.post("/api/admin/alerts/inc_nothing/acknowledge", json={"note": "on it"})
        entries = client.get("/api/admin/audit").raise_for_status().json()["items"]
    assert answer.status_code == 404
    assert "inc_nothing" not in {each["target"] for each in entries}
