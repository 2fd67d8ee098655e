"""How git is asked: without what the configuration of a stranger's repository would have it run."""

from __future__ import annotations

import os
from pathlib import Path


def command(directory: Path, *arguments: str) -> list[str]:
    """A command of git in a directory.

    `core.fsmonitor` names a program that git starts whenever it looks at files, and stands in `.git/config`, which an
    unpacked archive brings along.
    """
    return ["git", "-c", "core.fsmonitor=false", "-C", os.fspath(directory), *arguments]
