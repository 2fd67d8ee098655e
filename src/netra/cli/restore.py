"""`netra restore`: put a backup in the place of what is there, or say that it could be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from netra.cli.output import err, out
from netra.cli.settings import DATA, with_settings
from netra.config import MIB, Settings


@with_settings(*DATA)
def command(
    archive: Annotated[
        Path, typer.Argument(metavar="FILE", help="An archive that netra backup has written.", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace the data that is there.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Read and verify the archive, and change nothing.")] = False,
    *,
    settings: Settings,
) -> None:
    """Restore a backup. The server must not run. The whole archive is verified before anything is changed."""
    from netra.storage.backup import put_back, staged, verify

    if check:
        with err.status("Verifying"):
            manifest = verify(archive)
        out.print(
            f"{escape(str(archive))} is complete: {manifest.database}, revision {manifest.revision},"
            f" Netra {manifest.netra}, {manifest.created_at}, {len(manifest.files):,} files,"
            f" {manifest.size / MIB:,.1f} MiB."
        )
        return
    url, data_dir = settings.database, settings.data_dir.absolute()
    with err.status("Restoring"), staged(archive, database_url=url, data_dir=data_dir, force=force) as ready:
        asyncio.run(_alone(settings, partial(put_back, ready, database_url=url, data_dir=data_dir)))
    manifest = ready.manifest
    out.print(f"Restored what {escape(str(archive))} has of {manifest.created_at}: {len(manifest.files):,} files.")


async def _alone(settings: Settings, work: Callable[[], None]) -> None:
    """Do the work while no server can work on this database."""
    from netra.engine.ownership import Ownership

    owner = Ownership(settings.database, settings.data_dir)
    await owner.take()
    try:
        await asyncio.to_thread(work)
    finally:
        await owner.release()
