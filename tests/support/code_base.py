"""Small code bases for tests of the checker: files are written, checked as a user would, and the findings returned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from netra.compliance.check import run
from netra.compliance.config import parse
from netra.compliance.outcome import Report
from netra.compliance.rule import Finding


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files by their path below `root`; their text is dedented, so that it can be indented in the test."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")


def check(tmp_path: Path, files: Mapping[str, str], config: Mapping[str, Any] | None = None) -> Report:
    """Write a code base and check it.

    Args:
        files: path to text.
        config: the table `[tool.ssot]`; `select` limits the rules as it does for users.
    """
    write(tmp_path, files)
    return run(tmp_path, parse(dict(config or {})))


def ids(report: Report) -> list[str]:
    """The rules of the findings, in the order of the report."""
    return [each.rule for each in report.findings]


def one(report: Report, rule: str) -> Finding:
    """The only finding of a rule."""
    found = [each for each in report.findings if each.rule == rule]
    assert len(found) == 1, f"{rule}: {len(found)} findings, all: {[(each.rule, each.message) for each in found]}"
    return found[0]
