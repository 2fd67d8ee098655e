"""How long shims have been left as they are, as far as git knows: the date of the last commit of each.

One process of git is asked for all of them, newest commit first, and is ended when every date is known or patience is
over. A rule sees facts of files only, so this is added to what SSOT132 found.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from msgspec.structs import replace

from .git import command
from .outcome import Report

SHIM: Final = "SSOT132"
SECONDS: Final = 5
"""Of a history in which the last commit lies far behind, this much is read; a date that was not found is not told."""
_MOST_PATHS: Final = 500
"""A command line has an end."""
_HEAD: Final = b"\x01"
"""Before the line of a commit. No path begins with it."""


def dated(report: Report) -> Report:
    """A report whose shims say when they were last committed."""
    paths = sorted({each.place.path for each in report.findings if each.rule == SHIM})[:_MOST_PATHS]
    dates = last_commits(report.root, paths)
    if not dates:
        return report
    findings = (
        replace(each, details=(*each.details, f"last commit {date}"))
        if each.rule == SHIM and (date := dates.get(each.place.path))
        else each
        for each in report.findings
    )
    return replace(report, findings=tuple(findings))


def last_commits(root: Path, paths: Collection[str]) -> dict[str, str]:
    """The day of the last commit of each path, as ISO 8601; without those that git does not know."""
    if not paths:
        return {}
    asked = command(
        root, "--literal-pathspecs", "log", "-z", "--format=%x01%cs %D", "--decorate=full", "--name-only", "--relative",
        "--no-renames", "--no-show-signature", "--", *paths,
    )  # fmt: skip
    try:
        process = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    except OSError:
        return {}
    patience = threading.Timer(SECONDS, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        return _read(process.stdout, set(paths))
    finally:
        patience.cancel()
        process.kill()
        with suppress(OSError):
            process.communicate()


def _read(log: IO[bytes], wanted: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    date, rest, is_first = "", b"", False
    while len(found) < len(wanted) and (data := os.read(log.fileno(), 65536)):
        *words, rest = (rest + data).split(b"\0")
        for word in words:
            if word.startswith(_HEAD):
                date, _, names = os.fsdecode(word[1:]).partition(" ")
                is_first = True
                if "grafted" in names.split(", "):
                    return found  # here a shallow clone ends: who changed what before is not in it
                continue
            path = os.fsdecode(word.removeprefix(b"\n") if is_first else word)
            is_first = False
            if path in wanted:
                found.setdefault(path, date)
    return found
