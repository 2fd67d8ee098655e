"""Formats for programs: one JSON document with everything, or a line for each finding, each waived one and the rest."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from netra.compliance.figures import gains
from netra.compliance.outcome import Outcome, Waived
from netra.compliance.rule import Finding, Place

SCHEMA = 1
"""Of the documents. Fields may be added without raising it."""


def as_json(outcome: Outcome) -> str:
    """One document."""
    document = {
        **summary(outcome),
        "findings": [finding(each, outcome) for each in outcome.printed],
        "waived": [waived(each) for each in outcome.report.waived],
    }
    return json.dumps(document, indent=2) + "\n"


def as_jsonl(outcome: Outcome) -> str:
    """A line for each finding (`"kind": "finding"`) and each waived one, then one with the rest (`"summary"`)."""
    rows = [{"kind": "finding", **finding(each, outcome)} for each in outcome.printed]
    rows += [{"kind": "waived", **waived(each)} for each in outcome.report.waived]
    return "".join(f"{json.dumps(row)}\n" for row in (*rows, {"kind": "summary", **summary(outcome)}))


def summary(outcome: Outcome) -> dict[str, Any]:
    """Everything but the findings."""
    report, score = outcome.report, outcome.report.score
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "root": str(report.root),
        "services": [_text(each) for each in report.services],
        "score": score.value,
        "scopes": {
            each.scope: {"score": each.score, "units": each.units, "loss": each.loss, "debt": each.debt}
            for each in score.scopes
        },
        "debt": score.debt,
        "rule_set": outcome.rule_hash,
        "passes": not outcome.failures,
        "failures": list(outcome.failures),
        "counts": dict(sorted(Counter(each.severity.value for each in report.findings).items())),
        "shown": len(outcome.shown),
        "left_out": len(outcome.shown) - len(outcome.printed),
        "suppressed": len(report.waived),
        "rules": [
            {
                "id": each.rule.id,
                "name": each.rule.name,
                "severity": each.rule.severity.value,
                "summary": each.rule.summary,
                "findings": each.findings,
                "exposure": each.exposure,
                "of": each.rule.exposure,
                "compliance": each.percent,
            }
            for each in outcome.compliances
        ],
        "coverage": {
            "parsed": outcome.coverage.parsed,
            "partly": outcome.coverage.partly,
            "skipped": outcome.coverage.skipped,
            "reads": outcome.coverage.reads,
            "reads_checked": outcome.coverage.checked,
            "unreadable": [{"path": _text(path), "reason": reason} for path, reason in report.unreadable],
        },
    }
    if (comparison := outcome.comparison) is not None:
        found["baseline"] = {
            "new": len(comparison.new),
            "known": len(comparison.known),
            "gone": [
                {"path": _text(each.path), "rule": each.rule, "id": each.fingerprint, "count": each.missing}
                for each in comparison.stale
            ],
            "score_before": comparison.before,
        }
    if outcome.explain:
        found["would_raise_the_score"] = {
            key: [
                {"points": round(each.points, 4), "scope": each.scope, "what": each.what, "place": each.place}
                for each in rows
            ]
            for key, rows in gains(report).items()
        }
    if outcome.statistics:
        found["seconds"] = {name: round(value, 6) for name, value in report.seconds.items()}
    return found


def finding(each: Finding, outcome: Outcome) -> dict[str, Any]:
    """One finding."""
    names = {rule.id: rule.name for rule in outcome.report.rules}
    found: dict[str, Any] = {
        "rule": each.rule,
        "name": names.get(each.rule, ""),
        "severity": each.severity.value,
        "fingerprint": each.fingerprint,
        **_place(each.place),
        "message": _text(each.message),
        "subjects": [_text(subject) for subject in each.subjects],
        "related": [_place(place) for place in each.related],
        "involved": [_text(path) for path in each.involved],
        "canonical": None if each.canonical is None else _text(each.canonical),
        "details": [_text(line) for line in each.details],
        "hint": _text(each.hint),
        "fix": None,
    }
    if each.fix is not None:
        found["fix"] = {
            "title": each.fix.title,
            "safe": each.fix.safe,
            "edits": [
                {
                    "path": _text(edit.path),
                    "first": edit.first,
                    "last": edit.last,
                    "text": _text(edit.text),
                    **({"replaces": _text(edit.expects)} if edit.within else {}),
                }
                for edit in each.fix.edits
            ],
        }
    if outcome.comparison is not None:
        found["new"] = outcome.is_new(each)
    return found


def waived(each: Waived) -> dict[str, Any]:
    """One finding that is allowed, and why."""
    found = each.finding
    return {
        "rule": found.rule,
        "severity": found.severity.value,
        "fingerprint": found.fingerprint,
        **_place(found.place),
        "message": _text(found.message),
        "reason": _text(each.reason),
    }


def _place(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = {"path": _text(place.path), "line": place.line}
    if place.note:
        found["note"] = _text(place.note)
    return found


def _text(text: str) -> str:
    """Without lone surrogates, which JSON readers refuse; names of files can have them."""
    return text.encode("utf-8", "backslashreplace").decode()
