"""What all benchmarks share: interleaved rounds, CPU and memory of a process, programs on one core, and the report.

A figure counts as a ratio to a peer measured in the same run. So every benchmark is a set of variants; a round measures
each variant once, in an order that changes from round to round, and the report gives medians over the rounds. Servers
run on core 0 and whoever drives them on core 1, where the machine has two; what is charged to a server is the CPU time
of its process (the kernel's per-process clock), which other people's work on the machine changes far less than elapsed
time. Each run leaves one JSON file in `benchmarks/results/` with the machine, the versions and every round.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).resolve().parent / "programs"
RESULTS = Path(__file__).resolve().parent / "results"
PEERS = Path(tempfile.gettempdir()) / "netra-benchmark-peers"
"""Virtual environments of peers that are not dependencies of Netra; kept between runs."""

SERVER_CORE, CLIENT_CORE = 0, 1

if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))  # `support`: real servers, people and databases

Sample = Mapping[str, float]
"""What one variant measured in one round, by name of the quantity."""


def arguments(description: str, *, rounds: int, quick_rounds: int = 1) -> argparse.Namespace:
    """The options every benchmark has. `--quick` finishes within 30 seconds and says only that everything works."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a smoke run; its figures mean nothing")
    parser.add_argument("--rounds", type=int, default=None, help=f"interleaved rounds (default {rounds})")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="variants whose name contains this")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    if options.rounds is None:
        options.rounds = quick_rounds if options.quick else rounds
    return options


# Cores


@contextlib.contextmanager
def core(number: int) -> Iterator[None]:
    """Run on one core, together with every process started meanwhile. Does nothing on a machine with one core."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# Processes


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used since it began, all threads, user and system, ended threads included.

    The process's CPU clock (`clock_getcpuclockid` of the C library): what /proc/PID/stat shows in ticks of 10 ms, in
    nanoseconds.
    """
    return time.clock_gettime((~pid << 3) | 2)


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@dataclass
class Program:
    """A Python program of `benchmarks/programs`, or a module, that serves on a port; runs on the server's core.

    Args:
        command: what follows the interpreter; `{port}` stands for the port.
        python: the interpreter; default: the one that runs this.
        environment: further environment variables.
        directory: where it runs; default: a new temporary one.
    """

    command: Sequence[str]
    python: Path = field(default_factory=lambda: Path(sys.executable))
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None

    def __enter__(self) -> Program:
        from support.ports import free_port

        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="netra-benchmark-"))
        self._log = self._home / "output"
        environment = {**os.environ, "PYTHONPATH": str(PROGRAMS), "PYTHONUNBUFFERED": "1", **self.environment}
        with core(SERVER_CORE), self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self.python), *(part.replace("{port}", str(self.port)) for part in self.command)],
                cwd=self.directory or self._home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            self._wait_for_port(60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGTERM)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait(5)
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def output(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")

    def _wait_for_port(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{' '.join(self.command)} did not serve:\n{self.output[-3000:]}")
            time.sleep(0.05)


@contextlib.contextmanager
def netra_server(agents: Sequence[str], *, database_url: str | None = None, **settings: object) -> Iterator[Any]:
    """A real `netra serve` on the server's core with a data directory of its own; gives a `ServerProcess`.

    Args:
        agents: import strings; modules of `benchmarks/programs` can be named.
        database_url: another database than SQLite.
        settings: Settings by name; limits meant for the public are raised unless given.
    """
    from support.server import ServerProcess

    home = Path(tempfile.mkdtemp(prefix="netra-benchmark-"))
    chosen: dict[str, object] = {
        "allow_registration": True,
        "sockets_per_user": 20_000,
        "sockets_per_address": 30_000,
        "log_level": "warning",
        **settings,
    }
    environment = {f"NETRA_{name.upper()}": _setting(value) for name, value in chosen.items()}
    # A PYTHONPATH of the caller's stays in force, so that another checkout of Netra can be measured.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROGRAMS), os.environ.get("PYTHONPATH"))))
    server = ServerProcess(home / "data", agents=agents, database_url=database_url, environment=environment)
    try:
        with core(SERVER_CORE):
            server.start()
        yield server
    except BaseException as error:
        error.add_note(f"server output:\n{server.output[-4000:]}")
        raise
    finally:
        server.close()
        shutil.rmtree(home, ignore_errors=True)


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def peer_python(name: str, *requirements: str) -> Path:
    """The interpreter of a peer's own virtual environment, which is made and filled if it is not there.

    Raises:
        subprocess.CalledProcessError: it could not be installed; `stderr` says why.
    """
    home = PEERS / name
    python = home / "bin" / "python"
    installed = home / "installed"
    wanted = "\n".join(requirements)
    if installed.exists() and installed.read_text() == wanted:
        return python
    print(f"Installing {' '.join(requirements)} into {home}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, capture_output=True, text=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    subprocess.run(command, check=True, capture_output=True, text=True)
    installed.write_text(wanted)
    return python


def versions_in(python: Path, *packages: str) -> dict[str, str]:
    """The versions of packages another interpreter has."""
    code = f"import importlib.metadata as m, json; print(json.dumps({{p: m.version(p) for p in {packages!r}}}))"
    return dict(json.loads(subprocess.run([str(python), "-c", code], check=True, capture_output=True).stdout))


# Rounds


def interleave(
    variants: Mapping[str, Callable[[], Sample]], rounds: int, *, warm_up: bool = True
) -> dict[str, list[Sample]]:
    """Measure every variant once a round, beginning with another one each time.

    Args:
        warm_up: measure one round more and drop the first.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in variants}
    left = list(variants)
    for number in range(rounds + warm_up):
        turn = number % max(1, len(left))
        for name in left[turn:] + left[:turn]:
            sample = variants[name]()
            print(".", end="", flush=True, file=sys.stderr)
            if number >= warm_up:
                samples[name].append(sample)
    print(file=sys.stderr)
    return samples


def median(samples: Sequence[Sample], quantity: str) -> float:
    """The median of a quantity over the rounds; NaN when it was not measured."""
    values = [sample[quantity] for sample in samples if quantity in sample]
    return statistics.median(values) if values else float("nan")


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which the share `q` of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


# Report


@dataclass(frozen=True)
class Column:
    """A column of the printed table.

    Args:
        quantity: the name in the samples.
        title: with its unit.
        digits: after the point.
        ratio: also show how many times the baseline's it is.
    """

    quantity: str
    title: str
    digits: int = 1
    ratio: bool = False


def machine() -> dict[str, Any]:
    """What ran this, and how busy it was."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": memory // 1024,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def versions(*packages: str) -> dict[str, str]:
    """Versions of installed packages, Netra's among them."""
    return {name: importlib.metadata.version(name) for name in ("netra", *packages)}


def table(samples: Mapping[str, Sequence[Sample]], columns: Sequence[Column], baseline: str | Mapping[str, str]) -> str:
    """Medians as a Markdown table; `baseline` is the variant the ratios refer to, for all or for each."""
    titles = ["variant"]
    for column in columns:
        titles += [column.title, "ratio"] if column.ratio else [column.title]
    lines = ["| " + " | ".join(titles) + " |", "|---" + "|---:" * (len(titles) - 1) + "|"]
    for name, rounds in samples.items():
        cells = [name]
        for column in columns:
            value = median(rounds, column.quantity)
            cells.append("–" if value != value else f"{value:,.{column.digits}f}")
            if column.ratio:
                reference = baseline if isinstance(baseline, str) else baseline.get(name, "")
                base = median(samples.get(reference, ()), column.quantity)
                cells.append("–" if value != value or not base or base != base else f"{value / base:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(
    name: str,
    samples: Mapping[str, Sequence[Sample]],
    columns: Sequence[Column],
    *,
    baseline: str | Mapping[str, str],
    options: argparse.Namespace,
    versions: Mapping[str, str],
    before: Mapping[str, Any],
    parameters: Mapping[str, object],
    notes: Sequence[str] = (),
) -> None:
    """Print the table and write the JSON (`name-quick.json` for a smoke run)."""
    printed = table(samples, columns, baseline)
    after = machine()
    print(f"\n## {name}{' (smoke run: these figures mean nothing)' if options.quick else ''}\n")
    print(printed)
    refers = baseline if isinstance(baseline, str) else "the peer of the same group"
    load = f"load average {before['load_average']} before, {after['load_average']} after"
    print(f"\nMedian of {options.rounds} interleaved rounds; ratios to {refers}; {after['cpu']}, {load}.")
    for note in notes:
        print(f"- {note}")
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{name}{'-quick' if options.quick else ''}.json"
    content = {
        "benchmark": name,
        "machine": {**after, "load_average": [before["load_average"], after["load_average"]]},
        "versions": dict(versions),
        "parameters": dict(parameters),
        "rounds": options.rounds,
        "baseline": baseline if isinstance(baseline, str) else dict(baseline),
        "medians": {
            variant: {quantity: median(rounds, quantity) for quantity in sorted({k for r in rounds for k in r})}
            for variant, rounds in samples.items()
        },
        "samples": samples,
        "notes": list(notes),
    }
    target.write_text(json.dumps(content, indent=1) + "\n")


def chosen(variants: Mapping[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """The variants that `--only` names; all of them without it."""
    return {n: v for n, v in variants.items() if not options.only or any(text in n for text in options.only)}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
