"""The extractor against files that somebody broke. `benchmarks/compliance/fuzz.py` does it for as long as one likes."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import starlette
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netra.compliance
from netra.compliance.extract import extract
from support.mutation import mutated, proved

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path.read_bytes()
    for package in (starlette, netra.compliance)
    for path in Path(package.__file__ or "").parent.rglob("*.py")
)


@given(st.randoms(use_true_random=False), st.sampled_from(FILES), st.sampled_from(FILES))
@settings(derandomize=True, max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_facts_of_mutated_files_hold_together(chance: random.Random, data: bytes, other: bytes) -> None:
    proved(mutated(data, chance, lambda: other, most_bytes=3000))


@given(st.binary(max_size=300))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_facts_of_any_bytes_hold_together(data: bytes) -> None:
    proved(data)


@given(st.text(st.sampled_from("()[]{}:,.=*@\\\n \t'\"#fxif1"), max_size=60))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_facts_of_any_signs_hold_together(text: str) -> None:
    proved(text.encode())


def test_the_facts_of_whole_files_are_those_of_their_statements() -> None:
    for data in FILES[::8]:
        whole = extract(data)
        broken = extract(data + b"\nprint x\n")
        assert broken.trouble
        assert (broken.imports, broken.classes, broken.reads) == (whole.imports, whole.classes, whole.reads)


def test_the_fuzzer_says_how_much_it_tried_and_its_seed_repeats_it(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "benchmarks/compliance/fuzz.py"), str(ROOT / "src/netra/compliance/rules")]
    done = subprocess.run(
        [*program, "--seconds", "0.3", "--seed", "7"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("seed 7")
    assert not list(tmp_path.iterdir())
