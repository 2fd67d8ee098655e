"""The server as a process: it starts, announces itself, survives being killed, and stops cleanly."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from netra import __version__
from support.accounts import PASSWORD, Account, register, set_up_admin, sign_in
from support.server import ServerProcess

Start = Callable[..., ServerProcess]


def test_the_first_start_prints_a_link_that_creates_the_administrator_once(start_server: Start) -> None:
    server = start_server(fresh=True)
    admin = set_up_admin(server)
    with admin.client() as client:
        me = client.get("/api/me").json()["user"]
    assert me["id"] == admin.id
    assert "admin" in me["roles"]
    again = httpx.post(
        f"{server.base_url}/api/auth/setup",
        json={"token": server.setup_token, "email": "second@example.com", "password": PASSWORD},
        trust_env=False,
        verify=False,
    )
    assert again.status_code in (403, 404)


def test_the_link_is_not_printed_again_once_there_is_an_administrator(start_server: Start) -> None:
    server = start_server()
    set_up_admin(server)
    printed = server.output.count("/setup#token=")
    server.restart()
    assert server.output.count("/setup#token=") == printed


def test_users_survive_a_kill(start_server: Start, database_url: str) -> None:
    server = start_server(database_url=database_url)
    user = register(server.base_url)
    server.restart(kill=True)
    assert sign_in(server.base_url, user.email).id == user.id


def test_every_line_of_the_log_is_json_with_an_event_and_no_secret(start_server: Start) -> None:
    server = start_server()
    token = server.setup_token
    user = set_up_admin(server)
    with user.client() as client:
        client.get("/api/me")
        client.get("/api/threads/thr_nothing")
        client.post("/api/auth/login", json={"email": user.email, "password": "wrong password"})
    server.stop()
    lines = [line for line in server.output.splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        assert {"event", "level", "timestamp"} <= json.loads(line).keys()
    logged = "\n".join(lines)
    for secret in (token, PASSWORD, "wrong password", user.access_token, user.refresh_token):
        assert secret not in logged
    others = [line for line in server.output.splitlines() if line.strip() and line not in lines]
    assert all("administrator" in line or "/setup#token=" in line for line in others), others


def test_it_stops_when_asked_and_its_port_is_free_at_once(start_server: Start) -> None:
    server = start_server()
    assert server.stop() in (0, -signal.SIGTERM)
    server.start()


def test_a_port_that_is_taken_ends_the_start_with_advice(start_server: Start, tmp_path: Path) -> None:
    server = start_server()
    command = [
        sys.executable,
        "-m",
        "netra",
        "serve",
        "--port",
        str(server.port),
        "--data-dir",
        str(tmp_path / "other"),
    ]
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode != 0
    assert "Traceback" not in second.stderr
    assert "doctor" in second.stderr
    assert "address already in use" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--data-dir", "/dev/null/data"], "--data-dir"),
        (["--database-url", "postgresql://127.0.0.1:1/none"], "database_url"),
        (["no_such_module:agent"], "install its package"),
        (["--port", "99999"], "netra serve --help"),
    ],
)
def test_a_start_that_cannot_work_says_what_to_do(arguments: list[str], advice: str, tmp_path: Path, port: int) -> None:
    command = [sys.executable, "-m", "netra", "serve", "--port", str(port), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert advice in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_recognises_the_running_server_and_that_sockets_get_through(start_server: Start, tmp_path: Path) -> None:
    server = start_server()
    command = [sys.executable, "-m", "netra", "doctor", "--json", "--port", str(server.port)]
    command += ["--data-dir", str(server.data_dir)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, findings
    texts = " ".join(finding["text"] for finding in findings)
    assert "a Netra server answers there" in texts
    assert "WebSockets get through" in texts


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics", "/"])
def test_the_open_paths_answer(server: ServerProcess, path: str) -> None:
    assert httpx.get(server.base_url + path, trust_env=False, verify=False).status_code == 200


def test_metrics_say_which_build_runs_and_what_its_process_uses(server: ServerProcess) -> None:
    exposed = httpx.get(server.base_url + "/metrics", trust_env=False, verify=False).text
    assert f'netra_build_info{{python="{platform.python_version()}",version="{__version__}"}} 1.0' in exposed
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
        assert f"\n{name} " in exposed


@pytest.mark.spec("health.serving", "commands.health")
def test_health_is_json_that_says_it_serves(server: ServerProcess) -> None:
    answer = httpx.get(f"http://localhost:{server.port}/health", trust_env=False, verify=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "ok"


def test_people_of_the_shared_server_are_different_people(admin: Account, new_user: Callable[[], Account]) -> None:
    first, second = new_user(), new_user()
    assert len({admin.id, first.id, second.id}) == 3
