"""`netra check` beside ruff, ty, grimp and jscpd on the corpora of `corpora.toml`, all in one run.

    python benchmarks/compliance/run.py [NAME …] [--rounds N] [--tools DIR] [--only TEXT] [--quick]

A round measures each variant once, in another order each time; the table shows medians, and ratios to ruff's F rules on
the same tree in the same run. CPU is that of the process and its children, which other work on the machine changes
less than elapsed time; memory is the largest proportional set size of the whole tree of processes. With `--tools`, ty
and grimp are installed into a virtual environment there and jscpd with npm; a tool that cannot be had is left out with
a line that says so. `--quick` measures a small corpus once and takes less than two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Empty, Queue

import psutil
from fetch import fetch

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).resolve().parents[1] / "results"
CORPORA = ("django", "prefect", "dagster", "giant")
STRUCTURE = "SSOT1,SSOT2,SSOT5"
CACHE = ".ssot_cache"
RUFF = "ruff F"
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""Programs keep what Python compiled of them, as they do where they are installed."""
SECONDS = 3600
"""After which a tool is given up."""
EDITS = 40
GRIMP = """
import pathlib, sys
import grimp
packages = []
for home in [pathlib.Path(sys.argv[1]), *sorted(pathlib.Path(sys.argv[1]).iterdir())]:
    found = sorted(each.parent.name for each in home.glob("*/__init__.py")) if home.is_dir() else []
    new = [each for each in found if each not in packages]
    if new:
        sys.path.insert(0, str(home))
        packages += new
grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
"""


@dataclass(frozen=True)
class Measured:
    """One run of one variant."""

    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Variant:
    """What is measured.

    Args:
        prepare: what happens before, and is not measured.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[], None] = lambda: None


def measure(command: tuple[str, ...], directory: Path) -> Measured | None:
    """Run a command to its end; None when it takes too long or cannot do it."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, cwd=directory, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=errors)
        ended = threading.Event()
        peaks = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, ended, peaks), daemon=True)
        watcher.start()
        patience = threading.Timer(SECONDS, lambda: _end(process.pid))
        patience.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        patience.cancel()
        watcher.join()
        if process.returncode != 0:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            print(f"  {Path(command[0]).name} ended with {process.returncode}: {' '.join(last)[:200]}", flush=True)
            return None
    # The largest single process is known exactly; what is sampled may miss the highest moment.
    return Measured(wall, usage.ru_utime + usage.ru_stime, max(peaks[0], usage.ru_maxrss * 1024) / 1e6)


def _watch(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    """Sample memory. Pages that several processes share are counted once."""
    while not ended.wait(0.1):
        total = 0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += each.memory_full_info().pss
        peaks[0] = max(peaks[0], total)


def _end(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                each.kill()


def variants(corpus: Path, tools: Path | None) -> Iterator[Variant]:
    """Everything that is measured on a corpus."""
    netra = (sys.executable, "-m", "netra", "check", ".", "--fail-on", "never", "--max", "1")
    cold = lambda: shutil.rmtree(corpus / CACHE, ignore_errors=True)  # noqa: E731

    def warm() -> None:
        # Always: a report that another version of the checker left is none.
        subprocess.run(netra, cwd=corpus, env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False)

    ruff = shutil.which("ruff", path=os.fspath(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff:
        yield Variant(RUFF, (ruff, "check", "--isolated", "--select", "F", "--no-cache", "--exit-zero", "-q", "."))
    else:
        print("ruff is not installed: no ratios")
    yield Variant("netra, structure rules, cold", (*netra, "--select", STRUCTURE), cold)
    yield Variant("netra, all rules, cold", netra, cold)
    yield Variant("netra, all rules, warm", netra, warm)
    if tools is None:
        return
    python = installed(tools / "python")
    if python is not None:
        ty = os.fspath(python.with_name("ty"))
        yield Variant("ty", (ty, "check", "--exit-zero", "-q", "--python", sys.prefix, "."))
        yield Variant("grimp, graph only", (os.fspath(python), "-c", GRIMP, "."))
    jscpd = tools / "jscpd" / "node_modules" / ".bin" / "jscpd"
    if not jscpd.exists():
        with contextlib.suppress(OSError):
            command = ["npm", "install", "--silent", "--prefix", os.fspath(tools / "jscpd"), "jscpd"]
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if jscpd.exists() and subprocess.run([jscpd, "--version"], check=False, capture_output=True).returncode == 0:
        output = os.fspath(tools / "jscpd-report")
        yield Variant(
            "jscpd, clones only",
            (
                os.fspath(jscpd),
                ".",
                "--silent",
                "--format",
                "python",
                "--max-size",
                "4mb",
                "--max-lines",
                "100000",
                "--reporters",
                "json",
                "--output",
                output,
            ),
        )
    else:
        print("jscpd cannot be installed: left out")


def installed(home: Path) -> Path | None:
    """The interpreter of an environment that has ty and grimp; None when they cannot be had."""
    python = home / "bin" / "python"
    if not (home / "bin" / "ty").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", "ty", "grimp"], check=False)
        if done.returncode:
            print("ty and grimp cannot be installed: left out")
            return None
    return python


def watched(corpus: Path, edits: int) -> list[tuple[float, float]]:
    """Seconds of each check after one file changed: as the watcher counts them, and until its line is read."""
    command = (sys.executable, "-m", "netra", "check", ".", "--continuous", "--format", "jsonl", "--select", "SSOT")
    process = subprocess.Popen(command, cwd=corpus, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: Queue[dict[str, object]] = Queue()
    assert process.stdout is not None
    stdout = process.stdout

    def read() -> None:
        for line in stdout:
            if (row := json.loads(line)).get("kind") == "score":
                lines.put(row)

    threading.Thread(target=read, daemon=True).start()
    found = []
    try:
        lines.get(timeout=SECONDS)
        time.sleep(1)  # the watcher begins to listen
        files = sorted(corpus.rglob("*.py"))
        for path in random.Random(4).sample(files, min(edits, len(files))):
            before = path.read_bytes()
            for text in (before + b"\n\ndef added_by_the_benchmark(value):\n    return value.attribute\n", before):
                began = time.perf_counter()
                path.write_bytes(text)
                with contextlib.suppress(Empty):
                    row = lines.get(timeout=60)
                    found.append((float(str(row["seconds"])), time.perf_counter() - began))
    finally:
        _end(process.pid)
        process.wait()
    return found


def p95(values: list[float]) -> float:
    """The value that one of twenty exceeds."""
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def size(corpus: Path) -> tuple[int, int]:
    """Files and lines."""
    files = [each for each in corpus.rglob("*.py") if each.is_file()]
    return len(files), sum(each.read_bytes().count(b"\n") for each in files)


def table(measured: dict[str, list[Measured]]) -> str:
    """Medians of each variant, and ratios to ruff."""
    rows = ["| variant | s | ratio | CPU s | ratio | peak MB |", "|---|---:|---:|---:|---:|---:|"]

    def middle(name: str, of: str) -> float:
        return statistics.median(getattr(each, of) for each in measured[name])

    for name in measured:
        wall, cpu, peak = middle(name, "wall"), middle(name, "cpu"), middle(name, "peak_mb")
        ratios = (
            [f"{wall / middle(RUFF, 'wall'):.2f}", f"{cpu / middle(RUFF, 'cpu'):.2f}"] if RUFF in measured else ["", ""]
        )
        rows.append(f"| {name} | {wall:.2f} | {ratios[0]} | {cpu:.2f} | {ratios[1]} | {peak:.0f} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, print a table for each corpus, and keep every round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"corpora (default: {', '.join(CORPORA)})")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", type=Path, help="where ty, grimp and jscpd are, or are installed")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="variants whose name contains this")
    parser.add_argument("--edits", type=int, default=EDITS, help="files changed in watch mode; 0 for none")
    parser.add_argument("--quick", action="store_true", help="one round on a small corpus")
    options = parser.parse_args()
    names = options.names or (["django"] if options.quick else list(CORPORA))
    rounds, edits = (1, min(3, options.edits)) if options.quick else (options.rounds, options.edits)
    kept: dict[str, object] = {"load before": os.getloadavg(), "cores": os.cpu_count(), "python": sys.version}
    for name in names:
        corpus = fetch(name)
        chosen = [
            each
            for each in variants(corpus, options.tools.absolute() if options.tools else None)
            if not options.only or each.name == RUFF or any(text in each.name for text in options.only)
        ]
        measured: dict[str, list[Measured]] = {}
        for number in range(rounds):
            order = chosen[number % len(chosen) :] + chosen[: number % len(chosen)]
            for variant in order:
                variant.prepare()
                if (result := measure(variant.command, corpus)) is not None:
                    measured.setdefault(variant.name, []).append(result)
        files, lines = size(corpus)
        print(f"\n### {name}: {files:,} files, {lines:,} lines; load average {os.getloadavg()[0]:.1f}\n", flush=True)
        ordered = {each.name: measured[each.name] for each in chosen if each.name in measured}
        print(table(ordered), flush=True)
        kept[name] = {variant: [asdict(each) for each in results] for variant, results in ordered.items()}
        if edits and (found := watched(corpus, edits)):
            checks, waits = [each[0] for each in found], [each[1] for each in found]
            print(
                f"\nOne file changed, {len(found)} times: check {statistics.median(checks) * 1000:.0f} ms, p95"
                f" {p95(checks) * 1000:.0f} ms; until its line is read {statistics.median(waits) * 1000:.0f} ms,"
                f" p95 {p95(waits) * 1000:.0f} ms.",
                flush=True,
            )
            kept[f"{name}, watched"] = found
    kept["load after"] = os.getloadavg()
    RESULTS.mkdir(exist_ok=True)
    name = "compliance-quick.json" if options.quick else "compliance.json"
    (RESULTS / name).write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
