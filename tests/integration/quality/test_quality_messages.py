"""The quality messages on a real server: figures, alerts, validation and reports, each to whom it belongs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.accounts import Account
from support.server import ServerProcess
from support.sockets import Socket, open_socket
from support.waiting import until

from .conftest import run_to_end

SECRET = "a word only Ann has written"


async def run(account: Account, agent: str, content: str) -> dict[str, str]:
    def work() -> dict[str, str]:
        with account.client() as client:
            return run_to_end(client, agent, content)

    return await asyncio.to_thread(work)


async def figures(socket: Socket, agent: str, checked: int, **members: Any) -> dict[str, Any]:
    """An agent's figures, once this many of its answers are checked."""

    async def found() -> dict[str, Any] | None:
        answer = await socket.ask("get_quality_metrics", agent=agent, **members)
        assert answer["type"] == "quality_metrics", answer
        agents: list[dict[str, Any]] = answer["agents"]
        return agents[0] if agents and agents[0]["checked"] >= checked else None

    return await until(found, f"{checked} checked answers")  # about a second after the run's end


@pytest.mark.spec("quality.metrics", "quality.feedback")
async def test_figures_come_from_the_callers_own_runs_and_feedback(ann: Account, bob: Account, admin: Account) -> None:
    sent = await run(ann, "ledger", "the total")
    await run(ann, "ledger", "the wrong total")
    await run(bob, "ledger", "the total")
    async with ann.async_client() as client:
        await client.put(f"/api/runs/{sent['run_id']}/feedback", json={"rating": -1, "text": SECRET})
    async with open_socket(ann) as hers, open_socket(bob) as his, open_socket(admin) as theirs:
        own = await figures(hers, "ledger", 2)
        assert (own["checked"], own["score"], own["thumbs_down"], own["comments"]) == (2, 75.0, 1, 1)
        assert own["findings"] == {"contradicts_tools": 1}
        assert (await figures(his, "ledger", 1))["score"] == 100.0
        everybody = await figures(theirs, "ledger", 3, days=1)
        assert everybody["checked"] >= 3
        answer = await hers.ask("get_quality_metrics", id="q1", days=1)
        assert (answer["id"], answer["everybody"], answer["step"]) == ("q1", False, "hour")
        assert [each["agent"] for each in answer["agents"]] == ["ledger"]
        assert (await theirs.ask("get_quality_metrics"))["everybody"] is True
        nothing = await his.ask("get_quality_metrics", agent="no such agent")
        assert nothing["agents"] == []
        for frames in (his.frames, theirs.frames):
            assert SECRET not in json.dumps(frames)


@pytest.mark.spec("quality.alerts")
async def test_findings_reach_only_the_subscribed_connections_of_their_owner(
    ann: Account, bob: Account, admin: Account
) -> None:
    async with (
        open_socket(ann) as hers,
        open_socket(ann) as quiet,
        open_socket(bob) as his,
        open_socket(admin) as theirs,
    ):
        for socket in (hers, his, theirs):
            assert await socket.ask("subscribe_quality_alerts", id="s") == {"type": "ack", "id": "s"}
        sent = await run(ann, "ledger", f"the wrong total, {SECRET}")
        alert = await hers.of_type("quality_alert")
        assert (alert["alert"], alert["run_id"], alert["thread_id"]) == ("finding", sent["run_id"], sent["thread_id"])
        assert (alert["agent"], alert["score"]) == ("ledger", 50)
        assert [each["kind"] for each in alert["findings"]] == ["contradicts_tools"]
        own = await run(bob, "silent", "say nothing")
        assert (await his.of_type("quality_alert"))["run_id"] == own["run_id"]  # later than hers, and his first
        for socket in (quiet, theirs):
            assert (await socket.ask("ping"))["type"] == "pong"
            assert [frame for frame in socket.frames if frame["type"] == "quality_alert"] == []
        assert sent["run_id"] not in json.dumps(his.frames)
        await hers.ask("subscribe_quality_alerts", on=False)
        start = len(hers.frames)
        await run(ann, "silent", "say nothing")
        await figures(hers, "silent", 1)
        assert [frame for frame in hers.frames[start:] if frame["type"] == "quality_alert"] == []


@pytest.mark.spec("quality.alerts")
async def test_administrators_hear_that_an_agent_got_worse_and_others_do_not(ann: Account, admin: Account) -> None:
    async with open_socket(ann) as hers, open_socket(admin) as theirs:
        await hers.ask("subscribe_quality_alerts")
        await theirs.ask("subscribe_quality_alerts")
        with ann.client() as client:
            for content in ["Good."] * 66 + ["```\ncut"] * 14:
                await asyncio.to_thread(run_to_end, client, "echo", content)
        alert = await theirs.of_type("quality_alert", alert="dropped", timeout=30)
        assert (alert["agent"], alert["before"]) == ("echo", 100)
        assert alert["score"] <= 85
        await hers.of_type("quality_alert", alert="finding")
        assert [frame for frame in hers.frames if frame.get("alert") == "dropped"] == []
        assert [frame for frame in theirs.frames if frame.get("alert") == "finding"] == []


@pytest.mark.spec("quality.validate")
async def test_a_text_can_be_validated_without_being_kept(ann: Account) -> None:
    async with open_socket(ann) as socket:
        good = await socket.ask("validate_content", id="v", content="All of it is here.")
        assert good == {"type": "content_validation", "id": "v", "score": 100, "findings": []}
        checks: list[tuple[dict[str, Any], list[str], int]] = [
            ({"content": "  "}, ["empty"], 0),
            ({"content": "```\ncut"}, ["truncated"], 60),
            ({"content": "```\ncut", "kind": "plain"}, [], 100),
            ({"content": "round and round it goes " * 40}, ["repeated"], 60),
            (
                {"content": "The total is $5.00.", "tool_results": [{"name": "sum", "result": {"total_usd": 7}}]},
                ["contradicts_tools"],
                50,
            ),
        ]
        for members, kinds, points in checks:
            answer = await socket.ask("validate_content", **members)
            assert ([each["kind"] for each in answer["findings"]], answer["score"]) == (kinds, points), members
        assert (await socket.ask("validate_content", content="x", kind="html"))["code"] == "invalid_input"
        assert (await socket.ask("get_quality_metrics"))["agents"] == []


@pytest.mark.spec("quality.report")
async def test_a_report_is_of_ones_own_runs_and_for_administrators_of_all(
    ann: Account, bob: Account, admin: Account
) -> None:
    await run(ann, "ledger", f"the wrong total, {SECRET}")
    async with open_socket(ann) as hers, open_socket(bob) as his, open_socket(admin) as theirs:
        await figures(hers, "ledger", 1)
        own = await hers.ask("generate_quality_report", days=30)
        assert (own["type"], own["everybody"], own["days"]) == ("quality_report", False, 30)
        assert "figures that contradict the tools: 1 of 1, 50 points in all" in own["markdown"]
        nothing = await his.ask("generate_quality_report")
        assert (nothing["agents"], "No answer was checked" in nothing["markdown"]) == ([], True)
        every = await theirs.ask("generate_quality_report")
        assert every["everybody"] is True
        assert "| `ledger` |" in every["markdown"]
        assert SECRET not in json.dumps(every)
        assert (await theirs.ask("generate_quality_report", days=0))["code"] == "invalid_input"


@pytest.mark.spec("quality.report")
def test_the_admin_report_is_json_or_markdown_and_nobody_elses(
    judged: ServerProcess, admin: Account, ann: Account, join: Callable[[], Account]
) -> None:
    path = "/api/admin/quality"
    with admin.client() as client, ann.client() as user:
        report = client.get(path).json()
        assert (report["days"], report["step"]) == (7, "day")
        assert {each["agent"] for each in report["agents"]} <= {"echo", "ledger", "silent", "endless"}
        text = client.get(path, params={"days": 1}, headers={"Accept": "text/markdown"})
        assert text.headers["content-type"] == "text/markdown; charset=utf-8"
        assert text.text.startswith("# Quality of answers\n")
        assert client.get(path, params={"days": 91}).status_code == 422
        nothing = user.get("/api/admin/nothing")
        for refused in (user.get(path), httpx.get(judged.base_url + path, trust_env=False)):
            assert (refused.status_code, refused.json()["detail"]) == (404, nothing.json()["detail"])


@pytest.mark.spec("quality.report", "quality.feedback")
def test_administrators_read_the_words_of_feedback_and_no_message(admin: Account, ann: Account, bob: Account) -> None:
    question = "what she asked is nobody else's business"
    words = "Too short.\n![x](https://example.com/x.png) `and` # more"
    with admin.client() as client, ann.client() as hers, bob.client() as his:
        said = run_to_end(hers, "silent", question)
        wordless = run_to_end(his, "silent", "nothing to say")
        other = run_to_end(his, "ledger", "the total")
        for who, run_id, body in (
            (his, other["run_id"], {"rating": 1, "text": "Just right."}),
            (his, wordless["run_id"], {"rating": -1}),
            (hers, said["run_id"], {"rating": 1, "text": "an opinion she changed"}),
            (hers, said["run_id"], {"rating": -1, "text": words}),
        ):
            assert who.put(f"/api/runs/{run_id}/feedback", json=body).status_code == 200
        path = "/api/admin/quality"
        newest, second = client.get(path).json()["comments"][:2]
        given_at = hers.get(f"/api/runs/{said['run_id']}/feedback").json()["updated_at"]
        expected = {"run_id": said["run_id"], "agent": "silent", "rating": -1, "text": words, "given_at": given_at}
        assert newest == expected
        assert (second["run_id"], second["rating"], second["text"]) == (other["run_id"], 1, "Just right.")
        only = client.get(path, params={"agent": "ledger"}).json()["comments"]
        assert {each["agent"] for each in only} == {"ledger"}
        report = client.get(path, headers={"Accept": "text/markdown"}).text
        assert f"Thumb down for `silent`, {given_at}, `{said['run_id']}`:\n\n    Too short.\n    ![x]" in report
        assert question not in json.dumps(client.get(path).json()) + report
        assert ann.id not in json.dumps(client.get(path).json()) + report
        hers.delete(f"/api/runs/{said['run_id']}/feedback")
        assert said["run_id"] not in {each["run_id"] for each in client.get(path).json()["comments"]}
        refused = client.get(path, params={"agent": "a\0b"})
        assert (refused.status_code, refused.json()["field"]) == (422, "agent")
