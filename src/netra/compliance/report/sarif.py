"""SARIF 2.1.0, which GitHub code scanning, GitLab, Azure DevOps and editors read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from netra.compliance.outcome import Outcome
from netra.compliance.rule import Finding, Place, Rule, Severity

from .text import clean

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "ssot/v1"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_sarif(outcome: Outcome) -> str:
    """One run, with the rules that were applied."""
    report = outcome.report
    index = {rule.id: number for number, rule in enumerate(report.rules)}
    seen: dict[tuple[str, str], int] = {}
    results = []
    for finding in outcome.printed:
        # Several findings with one fingerprint in one file are told apart by counting, never by their lines.
        key = (finding.fingerprint, finding.place.path)
        seen[key] = seen.get(key, 0) + 1
        results.append(_result(finding, index, seen[key], outcome))
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "netra check",
                "version": _version(),
                "rules": [_rule(rule) for rule in report.rules],
            }
        },
        "originalUriBaseIds": {"SRCROOT": {"uri": _directory(report.root)}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": outcome.code,
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": clean(f"{path} could not be read: {reason}")}}
                    for path, reason in report.unreadable
                ],
            }
        ],
        "properties": {"score": report.score.value, "debt": report.score.debt, "ruleSet": outcome.rule_hash},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "help": {"text": f"netra ssot explain {rule.id}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["architecture", rule.name]},
    }


def _result(finding: Finding, index: dict[str, int], number: int, outcome: Outcome) -> dict[str, Any]:
    text = "\n".join(clean(line) for line in (finding.message, *finding.details, finding.hint) if line)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_noted(finding.place)],
        "partialFingerprints": {FINGERPRINT: f"{finding.fingerprint}:{number}"},
    }
    if finding.rule in index:
        result["ruleIndex"] = index[finding.rule]
    if finding.related:
        result["relatedLocations"] = [
            {"id": at, **_location(place), "message": {"text": clean(place.note) or "also here"}}
            for at, place in enumerate(finding.related, 1)
        ]
    if outcome.comparison is not None:
        result["baselineState"] = "new" if outcome.is_new(finding) else "unchanged"
    # A part of a line has no columns here: only `--fix` looks at the text and finds it.
    if finding.fix is not None and finding.fix.edits and not any(edit.within for edit in finding.fix.edits):
        result["fixes"] = [_fix(finding)]
    return result


def _noted(place: Place) -> dict[str, Any]:
    return {**_location(place), **({"message": {"text": clean(place.note)}} if place.note else {})}


def _fix(finding: Finding) -> dict[str, Any]:
    assert finding.fix is not None
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in finding.fix.edits:
        # A region that ends at column 1 of the next line takes its line's end with it; an insertion is an empty one.
        end = max(edit.last, edit.first - 1) + 1
        region = {"startLine": edit.first, "startColumn": 1, "endLine": end, "endColumn": 1}
        change: dict[str, Any] = {"deletedRegion": region}
        if edit.text:
            change["insertedContent"] = {"text": edit.text}
        changes.setdefault(edit.path, []).append(change)
    return {
        "description": {"text": finding.fix.title},
        "artifactChanges": [
            {"artifactLocation": _artifact(path), "replacements": each} for path, each in changes.items()
        ],
    }


def _location(place: Place) -> dict[str, Any]:
    return {
        "physicalLocation": {
            "artifactLocation": _artifact(place.path),
            "region": {"startLine": max(1, place.line)},
        }
    }


def _artifact(path: str) -> dict[str, Any]:
    return {"uri": quote(path.encode("utf-8", "surrogateescape")), "uriBaseId": "SRCROOT"}


def _directory(root: Path) -> str:
    uri = root.as_uri()
    return uri if uri.endswith("/") else f"{uri}/"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("netra")
    except PackageNotFoundError:
        return "0"
