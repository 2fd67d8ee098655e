"""The history: a line for each check that was asked to keep one, for the trend on the page.

It is written only where `--history` or `history` in the configuration names a file; checks of a developer's machine
leave no traces otherwise. A CI job that keeps the file (as an artefact, or committed) gets a trend.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import ConfigError
from .git import command

if TYPE_CHECKING:
    from .outcome import Outcome

KEPT = 1000
"""Lines that are read, the last ones."""


def row(outcome: Outcome) -> dict[str, Any]:
    """The line of a check."""
    report = outcome.report
    counts = Counter(each.severity.value for each in report.findings)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(report.root),
        "score": report.score.value,
        "scopes": {each.scope: each.score for each in report.score.scopes if each.score is not None},
        "debt": report.score.debt,
        "findings": dict(sorted(counts.items())),
        "files": len(report.tree.python),
        "rules": outcome.rule_hash,
    }


def append(path: Path, outcome: Outcome) -> None:
    """Add a check to the history.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row(outcome))}\n")
    except OSError as error:
        raise ConfigError(f"The history {path} cannot be written: {error.strerror}.") from error


def read(path: Path) -> tuple[dict[str, Any], ...]:
    """The last lines of a history, oldest first. Lines that are none are left out: a crash may have cut one off."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()[-KEPT:]
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            each = json.loads(line)
        except ValueError:
            continue
        if isinstance(each, dict) and isinstance(each.get("score"), (int, float)) and isinstance(each.get("at"), str):
            found.append(each)
    return tuple(found)


def weekly_scores(path: Path, last: date) -> tuple[float | None, float | None]:
    """The last score of the seven days up to one, and of the seven before; None where no check was kept."""
    found: list[float | None] = [None, None]
    for each in read(path):
        try:
            at = datetime.fromisoformat(each["at"])
        except ValueError:
            continue
        days = (last - at.astimezone(UTC).date()).days
        if 0 <= days < 14:
            found[days // 7] = float(each["score"])
    return found[0], found[1]


def _commit(root: Path) -> str:
    try:
        asked = command(root, "rev-parse", "--short", "HEAD")
        answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
