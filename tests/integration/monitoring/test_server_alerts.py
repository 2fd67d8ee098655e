"""Alerts of a whole server: a real fault, the channel, the administrators' view, the command line, and the report."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.accounts import Account, register, set_up_admin
from support.alerting import webhook
from support.runs import begin, ended
from support.server import ServerProcess
from support.waiting import until


def run(account: Account, agent: str, thread: str | None = None) -> str:
    """Send a message and wait for its run to end. The thread's id."""
    sent = begin(account, agent, thread=thread)
    ended(account, sent["run_id"])
    return str(sent["thread_id"])


def netra(data_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netra", *arguments, "--data-dir", str(data_dir)]
    variables = {key: value for key, value in os.environ.items() if not key.startswith("NETRA_")} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables, cwd=data_dir.parent)


@pytest.mark.spec("alerts.chat-failures", "alerts.channels", "alerts.resolve", "report.weekly", "report.mailed")
async def test_a_user_without_answers_is_told_once_and_once_more_when_it_is_over(
    start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    async with webhook() as hook:
        urls = json.dumps([hook.url])
        agents = ["support.agents:broken", "support.agents:echo"]
        server = await asyncio.to_thread(start_server, agents=agents, environment={"NETRA_ALERT_URLS": urls})
        admin = await asyncio.to_thread(set_up_admin, server)
        user = await asyncio.to_thread(register, server.base_url)
        thread = await asyncio.to_thread(run, user, "broken")
        for _ in range(2):
            await asyncio.to_thread(run, user, "broken", thread)
        with user.client() as client:
            assert client.get("/api/admin/alerts").status_code == 404
        # A restart takes a turn at once, and must tell no more than a server that went on.
        await asyncio.to_thread(server.restart, kill=True)
        await until(lambda: len(hook.received) == 1, "the notice")
        await asyncio.to_thread(_shows, admin, thread)
        await asyncio.to_thread(run, user, "echo", thread)
        await until(lambda: len(hook.received) == 2, "the notice that it is over")
        titles = [message["title"] for message in hook.received]
        assert titles == [f"[warning] thread_failures {thread}", f"[resolved] thread_failures {thread}"]
        assert "s3cretsecret" not in server.output

        listed = await asyncio.to_thread(netra, server.data_dir, "alerts", "list", "--all", "--json")
        assert [alert["rule"] for alert in json.loads(listed.stdout)] == ["thread_failures"]
        await asyncio.to_thread(server.stop)
        page = tmp_path / "week.html"
        sent = await asyncio.to_thread(
            netra, server.data_dir, "report", "--json", "--send", "--html", str(page), NETRA_ALERT_URLS=urls
        )
        assert sent.returncode == 0, sent.stderr
        figures = json.loads(sent.stdout)["figures"]
        # The first process was killed; the second has written everything at its stop.
        assert figures["runs_succeeded"]["this_week"] == 1
        assert figures["request_latency_p99_ms"]["this_week"] > 0
        assert figures["event_latency_p50_ms"]["this_week"] > 0
        assert figures["session_success"]["this_week"] == 100
        assert figures["request_latency_p99_ms"]["week_before"] is None
        assert figures["compliance_score"]["this_week"] > 0  # of the version that runs
        assert figures["compliance_score"]["week_before"] is None
        assert hook.received[-1]["title"].startswith("Netra, week from")
        assert "Event latency" in page.read_text()


def _shows(admin: Account, thread: str) -> None:
    with admin.client() as client:
        found = client.get("/api/admin/alerts").json()
    (incident,) = found["open"]
    assert (incident["rule"], incident["key"], incident["severity"]) == ("thread_failures", thread, "warning")
    assert found["recent"] == found["open"]
    rules = {rule["name"]: rule for rule in found["rules"]}
    assert rules["thread_failures"]["values"] == {thread: 3}
    assert rules["disk_space"]["falling"] and rules["run_failures"]["fires_at"] == 0.5


@pytest.mark.spec("alerts.channels")
async def test_the_test_command_says_what_happened_to_each_channel(tmp_path: Path) -> None:
    async with webhook() as hook:
        urls = json.dumps([hook.url, "json://127.0.0.1:9/topsecretpath"])
        command = [sys.executable, "-m", "netra", "alerts", "test"]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
            env={"NETRA_ALERT_URLS": urls, "PATH": "/usr/bin:/bin"},
        )
        output = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert "sent  json 1" in output
    assert "FAIL  json 2" in output
    assert "topsecretpath" not in output and "s3cretsecret" not in output
    assert [message["title"] for message in hook.received] == ["[test] Netra"]
