"""GitLab's code quality report: the fields of the Code Climate format that GitLab reads."""

from __future__ import annotations

import json
from hashlib import blake2b

from netra.compliance.outcome import Outcome
from netra.compliance.rule import Severity

from .text import clean

_SEVERITIES = {Severity.ERROR: "major", Severity.WARNING: "minor", Severity.INFO: "info"}


def as_gitlab(outcome: Outcome) -> str:
    """A list of findings; two of one fingerprint in one file are counted, for GitLab drops what it has seen."""
    seen: dict[tuple[str, str], int] = {}
    rows = []
    for finding in outcome.printed:
        key = (finding.fingerprint, finding.place.path)
        seen[key] = seen.get(key, 0) + 1
        mark = "\n".join((*key, str(seen[key]))).encode("utf-8", "surrogatepass")
        rows.append(
            {
                "description": clean(" ".join(each for each in (finding.message, finding.hint) if each)),
                "check_name": finding.rule,
                "fingerprint": blake2b(mark, digest_size=16).hexdigest(),
                "severity": _SEVERITIES[finding.severity],
                "location": {
                    "path": outcome.path(finding.place.path).encode("utf-8", "backslashreplace").decode(),
                    "lines": {"begin": max(1, finding.place.line)},
                },
            }
        )
    return json.dumps(rows, indent=2) + "\n"
