"""`netra demo-data`: a sample of AI usage for people who have none at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netra.cli.output import out
from netra.errors import InvalidInput


def command(
    path: Annotated[Path, typer.Argument(help="File to write; its ending says how: .csv, .jsonl or .parquet.")] = Path(
        "usage-demo.csv"
    ),
    rows: Annotated[int, typer.Option(min=1, max=10_000_000, help="Requests to invent.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a realistic file of AI usage, to attach to a message and ask about."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from netra.agents.optimizer.sample import write_sample

    if path.exists() and not force:
        raise InvalidInput(f"{path} exists already.", hint="Name another file, or add --force to replace it.")
    if not path.parent.is_dir():
        raise InvalidInput(f"There is no directory {path.parent}.", hint="Create it, or name another path.")
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as progress:
        progress.add_task(f"Writing {rows:,} requests to {path}")
        write_sample(path, rows, seed)
    out.print(f"Wrote {rows:,} requests to {path} ({path.stat().st_size / 1024 / 1024:.1f} MiB).")
    out.print("Attach it to a message and ask: Where does my AI spend go, and how could I cut it?")
