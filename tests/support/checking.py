"""`netra check` as a process of its own, as users and CI jobs start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TWINS = {
    "pyproject.toml": "[project]\nname = 'shop'\n",
    "shop/__init__.py": "",
    "shop/orders.py": """
        class SessionMetrics:
            def __init__(self) -> None:
                self.last_activity_at = 0
                self.query_count = 0
                self.error_count = 0
        """,
    "shop/payments.py": """
        class SessionMetrics:
            def __init__(self) -> None:
                self.last_activity = 0
                self.operations_count = 0
                self.errors = 0
        """,
    "shop/report.py": """
        from shop.orders import SessionMetrics


        def report(metrics: SessionMetrics) -> int:
            try:
                return metrics.query_count
            except ValueError:
                return metrics.operations_count
        """,
}
"""A small code base with the disease: twins, and a read of the wrong one in an error path."""


def netra(*arguments: str, cwd: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `python -m netra …` and wait for it. Its output is no terminal."""
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "netra", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
