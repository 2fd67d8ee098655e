"""The report on the quality of answers, in Markdown: for administrators over all, for users over their own."""

from __future__ import annotations

from collections.abc import Sequence

from netra.events import AgentQuality

from .findings import WEIGHTS
from .measures import Comment

_TITLES = {
    "failed": "ended without an answer",
    "empty": "empty",
    "truncated": "cut off",
    "repeated": "going in circles",
    "same_as_before": "the previous answer again",
    "contradicts_tools": "figures that contradict the tools",
}


def markdown(
    agents: Sequence[AgentQuality], *, days: int, made_at: str, everybody: bool, comments: Sequence[Comment] = ()
) -> str:
    """The report.

    Args:
        agents: as `Measures` gives them.
        days: of the period.
        made_at: its end.
        everybody: whether it is about all users' runs.
        comments: what users said in words, as `Measures` gives them.
    """
    whose = "everybody's runs" if everybody else "your runs"
    period = "the last day" if days == 1 else f"the last {days} days"
    lines = ["# Quality of answers", "", f"Of {whose} in {period}, as of {made_at}.", ""]
    if not agents:
        return "\n".join([*lines, "No answer was checked, and nobody gave feedback."]) + "\n"
    lines += ["| Agent | Answers | Score | Change | Failed | Up | Down | With words |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    lines += [_row(each) for each in agents]
    lines += [
        "",
        "The score is the mean over the checked answers: 100 less "
        + ", ".join(f"{points} for {_TITLES[kind]}" for kind, points in WEIGHTS.items())
        + ". Change compares the second half of the period with the first.",
    ]
    for each in agents:
        lines += ["", f"## {_name(each.agent)}", ""]
        worst = sorted(each.findings.items(), key=lambda item: (-_lost(*item), item[0]))
        if not worst:
            lines.append("Nothing was found to be wrong.")
        for kind, count in worst:
            lines.append(f"- {_TITLES.get(kind, kind)}: {count} of {each.checked}, {_lost(kind, count)} points in all")
    if comments:
        lines += ["", "## What users said", ""]
        lines += ["The newest first.", *(line for each in comments for line in _said(each))]
    return "\n".join(lines) + "\n"


def _said(comment: Comment) -> list[str]:
    """A comment as a block of code: whatever is in it is shown, and nothing of it becomes a link or a picture."""
    thumb = "up" if comment.rating > 0 else "down"
    about = f"Thumb {thumb} for {_name(comment.agent)}, {comment.given_at}, `{comment.run_id}`:"
    return ["", about, "", *(f"    {line}" for line in comment.text.splitlines())]


def _lost(kind: str, count: int) -> int:
    return count * {str(name): points for name, points in WEIGHTS.items()}.get(kind, 0)


def _row(each: AgentQuality) -> str:
    cells = [
        _name(each.agent),
        f"{each.checked:,}",
        "–" if each.score is None else f"{each.score:.1f}",
        "–" if each.change is None else f"{each.change:+.1f}",
        "–" if each.failed_share is None else f"{each.failed_share:.1%}",
        f"{each.thumbs_up:,}",
        f"{each.thumbs_down:,}",
        f"{each.comments:,}",
    ]
    return "| " + " | ".join(cells) + " |"


def _name(agent: str) -> str:
    return "`" + agent.replace("`", "'").replace("|", "¦") + "`"
