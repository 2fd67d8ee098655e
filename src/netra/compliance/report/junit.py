"""JUnit XML, for CI servers that show tests: a case for each rule, failed by its errors and warnings."""

from __future__ import annotations

import re
from collections import defaultdict
from xml.sax.saxutils import escape, quoteattr

from netra.compliance.outcome import Outcome
from netra.compliance.rule import Finding, Severity

from .text import block, clean

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(outcome: Outcome) -> str:
    """A suite with a case for each rule and each file it finds something in; what a rule only mentions is output."""
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    mentioned = {finding.rule for finding in outcome.shown}
    for finding in outcome.printed:
        by_rule[finding.rule].append(finding)
    cases: list[str] = []
    failed = 0
    for rule in outcome.report.rules:
        found = by_rule.get(rule.id, [])
        by_path: dict[str, list[Finding]] = defaultdict(list)
        for finding in found:
            by_path[finding.place.path].append(finding)
        group = _value(f"{rule.id} {rule.name}")
        if rule.id not in mentioned:
            cases.append(f'    <testcase classname={group} name="nothing found"/>\n')
        for path, each in by_path.items():
            bad = [finding for finding in each if finding.severity is not Severity.INFO]
            text = _text("\n".join(block(finding, outcome) for finding in each))
            if bad:
                failed += 1
                head = _value(clean(f"{bad[0].message}" + (f" (and {len(bad) - 1} more)" if len(bad) > 1 else "")))
                kind = Severity.ERROR if any(one.severity is Severity.ERROR for one in bad) else Severity.WARNING
                inner = f'      <failure message={head} type="{kind.value}">{text}</failure>\n'
            else:
                inner = f"      <system-out>{text}</system-out>\n"
            place = f'file={_value(clean(outcome.path(path)))} line="{each[0].place.line}"'
            cases.append(
                f"    <testcase classname={group} name={_value(clean(path))} {place}>\n{inner}    </testcase>\n"
            )
    seconds = sum(value for name, value in outcome.report.seconds.items() if not name.startswith("rule "))
    counts = f'tests="{len(cases)}" failures="{failed}" errors="0" skipped="0" time="{seconds:.3f}"'
    score = f'      <property name="score" value="{outcome.report.score.value}"/>\n'
    left = len(outcome.shown) - len(outcome.printed)
    score += f'      <property name="left_out" value="{left}"/>\n' if left else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="netra check" {counts}>\n  <testsuite name="netra check" {counts}>\n'
        f"    <properties>\n{score}    </properties>\n{''.join(cases)}  </testsuite>\n</testsuites>\n"
    )


def _text(text: str) -> str:
    return escape(_NO_XML.sub("?", text))


def _value(text: str) -> str:
    return quoteattr(_NO_XML.sub("?", text))
