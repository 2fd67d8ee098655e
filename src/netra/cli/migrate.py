"""`netra migrate`: bring the database to the schema of this version."""

from __future__ import annotations

from netra.cli.output import out
from netra.cli.settings import DATA, with_settings
from netra.config import Settings


@with_settings(*DATA)
def command(*, settings: Settings) -> None:
    """Bring the database to the newest schema. `netra serve` does the same when it starts."""
    from netra.storage.migrate import migrate

    before, after = migrate(settings.database)
    if before == after:
        out.print(f"The database is at revision {after} already.")
    else:
        out.print(f"The database went from {before or 'empty'} to revision {after}.")
