"""`netra backup`: write everything a server keeps into one archive, while it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from netra.cli.output import err, out
from netra.cli.settings import DATA, with_settings
from netra.config import MIB, Settings


@with_settings(*DATA)
def command(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="The archive (.tar, .tar.gz, .tgz or .tar.zst), or a directory that gets one named after the time.",
            show_default=False,
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace an archive of this name.")] = False,
    *,
    settings: Settings,
) -> None:
    """Back up the database, the engine's and uploaded files. The server may run. The archive is secret."""
    from netra.storage.backup import backup

    with err.status("Backing up"):
        made = backup(target, database_url=settings.database, data_dir=settings.data_dir, force=force)
    manifest = made.manifest
    out.print(
        f"{escape(str(made.path))}: revision {manifest.revision}, {len(manifest.files):,} files,"
        f" {manifest.size / MIB:,.1f} MiB before compression."
    )
    if made.missing:
        out.print(f"{len(made.missing):,} files were not there; most likely they were deleted meanwhile.")
