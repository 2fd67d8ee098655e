"""The one-line checks of the specification, word for word, as they are typed in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "message-router": (
        'python -c "'
        "from netra_backend.app.websocket_core.handlers import MessageRouter; "
        "from netra_backend.app.services.websocket.quality_message_router import QualityMessageRouter; "
        "from netra_backend.app.websocket_core.canonical_message_router import CanonicalMessageRouter; "
        'print(id(MessageRouter) == id(QualityMessageRouter) == id(CanonicalMessageRouter))"',
        "True\n",
    ),
    "alert-manager": (
        "python -c \"from netra_backend.app.monitoring.alert_manager import alert_manager; print('Alert manager OK')\"",
        "Alert manager OK\n",
    ),
    "launcher-config": (
        "python -c \"from dev_launcher.launcher import LauncherConfig; print('Dev launcher OK')\"",
        "Dev launcher OK\n",
    ),
    "get-session": (
        "python -c \"from netra_backend.app.db.session import get_session; print('DB session OK')\"",
        "DB session OK\n",
    ),
}


@pytest.mark.spec(
    "commands.message-router", "commands.alert-manager", "commands.launcher-config", "commands.get-session"
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_the_specification_says_and_nothing_else(name: str) -> None:
    command, expected = COMMANDS[name]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NETRA_", "PYTHONPATH"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
