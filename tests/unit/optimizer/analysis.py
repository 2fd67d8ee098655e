"""Helpers of the optimizer's tests: run the agent on files, or one analysis without an agent."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from netra.agents.context import Answer, Turn
from netra.agents.optimizer import NetraOptimizer
from netra.agents.optimizer.records import Limits, SourceFile
from netra.agents.optimizer.workspace import Plan, Workspace
from netra.agents.rehearsal import Rehearsal

DATA = Path(__file__).parents[2] / "data"
AZURE = DATA / "azure-llm-inference-2023"
USAGE = DATA / "usage"
QUESTION = "Where does my AI spend go, and how could I cut it?"
DAY = date(2026, 11, 21)


def workspace(*paths: Path, limits: Limits | None = None, **plan: Any) -> Workspace:
    """An analysis of these files on a fixed day."""
    files = [SourceFile(f"fil_{index}", path.name, path) for index, path in enumerate(paths)]
    return Workspace(files, Plan(as_of=DAY, **plan), limits=limits)


def analyse(*paths: Path, **plan: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the three tools say."""
    work = workspace(*paths, **plan)
    try:
        profiled = work.profile_usage()
        assert "totals" in profiled, profiled
        return profiled, work.price_usage(), work.find_savings()
    finally:
        work.close()


def problem(path: Path, **plan: Any) -> dict[str, Any]:
    """What is wrong with a file."""
    work = workspace(path, **plan)
    try:
        answer = work.profile_usage()
        assert "problem" in answer, answer
        found: dict[str, Any] = answer["problem"]
        return found
    finally:
        work.close()


async def talk(
    messages: Sequence[str], files: Iterable[Path] = (), agent: NetraOptimizer | None = None
) -> tuple[list[Answer], Rehearsal]:
    """A conversation whose first message carries the files; the answers, and the last run."""
    agent = agent or NetraOptimizer()
    history: list[Turn] = []
    answers: list[Answer] = []
    attached = tuple(files)
    for number, message in enumerate(messages):
        rehearsal = Rehearsal(message, files=attached if number == 0 else (), history=history)
        answer = await rehearsal.run(agent)
        answers.append(answer)
        attachments = rehearsal.context.message.attachments
        history.append(Turn(message, answer.text or "", attachments, answer.result, "netra-optimizer"))
    return answers, rehearsal


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    """A CSV file of these rows."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path
