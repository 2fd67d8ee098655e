"""Fuzz the extractor: mutate real files until something raises, hangs or cannot be packed.

    .venv/bin/python benchmarks/compliance/fuzz.py --seconds 600 --seed 1

The files are those of the given directories (by default, of the installed packages and the standard library). Each
round takes one of them, cuts a window out of it, and deletes, doubles, swaps or replaces tokens, lines and bytes. What
is found is written to `fuzz-failure-*.py` in the working directory, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import sysconfig
import time
import traceback
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from support.mutation import mutated, proved


def main() -> int:
    """Fuzz until the time is over; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--slowest", type=float, default=5, help="seconds of the processor that one file may take")
    options = parser.parse_args()
    roots = options.directories or [Path(sysconfig.get_path(name)) for name in ("purelib", "stdlib")]
    files = sorted({path for root in roots for path in root.rglob("*.py") if path.is_file()})
    chance = random.Random(options.seed)

    def some() -> bytes:
        return chance.choice(files).read_bytes()

    began = time.monotonic()
    rounds = failures = partly = size = 0
    worst = 0.0
    while time.monotonic() - began < options.seconds:
        data = mutated(some(), chance, some)
        rounds += 1
        size += len(data)
        started = time.process_time()
        try:
            partly += bool(proved(data).trouble)
            seconds = time.process_time() - started
            worst = max(worst, seconds)
            if seconds > options.slowest:
                raise TimeoutError(f"{seconds:.1f} s")
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            failures += 1
            path = Path(f"fuzz-failure-{options.seed}-{rounds}.py")
            path.write_bytes(data)
            traceback.print_exc()
            print(path)
    print(
        f"{rounds} files, {size / 1e6:.0f} MB, {partly} of them with syntax errors, {failures} failures,"
        f" slowest {worst:.2f} s, seed {options.seed}"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
