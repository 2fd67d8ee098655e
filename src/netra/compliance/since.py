"""What a commit had: the same check over the files as they were then, so that only what came later is shown.

Only the files that differ are read from git, all of them from one process; the facts of the others are those of now.
The commit is where the branch left REF, so that what others did on REF meanwhile is nobody's finding here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from .baseline import Baseline, made_of
from .check import judge
from .config import ConfigError
from .extract import extract
from .facts import FileFacts
from .figures import rule_hash
from .git import command
from .outcome import Report

SECONDS = 120


def baseline_at(ref: str, report: Report) -> Baseline:
    """The findings of a commit, as a baseline.

    Raises:
        ConfigError: this is no git work tree, or there is no such commit.
    """
    root = report.root
    if ref.startswith("-"):
        raise ConfigError(f"--since: {ref!r} is no commit.")
    top = Path(os.fsdecode(_git(root, "rev-parse", "--show-toplevel").rstrip(b"\n")))
    try:
        commit = _git(root, "merge-base", ref, "HEAD").decode().strip()
    except ConfigError:
        commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    listed = _git(root, "diff", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-relative", commit).split(b"\0")
    changed = {os.fsdecode(name): _blob(row) for row, name in zip(listed[::2], listed[1::2], strict=False)}
    untracked = _git(top, "ls-files", "-z", "--others", "--exclude-standard").split(b"\0")
    changed |= {os.fsdecode(name): None for name in untracked if name}
    facts: dict[str, FileFacts] = {file.path: file.facts for file in report.project.files}
    checked = _directories(facts)
    inside = "" if root == top else f"{root.relative_to(top).as_posix()}/"
    wanted: dict[str, bytes] = {}
    for name, blob in changed.items():
        if not name.endswith(".py") or not name.startswith(inside):
            continue
        path = name.removeprefix(inside)
        if blob is None:
            facts.pop(path, None)
        # A deleted file was part of the check when others of its directory, or below it, are.
        elif path in facts or path.rpartition("/")[0] in checked:
            wanted[path] = blob
    facts |= {path: extract(data) for path, data in zip(wanted, _contents(top, wanted.values()), strict=True)}
    tree = replace(report.tree, python=tuple(sorted(facts)))
    then = judge(tree, ((path, facts[path]) for path in tree.python), report.config, report.rules)
    return made_of(then.findings, then.score.value, rule_hash(report))


def _blob(row: bytes) -> bytes | None:
    """From a row of `git diff --raw`, the hash of what a file was; None when it was none, or a link.

    A row is `:100644 100644 OLD NEW M`: modes, hashes, status.
    """
    mode, _, blob, *_ = row.split(b" ")
    return blob if mode.startswith(b":100") else None


def _contents(top: Path, blobs: Iterable[bytes]) -> Iterator[bytes]:
    """What git keeps under each hash, from one process."""
    asked = b"".join(b"%s\n" % blob for blob in blobs)
    answer = _git(top, "cat-file", "--batch", given=asked) if asked else b""
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        blob, _, size = answer[at:end].partition(b" blob ")
        if not size:
            raise ConfigError(f"--since: git has not got {blob.decode(errors='replace')}.")
        at = end + 1 + int(size)
        yield answer[end + 1 : at]
        at += 1


def _directories(paths: Iterable[str]) -> set[str]:
    """The directories of files, and those above; the root only where a file is directly in it."""
    found: set[str] = set()
    for path in paths:
        directory = path.rpartition("/")[0]
        found.add(directory)
        while (directory := directory.rpartition("/")[0]) and directory not in found:
            found.add(directory)
    return found


def _git(directory: Path, *arguments: str, given: bytes = b"") -> bytes:
    asked = command(directory, *arguments)
    try:
        answer = subprocess.run(asked, input=given, capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"--since needs git: {error}") from error
    if answer.returncode != 0:
        raise ConfigError(f"--since: git says {answer.stderr.decode('utf-8', 'replace').strip()}")
    return answer.stdout
