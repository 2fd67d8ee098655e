"""What traces cost, and whether one of a run stays whole while many readers come and go.

`off` and `on` time what a tool's call asks of `netra.monitoring.tracing`: enter and leave a span. `disconnects` starts
a server, follows one run with real sockets that are cut at random, and looks at what a collector received: one trace,
every parent there. It fails when the trace is broken.

    python benchmarks/tracing.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from netra.ids import new_id
from netra.monitoring import tracing
from support.collector import Collector, unbroken
from support.leaving import read_and_left

CALLS = 400


def nanoseconds() -> float:
    """For one span below a run."""
    with tracing.attempt(new_id("run"), 1):
        began = time.thread_time_ns()
        for _ in range(CALLS):
            with tracing.tool("agent", "search", "call_1", {}):
                pass
        return (time.thread_time_ns() - began) / CALLS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 disconnects instead of 1,000")
    many = 100 if parser.parse_args().quick else 1_000
    print(f"off: {min(nanoseconds() for _ in range(5)):,.0f} ns of CPU for each span")
    with Collector() as collector:
        os.environ.update(collector.environment)
        stop = tracing.start("auto")
        print(f"on: {min(nanoseconds() for _ in range(5)):,.0f} ns of CPU for each span")
        stop()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        spans = asyncio.run(read_and_left(Path(folder), many))
        unbroken(spans)
        print(f"{many:,} disconnects in {time.monotonic() - began:.0f} s: one trace of {len(spans)} spans, unbroken")


if __name__ == "__main__":
    main()
