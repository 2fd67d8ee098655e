"""The baseline: findings that are known and wait, so that a check can ask for no new ones.

A text file of JSON lines: one with what was found when it was written, then one for each finding, sorted, so that
merges and reviews read well. An entry is a rule, a path and a fingerprint of names; moving lines does not touch it. It
counts: a second finding with the same fingerprint in the same file is new. The file is written by `netra ssot baseline
write` and made smaller by `prune`, never by a check.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from .config import ConfigError
from .rule import Finding

FORMAT = 1


class BaselineEntry(Struct, frozen=True):
    """A line of the baseline.

    Args:
        count: how many findings like this the file may have.
        subject: for people; what the fingerprint is made of.
        line: where it stands in the baseline.
        missing: how many of `count` are gone.
    """

    path: str
    rule: str
    fingerprint: str
    count: int
    subject: str = ""
    line: int = 0
    missing: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is found by."""
        return (self.path, self.rule, self.fingerprint)


class Baseline(Struct, frozen=True):
    """A file of them. `score` and `rules` (their hash) are those of the check it was written from."""

    entries: tuple[BaselineEntry, ...] = ()
    score: float | None = None
    rules: str = ""


class Comparison(Struct, frozen=True):
    """Findings against a baseline.

    Args:
        new: findings that it does not have.
        known: those that it has.
        stale: entries of which something is gone.
        before: the score at that time, when the rules were the same ones.
    """

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    stale: tuple[BaselineEntry, ...]
    before: float | None = None


def read(path: Path) -> Baseline:
    """A baseline from its file.

    Raises:
        ConfigError: it is not there, or not a baseline.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"There is no baseline {path}. `netra ssot baseline write` makes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The baseline {path} cannot be read: {error}") from error
    score: float | None = None
    rules = ""
    entries: list[BaselineEntry] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            if "baseline" in row:
                if row["baseline"] != FORMAT:
                    raise ConfigError(f"The baseline {path} is of another version. Write it again.")
                score, rules = row.get("score"), row.get("rules", "")
                continue
            entries.append(
                BaselineEntry(
                    row["path"], row["rule"], row["id"], int(row.get("count", 1)), row.get("subject", ""), number
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{path}:{number} is no entry of a baseline.") from None
    return Baseline(tuple(entries), score, rules)


def made_of(findings: Iterable[Finding], score: float | None = None, rules: str = "") -> Baseline:
    """The baseline that knows all of these findings."""
    counts: Counter[tuple[str, str, str]] = Counter()
    subjects: dict[tuple[str, str, str], str] = {}
    for finding in findings:
        key = (finding.place.path, finding.rule, finding.fingerprint)
        counts[key] += 1
        subjects[key] = " ".join(finding.subjects)
    entries = tuple(BaselineEntry(*key, count=counts[key], subject=subjects[key]) for key in sorted(counts))
    return Baseline(entries, score, rules)


def text_of(baseline: Baseline) -> str:
    """The file's content."""
    head: dict[str, Any] = {"baseline": FORMAT, "score": baseline.score, "rules": baseline.rules}
    rows = [head]
    for entry in sorted(baseline.entries, key=lambda each: each.key):
        row: dict[str, Any] = {"path": entry.path, "rule": entry.rule, "id": entry.fingerprint}
        if entry.count != 1:
            row["count"] = entry.count
        row["subject"] = entry.subject
        rows.append(row)
    return "".join(f"{json.dumps(row, ensure_ascii=True)}\n" for row in rows)


def write(path: Path, baseline: Baseline) -> None:
    """Replace the file at once, so that none is ever seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.part")
    whole.write_text(text_of(baseline), "utf-8")
    whole.replace(path)


def pruned(baseline: Baseline, comparison: Comparison) -> Baseline:
    """The baseline without what is gone."""
    missing = {entry.key: entry.missing for entry in comparison.stale}
    kept = []
    for entry in baseline.entries:
        count = entry.count - missing.get(entry.key, 0)
        if count > 0:
            kept.append(BaselineEntry(entry.path, entry.rule, entry.fingerprint, count, entry.subject))
    return Baseline(tuple(kept), baseline.score, baseline.rules)


def compare(
    findings: Sequence[Finding],
    baseline: Baseline,
    *,
    rules: Iterable[str],
    is_checked: Iterable[str],
    root: Path,
    rule_hash: str = "",
) -> Comparison:
    """What is new, known, and gone.

    Args:
        rules: ids of the rules that were applied; entries of others are not judged.
        is_checked: paths of the files that were looked at; entries of others are not judged while the file exists.
    """
    left = Counter({entry.key: entry.count for entry in baseline.entries})
    new: list[Finding] = []
    known: list[Finding] = []
    for finding in findings:
        key = (finding.place.path, finding.rule, finding.fingerprint)
        if left[key] <= 0:
            new.append(finding)
        else:
            left[key] -= 1
            known.append(finding)
    applied, checked = set(rules), set(is_checked)
    stale = tuple(
        BaselineEntry(
            entry.path, entry.rule, entry.fingerprint, entry.count, entry.subject, entry.line, left[entry.key]
        )
        for entry in baseline.entries
        if left[entry.key] > 0 and entry.rule in applied and (entry.path in checked or not (root / entry.path).exists())
    )
    before = baseline.score if baseline.rules == rule_hash else None
    return Comparison(tuple(new), tuple(known), stale, before)
