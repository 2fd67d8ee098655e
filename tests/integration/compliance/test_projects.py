"""How a project lives with the checker: a baseline, pull requests, fixes, questions, the door for old scripts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from netra.compliance.history import weekly_scores
from support.checking import TWINS, netra
from support.code_base import write

ROOT = Path(__file__).parents[3]
COPY = {"shop/refunds.py": "class RefundLedger:\n    pass\n"}


def git(directory: Path, *arguments: str) -> None:
    options = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *options, *arguments], cwd=directory, check=True, capture_output=True)


def test_a_baseline_lets_known_findings_wait_and_new_ones_fail(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    written = netra("ssot", "baseline", "write", cwd=tmp_path)
    assert written.returncode == 0, written.stderr
    known = netra("check", cwd=tmp_path)
    assert known.returncode == 0
    assert "0 new" in known.stdout.splitlines()[-1]
    assert "score +0.0" in known.stdout.splitlines()[-1]
    assert "SSOT303" in known.stdout  # it is known, not gone
    (only,) = netra("check", "--new-only", "--format", "jsonl", cwd=tmp_path).stdout.splitlines()
    assert json.loads(only)["kind"] == "summary"

    report = tmp_path / "shop/report.py"
    report.write_text(
        f"\n\n{report.read_text()}\n\ndef more(metrics: SessionMetrics) -> int:\n    return metrics.errors\n"
    )
    new = netra("check", "--new-only", cwd=tmp_path)
    assert new.returncode == 1
    assert "report.py:14: error SSOT302 wrong-twin-attribute new" in new.stdout
    assert "SSOT303 missing-in-error-path" not in new.stdout.splitlines()[0]
    assert netra("ssot", "baseline", "diff", cwd=tmp_path).stdout.startswith("+ SSOT302 shop/report.py:14")


def test_what_is_gone_is_told_can_fail_and_is_pruned_on_request_only(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    netra("ssot", "baseline", "write", cwd=tmp_path)
    file = tmp_path / ".ssot_baseline.jsonl"
    before = file.read_text()
    report = tmp_path / "shop/report.py"
    report.write_text(report.read_text().replace("operations_count", "error_count"))
    told = netra("check", cwd=tmp_path)
    assert told.returncode == 0
    assert "SSOT902 stale-baseline" in told.stdout
    assert netra("check", "--fail-on", "stale", cwd=tmp_path).returncode == 1
    assert file.read_text() == before
    pruned = netra("ssot", "baseline", "prune", cwd=tmp_path)
    assert "1 taken out" in pruned.stdout
    assert len(file.read_text().splitlines()) == len(before.splitlines()) - 1
    assert netra("check", "--fail-on", "stale", cwd=tmp_path).returncode == 0


def test_a_baseline_does_not_change_the_score(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    score = json.loads(netra("check", "--format", "json", cwd=tmp_path).stdout)["score"]
    netra("ssot", "baseline", "write", cwd=tmp_path)
    assert json.loads(netra("check", "--format", "json", cwd=tmp_path).stdout)["score"] == score < 100


def test_since_shows_what_a_branch_added(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    assert netra("check", "--since", "HEAD", cwd=tmp_path).returncode == 0
    report = tmp_path / "shop/report.py"
    report.write_text(
        f"\n{report.read_text()}\n\ndef more(metrics: SessionMetrics) -> int:\n    return metrics.errors\n"
    )
    write(tmp_path, {"shop/new.py": "from shop.report import nothing\n"})
    done = netra("check", "--since", "main", "--format", "jsonl", cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = {(row["rule"], row["path"]) for row in rows if row["kind"] == "finding"}
    assert found == {("SSOT302", "shop/report.py"), ("SSOT202", "shop/new.py")}
    assert done.returncode == 1
    wrong = netra("check", "--since", "nowhere", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_since_knows_the_files_that_a_branch_deleted(tmp_path: Path) -> None:
    write(tmp_path, {**TWINS, "old/deep/a.py": "from old import gone\n", "old/__init__.py": "", "lone.py": "x = 1\n"})
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    (tmp_path / "shop/payments.py").unlink()
    (tmp_path / "old/deep/a.py").unlink()
    gone = json.loads(netra("check", "--since", "main", "--format", "json", cwd=tmp_path).stdout)["baseline"]["gone"]
    # Nothing of `old/deep` is left, so nobody can tell whether it was part of the check.
    assert {each["rule"] for each in gone} == {"SSOT101"}


def test_since_reads_files_of_any_name_from_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["new\nline.py", "two  spaces.py", "Grüße.py", "quo'te\".py", "-dash.py", ":(top)x.py", "a\tb.py"]
    bad = "from shop.report import nothing\n"
    code = tmp_path / "code"  # the root of the code base is not that of the repository
    write(code, TWINS)
    for name in names:
        (code / "shop" / name).write_text(bad)
    (code / "shop/was_a_link.py").symlink_to("orders.py")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    git(tmp_path, "config", "diff.relative", "true")
    for name in names:
        (code / "shop" / name).write_text(f"{bad}from shop.report import nobody\n")
    (code / "shop/was_a_link.py").unlink()
    (code / "shop/was_a_link.py").write_text(bad)

    log = tmp_path / "log"
    write(tmp_path, {"bin/git": f'#!/bin/sh\necho "$*" >> \'{log}\'\nexec {shutil.which("git")} "$@"\n'})
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    done = netra("check", "--since", "main", "--format", "jsonl", "--select", "SSOT202", cwd=code)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    found = {(row["path"], row["subjects"][-1]) for row in rows if row["kind"] == "finding"}
    assert {path for path, _ in found} == {*(f"shop/{name}" for name in names), "shop/was_a_link.py"}
    assert {what for path, what in found if path != "shop/was_a_link.py"} == {"shop.report.nobody"}, done.stderr
    assert log.read_text().count("cat-file") == 1


def test_a_shim_says_when_it_was_last_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {
        "shop/__init__.py": "",
        "shop/orders.py": "class Order:\n    def pay(self) -> None: ...\n",
        "shop/old.py": "from shop.orders import Order\n__all__ = ['Order']\n",
        "shop/o\nd.py": "from shop.orders import Order\n__all__ = ['Order']\n",
        "shop/new.py": "from shop.orders import Order\n__all__ = ['Order']\n",
        "pyproject.toml": "",
    }

    def last(root: Path) -> dict[str, list[str]]:
        done = netra("check", "--select", "SSOT132", "--format", "json", "--no-cache", cwd=root)
        found = json.loads(done.stdout)["findings"]
        return {each["path"]: [line for line in each["details"] if "commit" in line] for each in found}

    code = tmp_path / "here/code"
    write(code, tree)
    assert list(last(code).values()) == [[], [], []]
    git(tmp_path / "here", "init", "-q", "-b", "main")
    for day, name in (("2019-03-04", "shop/old.py"), ("2021-05-06", "shop/o\nd.py"), ("2022-07-08", "shop/orders.py")):
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"{day}T12:00:00Z")
        git(code, "add", name)
        git(code, "commit", "-q", "-m", name)
    assert last(code) == {
        "shop/old.py": ["last commit 2019-03-04"],
        "shop/o\nd.py": ["last commit 2021-05-06"],
        "shop/new.py": [],
    }
    # Where a clone ends, every file seems to be as young as its last commit.
    git(tmp_path, "clone", "-q", "--depth", "1", (tmp_path / "here").as_uri(), "shallow")
    assert list(last(tmp_path / "shallow/code").values()) == [[], []]


def test_comments_allow_with_a_reason_and_those_that_allow_nothing_are_told_and_taken_out(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    report = tmp_path / "shop/report.py"
    wrong = "return metrics.operations_count"
    report.write_text(report.read_text().replace(wrong, f"{wrong}  # ssot: allow[SSOT303] the old shape, until May"))
    assert "SSOT303 missing" not in netra("check", cwd=tmp_path).stdout
    report.write_text(report.read_text().replace("the old shape, until May", ""))
    told = netra("check", cwd=tmp_path).stdout
    assert "SSOT303 missing" in told
    assert "gives no reason" in told
    report.write_text(
        report.read_text().replace(f"{wrong}  # ssot: allow[SSOT303]", "return 1  # ssot: allow[SSOT303] why")
    )
    assert "SSOT303 finds nothing here to allow" in netra("check", cwd=tmp_path).stdout
    mended = netra("check", "--fix", "--fail-on", "never", cwd=tmp_path)
    assert "mended shop/report.py" in mended.stdout
    assert "return 1\n" in report.read_text()
    assert "ssot" not in report.read_text()


def test_a_comment_in_a_string_is_none(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "", "a.py": 'TEXT = """\nx = 1  # ssot: allow[SSOT101] because\n"""\n'})
    assert "SSOT903" not in netra("check", cwd=tmp_path).stdout


def test_diff_prints_what_fix_would_do_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "", "a.py": "x = 1  # ssot: allow[SSOT101] because\n"})
    done = netra("check", "--diff", cwd=tmp_path)
    assert done.stdout == ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1  # ssot: allow[SSOT101] because\n+x = 1\n")
    assert "ssot" in (tmp_path / "a.py").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("twins", "SessionMetrics"), 0, "SessionMetrics is defined 2 times"),
        (("twins", "SessionMetrix"), 2, "Did you mean 'SessionMetrics'?"),
        (("who", "shop/orders.py:SessionMetrics"), 0, "from shop.orders (home): 1 import"),
        (("who", "shop.orders.SessionMetrics"), 0, "other classes of this name: shop.payments.SessionMetrics"),
        (("who", "shop/nowhere.py:SessionMetrics"), 2, "There is: shop.orders.SessionMetrics"),
        (("who", ":SessionMetrics"), 2, "may be any of"),
        (("explain", "SSOT303"), 0, "missing-in-error-path"),
        (("explain", "twin-class-diverging"), 0, "SSOT101"),
        (("explain",), 0, "SSOT903"),
        (("explain", "SSOT999"), 2, "There is no rule 'SSOT999'"),
        (("graph",), 0, "shop.report"),
        (("graph", "--format", "dot"), 0, "digraph modules {"),
        (("graph", "--format", "svg"), 2, "--format has no 'svg'"),
        (("init",), 0, "[tool.ssot]"),
    ],
)
def test_questions_are_answered(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    write(tmp_path, TWINS)
    done = netra("ssot", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr


def test_init_writes_a_configuration_that_the_check_accepts(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    assert netra("ssot", "init", "--write", cwd=tmp_path).returncode == 0
    assert netra("ssot", "init", "--write", cwd=tmp_path).returncode == 2
    assert netra("ssot", "baseline", "write", cwd=tmp_path).returncode == 0
    assert netra("check", cwd=tmp_path).returncode == 0


def test_a_history_is_written_only_when_asked_for(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    netra("check", "--no-cache", cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"pyproject.toml", "shop"}
    for _ in range(2):
        netra("check", "--no-cache", "--history", "h.jsonl", "--format", "html", "--output", "p.html", cwd=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "h.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert rows[0]["score"] == rows[1]["score"] < 100
    assert "<polyline" in (tmp_path / "p.html").read_text()


@pytest.mark.spec("compliance.command", "compliance.exit-code", "commands.compliance")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--fail-on-violation",), 1),
        (("--threshold", "99"), 1),
        (("--threshold=1",), 0),
        (("--threshold", "1", "--fail-on-violation"), 1),
        (("--json-output", "found.json", "--fail-on-violation"), 1),
        (("--fail-on-violation", "--ignore", "SSOT1,SSOT3"), 0),
        (("--continual",), 2),
    ],
)
def test_the_old_script_takes_its_old_flags(tmp_path: Path, arguments: tuple[str, ...], code: int) -> None:
    write(tmp_path, TWINS)
    script = ROOT / "scripts" / "check_architecture_compliance.py"
    done = subprocess.run(
        [sys.executable, str(script), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    if "--json-output" in arguments:
        assert json.loads((tmp_path / "found.json").read_text())["counts"]["error"] >= 1


@pytest.mark.spec("report.compliance-trend")
def test_the_weekly_report_shows_the_last_score_of_each_week(tmp_path: Path) -> None:
    rows = [("2026-03-01", 90.0), ("2026-03-08", 91.0), ("2026-03-10", 95.0), ("2026-03-15", 97.5), ("2026-03-16", 1.0)]
    lines = [json.dumps({"at": f"{day}T23:00:00+00:00", "score": score}) for day, score in rows]
    (tmp_path / "checks.jsonl").write_text("\n".join([*lines, '{"at": "cut o']))
    assert weekly_scores(tmp_path / "checks.jsonl", date(2026, 3, 15)) == (97.5, 91.0)
    assert weekly_scores(tmp_path / "checks.jsonl", date(2026, 3, 31)) == (None, None)
    missing = netra("report", "--checks", "gone.jsonl", cwd=tmp_path)
    assert missing.returncode != 0
    assert "netra check --history gone.jsonl" in missing.stderr


@pytest.mark.spec("compliance.own-score", "commands.compliance")
def test_this_project_passes_its_own_check_whole() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/check_architecture_compliance.py", "--threshold", "100", "--fail-on-violation"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("score 100.0 ")
