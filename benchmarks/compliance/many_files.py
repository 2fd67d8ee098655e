"""How long a check of very many files takes, nearly all of them empty: the cost of a file as such.

.venv/bin/python benchmarks/compliance/many_files.py --files 200000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from netra.compliance.running import Request, check

IN_A_DIRECTORY = 200


def main() -> None:
    """Make the files, check them twice, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "pyproject.toml").touch()
        for number in range(files):
            directory = root / f"p{number // IN_A_DIRECTORY}"
            if number % IN_A_DIRECTORY == 0:
                directory.mkdir()
            (directory / f"m{number}.py").write_text(f"x = {number}\n" if number % 100 == 0 else "")
        for what in ("cold", "warm"):
            began, used = time.perf_counter(), time.process_time()
            report = check(Request((root,))).report
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{what}: {len(report.tree.python)} files, {time.perf_counter() - began:.1f} s,"
                f" {time.process_time() - used:.1f} s of the processor, {peak:.0f} MiB at most"
            )


if __name__ == "__main__":
    main()
