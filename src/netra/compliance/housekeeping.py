"""The checker's own order: comments that allow nothing (SSOT903), entries of the baseline that name nothing (SSOT902).

They are told apart from the other findings in one way: they cost no score. Mending a finding leaves a comment or an
entry without a purpose, and mending must never cost anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .rule import Edit, Finding, Fix, Place, Rule, Severity, table

if TYPE_CHECKING:
    from .baseline import BaselineEntry
    from .facts import Suppression
    from .project import Project

STALE: Final = "SSOT902"
UNUSED: Final = "SSOT903"
HOUSEKEEPING: Final = frozenset({STALE, UNUSED})
_COMMENT = re.compile(r"\s*#\s*ssot:\s*allow\[[^\]]*\].*$")


def unused_suppressions(
    root: Path, project: Project, selected: Mapping[str, Rule], used: set[tuple[str, int, str]]
) -> Iterable[Finding]:
    """Comments that allow nothing: none of their rules finds anything there, they give no reason, or name no rule.

    A rule that is not selected is not spoken of.
    """
    known = table()
    for file in project.files:
        for each in file.facts.suppressions:
            wrong = [rule for rule in each.rules if rule not in known]
            idle = [rule for rule in each.rules if rule in selected and (file.path, each.line, rule) not in used]
            if not each.reason:
                message = f"The comment allows nothing, because it gives no reason: allow[{','.join(each.rules)}]."
            elif wrong:
                message = f"There is no rule {', '.join(wrong)}."
            elif idle:
                message = f"{' and '.join(idle)} {'finds' if len(idle) == 1 else 'find'} nothing here to allow."
            else:
                continue
            lines = _lines(root / file.path)
            if lines is not None and each.line not in _comments("".join(lines)):
                continue  # the text of a string
            # A comment without a reason was meant to allow something: only its author knows what for.
            fix = _without(file.path, lines, each, idle) if lines is not None and each.reason else None
            yield Finding(
                UNUSED,
                Severity.WARNING,
                Place(file.path, each.line),
                message,
                (file.module, ",".join(each.rules), each.reason),
                hint="Remove it, or say why it is right." if each.reason else "Write the reason behind the bracket.",
                fix=fix,
            )


def stale_entries(path: str, entries: Iterable[BaselineEntry]) -> list[Finding]:
    """Entries of the baseline at `path` whose findings are gone."""
    return [
        Finding(
            STALE,
            Severity.WARNING,
            Place(path, entry.line),
            f"The baseline still has {entry.missing} of {entry.rule} in {entry.path} that {_are(entry.missing)} gone:"
            f" {entry.subject or entry.fingerprint}.",
            (entry.path, entry.rule, entry.fingerprint),
            hint="Run `netra ssot baseline prune`.",
        )
        for entry in entries
    ]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _lines(path: Path) -> list[str] | None:
    try:
        return split(path.read_bytes().decode("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def split(text: str) -> list[str]:
    """Lines with their ends, as facts count them: only a line feed ends one."""
    return re.findall(r"[^\n]*\n|[^\n]+$", text)


@lru_cache(maxsize=256)
def _comments(text: str) -> frozenset[int]:
    """The lines of a text that have a comment; kept, since a watcher asks at each change."""
    import io
    import tokenize

    found: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            if token.type == tokenize.COMMENT:
                found.add(token.start[0])
    except (tokenize.TokenError, SyntaxError):
        return frozenset(range(1, len(split(text)) + 1))  # of a broken file nothing better is known
    return frozenset(found)


def _without(path: str, lines: list[str], comment: Suppression, idle: list[str]) -> Fix | None:
    """The edit that removes the idle rules of a comment, or all of it."""
    if not 0 < comment.line <= len(lines) or not idle:
        return None
    line = lines[comment.line - 1]
    ending = line[len(line.rstrip("\r\n")) :]
    kept = [rule for rule in comment.rules if rule not in idle]
    if kept:
        text = re.sub(r"allow\[[^\]]*\]", f"allow[{', '.join(kept)}]", line, count=1)
    else:
        before = _COMMENT.sub("", line.rstrip("\r\n"))
        text = f"{before}{ending}" if before.strip() else ""
    return Fix("remove what allows nothing", (Edit(path, comment.line, comment.line, text),))
