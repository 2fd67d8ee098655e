"""What a check says depends on the code base alone: not on order, processes, what is kept, or who asks from where."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import starlette
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netra.compliance import pool
from netra.compliance.check import judge, run, selected
from netra.compliance.config import Config
from netra.compliance.extract import extract
from netra.compliance.facts import FileFacts
from netra.compliance.outcome import Report
from netra.compliance.project import Project
from netra.compliance.report import renderer
from netra.compliance.rule import Finding, Place, Severity
from netra.compliance.running import Request, check
from netra.compliance.score import score
from netra.compliance.walk import find
from support.checking import TWINS, netra
from support.code_base import write


def sick(root: Path) -> Path:
    """Real packages with a disease, in many files."""
    write(root, TWINS)
    for package in (starlette, httpx):
        source = Path(package.__file__ or "").parent
        shutil.copytree(source, root / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "starlette/middleware", root / "starlette/other")
    (root / "shop/broken.py").write_text("print 'x'\n")
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sick(tmp_path_factory.mktemp("tree"))


def said(request: Request) -> tuple[str, ...]:
    """Everything that is said, but for the time it took."""
    outcome = check(request)
    assert len(outcome.report.findings) > 10
    return tuple(renderer(name)(outcome) for name in ("jsonl", "sarif", "markdown", "gitlab"))


@pytest.fixture
def alone(tree: Path) -> tuple[str, ...]:
    return said(Request((tree,), jobs=1, cache=False))


def test_jobs_and_what_is_kept_change_nothing(
    tree: Path, alone: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "SMALL_BYTES", 0)
    monkeypatch.setattr(pool, "CHUNK_BYTES", 20_000)
    assert said(Request((tree,), jobs=2, cache=False)) == alone
    shutil.rmtree(tree / ".ssot_cache", ignore_errors=True)
    assert said(Request((tree,), jobs=2)) == alone  # cold
    assert said(Request((tree,), jobs=2)) == alone  # warm, with the report
    for path in (tree / ".ssot_cache").glob("*.report"):
        path.unlink()
    assert said(Request((tree,), jobs=1)) == alone  # warm, with facts only


def test_the_working_directory_changes_nothing_but_how_paths_begin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def output(where: Path, *arguments: str) -> str:
        done = netra("check", *arguments, "--format", "json", "--no-cache", cwd=where)
        assert done.returncode == 1, done.stderr
        return done.stdout

    here = output(tree)
    assert output(tree / "shop") == here
    assert output(tree.parent, str(tree)) == here


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_seed_of_hashes_changes_nothing(tree: Path, seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netra", "check", "--format", "text", "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=False,
    )
    known = tree / "said.txt"
    if not known.exists():
        known.write_bytes(done.stdout)
    assert done.returncode == 1
    assert known.read_bytes() == done.stdout


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_files_changes_nothing(tree: Path, seed: int) -> None:
    found = find(tree)
    facts = [(path, extract((tree / path).read_bytes())) for path in found.python]
    rules = selected(Config())
    straight = judge(found, facts, Config(), rules)
    shuffled = facts.copy()
    random.Random(seed).shuffle(shuffled)
    other = judge(found, shuffled, Config(), rules)
    assert described(other) == described(straight)
    assert other.score == straight.score


def described(report: Report) -> list[tuple[object, ...]]:
    return [(each, each.fingerprint, each.involved) for each in report.findings]


def test_what_other_distributions_are_needed_is_not_remembered(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "shop/__init__.py": "", "shop/a.py": "import requests\n", "requests/__init__.py": ""}
    write(tmp_path, files)
    for needed in ("", "requests\n", ""):
        (tmp_path / "requirements.txt").write_text(needed)
        kept = [each.rule for each in check(Request((tmp_path,))).report.findings]
        assert kept == [each.rule for each in check(Request((tmp_path,), cache=False)).report.findings]


def test_printing_less_and_knowing_more_does_not_change_the_score(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    free = check(Request((tmp_path,)))
    assert check(Request((tmp_path,), most=1)).report.score == free.report.score
    assert netra("ssot", "baseline", "write", cwd=tmp_path).returncode == 0
    known = check(Request((tmp_path,), new_only=True))
    assert known.report.score == free.report.score
    assert known.shown == ()
    assert check(Request((tmp_path,), jobs=2, min_score=1)).report.score == free.report.score


PATHS = [f"pkg/m{number}.py" for number in range(6)] + ["tests/test_a.py", "tests/test_b.py", "scripts/s.py"]
FINDINGS = st.builds(
    lambda severity, paths, canonical, number: Finding(
        "SSOT101",
        severity,
        Place(paths[0], number),
        "",
        (str(number),),
        paths=tuple(paths),
        canonical=paths[0] if canonical else None,
    ),
    st.sampled_from(Severity),
    st.lists(st.sampled_from(PATHS), min_size=1, max_size=4),
    st.booleans(),
    st.integers(1, 9),
)


def scored() -> Project:
    """A project of nine modules that define something, but for two."""
    read: list[tuple[str, FileFacts]] = [
        (path, extract(b"class A: pass\n" if "3" not in path and "_b" not in path else b"")) for path in PATHS
    ]
    project = Project(read, (), ())
    for file in project.files:
        file.scope = "tests" if file.path.startswith("t") else "scripts" if file.path.startswith("s") else "core"
    return project


PROJECT = scored()


@given(st.lists(FINDINGS, max_size=12), FINDINGS, st.randoms(use_true_random=False))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_a_finding_more_never_raises_the_score_and_order_does_not_matter(
    findings: list[Finding], more: Finding, chance: random.Random
) -> None:
    before = score(PROJECT, findings, Config())
    after = score(PROJECT, [*findings, more], Config())
    assert after.value <= before.value
    assert after.debt >= before.debt
    for old, new in zip(before.scopes, after.scopes, strict=True):
        assert new.score is None or old.score is None or new.score <= old.score
    shuffled = [*findings, more]
    chance.shuffle(shuffled)
    assert score(PROJECT, shuffled, Config()) == after


@given(st.lists(FINDINGS, min_size=1, max_size=12), st.data())
@settings(derandomize=True, max_examples=100, deadline=None)
def test_a_finding_less_never_lowers_the_score_and_only_none_is_100(
    findings: list[Finding], data: st.DataObject
) -> None:
    before = score(PROJECT, findings, Config())
    assert before.value < 100
    without = findings.copy()
    del without[data.draw(st.integers(0, len(findings) - 1))]
    after = score(PROJECT, without, Config())
    assert after.value >= before.value
    assert (after.value == 100) == (not without)


@given(st.lists(FINDINGS, max_size=12), st.integers(0, 11))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_a_milder_finding_never_lowers_the_score(findings: list[Finding], at: int) -> None:
    milder = [replace(each, severity=Severity.INFO) if number == at else each for number, each in enumerate(findings)]
    assert score(PROJECT, milder, Config()).value >= score(PROJECT, findings, Config()).value


# What is kept, when others use it too, or break it


def test_two_checks_at_once_share_what_is_kept(tmp_path: Path) -> None:
    root = sick(tmp_path / "tree")
    alone = netra("check", "--format", "jsonl", "--no-cache", cwd=root).stdout
    command = [sys.executable, "-m", "netra", "check", "--format", "jsonl"]
    for turn in range(2):
        (root / "shop/more.py").write_text("")
        running = [
            subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)
        ]
        for each in running:
            output, errors = each.communicate(timeout=100)
            assert (each.returncode, errors) == (1, b""), turn
            assert output.decode().splitlines()[:-1] == alone.splitlines()[:-1]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(at: float) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        place = int(at * (len(data) - 1))
        return data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]

    return flip


def emptied(data: bytes) -> bytes:
    return b""


def longer(data: bytes) -> bytes:
    return data + b"\0" * 100


@pytest.mark.parametrize(
    "damage",
    [cut, emptied, longer, *(flipped(at / 8) for at in range(9))],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_kept_file_that_is_damaged_costs_time_only(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write(tmp_path, TWINS)
    check(Request((tmp_path,)))
    for path in tmp_path.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    straight = described(check(Request((tmp_path,))).report)
    kept = [path for path in (tmp_path / ".ssot_cache").iterdir() if path.name != ".gitignore"]
    assert len(kept) >= 2
    for path in kept:
        good = path.read_bytes()
        path.write_bytes(damage(good))
        for other in (tmp_path / ".ssot_cache").glob("*.report"):
            if other != path:
                other.unlink()  # so that facts are asked for
        assert described(check(Request((tmp_path,))).report) == straight, path.name
        assert described(check(Request((tmp_path,))).report) == straight, path.name


def test_a_directory_that_cannot_be_written_to_is_read_only(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    straight = described(check(Request((tmp_path,))).report)
    tmp_path.chmod(0o755)
    kept = tmp_path / ".ssot_cache"
    (tmp_path / "shop/more.py").write_text("")
    kept.chmod(0o555)
    user = os.geteuid()
    try:
        names = {path.name for path in kept.iterdir()}
        if user == 0:
            for parent in tmp_path.parents:
                if not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o111)
            os.seteuid(65534)
        assert described(check(Request((tmp_path,))).report) == straight
        assert {path.name for path in kept.iterdir()} == names
    finally:
        os.seteuid(user)
        kept.chmod(0o755)


def test_a_full_disk_costs_time_only(tmp_path: Path) -> None:
    write(tmp_path, TWINS)
    straight = described(run(tmp_path, Config()))
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from netra.compliance.running import Request, check\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"  # a write beyond the limit then fails as on a full disk
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))\n"
        "print(*(each.rule for each in check(Request((Path(sys.argv[2]),))).report.findings))\n"
    )
    for limit in (0, 1, 100, 1000, 3000):
        shutil.rmtree(tmp_path / ".ssot_cache", ignore_errors=True)
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-B", "-c", program, str(limit), str(tmp_path)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.split() == [each[0].rule for each in straight]  # type: ignore[attr-defined]
    assert described(check(Request((tmp_path,))).report) == straight
