"""A report that was kept says what a new one says, and is kept for nothing that changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netra.compliance.outcome import Report
from netra.compliance.report import FORMATS, renderer
from netra.compliance.running import Request, judged, look, place_of
from support.checking import TWINS
from support.code_base import write

REPOSITORY = {
    **TWINS,
    "a/Dockerfile": "",
    "a/main.py": "class Alpha:\n    pass\n",
    "b/Dockerfile": "",
    "b/main.py": "x = 1  # ssot: allow[SSOT101] nothing\n",
}


def report_on(root: Path, request: Request | None = None) -> Report:
    return look(place_of(request or Request((root,))))


def was_kept(report: Report) -> bool:
    return "join" not in report.seconds


def test_a_kept_report_says_in_every_format_what_the_first_said(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    request = Request((tmp_path,), explain=True)
    first, kept = report_on(tmp_path), report_on(tmp_path)
    assert (was_kept(first), was_kept(kept)) == (False, True)
    assert kept.services == first.services == ("a", "b")
    first.seconds.clear()
    kept.seconds.clear()
    for name in FORMATS:
        texts = [renderer(name)(judged(request, place_of(request), each)) for each in (first, kept)]
        assert texts[0] == texts[1]
        assert name == "html" or "SSOT101" in texts[0]
    assert [file.path for file in kept.project.files] == [file.path for file in first.project.files]
    assert [rule.id for rule in kept.rules] == [rule.id for rule in first.rules]
    (twins,) = (rule for rule in kept.rules if rule.id == "SSOT101")
    assert [each.fingerprint for each in twins.find(first.project, first.config)] == [
        each.fingerprint for each in kept.findings if each.rule == "SSOT101"
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "shop/orders.py").write_text("class SessionMetrics:\n    pass\n"),
        lambda root: (root / "shop/orders.py").rename(root / "shop/order.py"),
        lambda root: (root / "shop/more.pyi").write_text(""),
        lambda root: (root / "a/Dockerfile").unlink(),
        lambda root: (root / "requirements.txt").write_text("requests\n"),
        lambda root: (root / "pyproject.toml").write_text("[tool.ssot]\nseverity = {SSOT101 = 'info'}\n"),
    ],
)
def test_whatever_a_report_depends_on_makes_a_new_one(tmp_path: Path, change: Callable[[Path], object]) -> None:
    write(tmp_path, REPOSITORY)
    report_on(tmp_path)
    change(tmp_path)
    assert not was_kept(report_on(tmp_path))
    assert was_kept(report_on(tmp_path))


def test_other_rules_are_another_report_and_a_gate_or_other_processes_are_none(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    report_on(tmp_path)
    assert not was_kept(report_on(tmp_path, Request((tmp_path,), select=("SSOT1",))))
    assert was_kept(report_on(tmp_path, Request((tmp_path,), jobs=1, min_score=50, fail_on="never", most=1)))
    write(tmp_path, {"pyproject.toml": "[project]\nname = 'shop'\n[tool.ssot]\nmin-score = 10\nmax-new = 3\n"})
    assert was_kept(report_on(tmp_path))


def test_a_kept_report_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, REPOSITORY)
    first = report_on(tmp_path)
    (kept,) = (tmp_path / ".ssot_cache").glob("*.report")
    for damage in (b"", kept.read_bytes()[:-9], kept.read_bytes().replace(b"SSOT101", b"SSOT999")):
        kept.write_bytes(damage)
        again = report_on(tmp_path)
        assert (was_kept(again), again.findings) == (False, first.findings)
