"""The page for whoever leads the work: how it stands, how it came to this, and what to mend first.

One file without scripts and without requests: what unfolds is `<details>`, drawings are SVG, the style is in the head.
"""

from __future__ import annotations

from pathlib import Path

from netra.compliance.outcome import Outcome

from . import sections
from .sections import number, tag, text

_STYLE = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def as_html(outcome: Outcome) -> str:
    """The whole page."""
    parts = [
        ("first", "What to mend first", sections.first(outcome)),
        ("trend", "Trend", sections.trend(outcome)),
        ("twins", "Twins", sections.twins(outcome)),
        ("paths", "Import paths", sections.import_paths(outcome)),
        ("layers", "Layers", sections.layers(outcome)),
        ("rules", "Rules", sections.rules(outcome)),
        ("findings", "All findings", sections.findings(outcome)),
    ]
    parts = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in parts)
    body = "".join(f'<section id="{name}"><h2>{title}</h2>{content}</section>\n' for name, title, content in parts)
    score = outcome.report.score.value
    title = text(outcome.report.root.name or str(outcome.report.root))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{title}: {score:.1f}, one source of truth</title>\n<style>\n{_STYLE.read_text('utf-8')}</style>\n"
        f"</head>\n<body>\n<header>\n<h1>{title}: one source of truth</h1>\n{_head(outcome)}\n"
        f'<nav aria-label="Parts of this page">{links}</nav>\n</header>\n<main>\n{body}</main>\n'
        f"<footer>{_foot(outcome)}</footer>\n</body>\n</html>\n"
    )


def _head(outcome: Outcome) -> str:
    report = outcome.report
    figures = [
        (f"score of {each.scope}", f"{each.score:.1f}") for each in report.score.scopes if each.score is not None
    ]
    counts = {
        kind: sum(each.severity.value == kind for each in report.findings) for kind in ("error", "warning", "info")
    }
    figures += [("errors", number(counts["error"])), ("warnings", number(counts["warning"]))]
    figures += [("notes", number(counts["info"])), ("debt", f"{report.score.debt:g}")]
    if outcome.comparison is not None:
        figures.append(("new", number(len(outcome.comparison.new))))
    cells = "".join(f"<div>{tag('dt', text(name))}{tag('dd', value)}</div>" for name, value in figures)
    if outcome.failures:
        verdict = f'<p class="verdict fails"><strong>Does not pass:</strong> {text("; ".join(outcome.failures))}.</p>'
    else:
        verdict = '<p class="verdict">Passes the gate.</p>'
    return (
        f'<div class="top"><div class="score" aria-label="Score">{report.score.value:.1f}</div>'
        f'<dl class="figures">{cells}</dl></div>{verdict}'
    )


def _foot(outcome: Outcome) -> str:
    waived = len(outcome.report.waived)
    allowed = f" {waived} findings are allowed by comments and the configuration." if waived else ""
    return (
        f"<p>{text(outcome.coverage.text)}.{allowed} The score is that of the worst scope: 100 × (1 − loss / modules),"
        " where each finding costs the modules it involves its weight and a module loses at most 1. Scores compare only"
        f" under the same rules: this is rule set <code>{outcome.rule_hash}</code>.</p>"
    )
