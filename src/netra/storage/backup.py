"""Backup and restore of everything a server keeps: its data, the engine's, and uploaded files. For `netra backup` and
`netra restore`.

A backup is taken while the server works. On SQLite a read transaction is opened on the engine's database and then on
the server's, and both are copied as they are at that moment; on PostgreSQL pg_dump and the question which files there
are see one snapshot. The engine's state is never the newer one, so after a restore it does what it does after a crash:
it carries on what the log says is not done. A restore reads and verifies the whole archive, migrates a copy, and only
then puts it in the place of what is there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from netra import __version__
from netra.clock import Clock, SystemClock, rfc3339
from netra.errors import ConfigurationError, Unavailable

from . import dump
from .archive import FORMAT, BackupManifest, flush_directory, unpack, writing
from .database import BUSY_MILLISECONDS, parse_url
from .migrate import migrate, newest

DATABASE, ENGINE, DUMP, FILES = "netra.db", "engine.db", "netra.dump", "files"
_SIDE_FILES = ("-wal", "-shm", "-journal")
_PAGES = 4096


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive that was written.

    Args:
        missing: ids of files that were deleted while it was written.
    """

    path: Path
    manifest: BackupManifest
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A verified archive, unpacked beside where it will go."""

    manifest: BackupManifest
    directory: Path


def backup(
    target: Path, *, database_url: str, data_dir: Path, force: bool = False, clock: Clock | None = None
) -> Backup:
    """Write a backup. The server may run.

    Args:
        target: the archive, or a directory that gets one named after the time.
        force: whether an archive of this name is replaced.

    Raises:
        ConfigurationError: there is nothing to back up, the archive is there already, or a program is missing.
        Unavailable: the database or the disk does not do its part.
    """
    url, now = parse_url(database_url), (clock or SystemClock()).now()
    path = target / f"netra-{now:%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
    if path.exists() and not force:
        raise ConfigurationError(f"{path} is there already.", hint="Choose another name, or replace it with --force.")
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no directory {path.parent}.", hint="Create it first.")
    sqlite = url.get_backend_name() == "sqlite"
    try:
        with writing(path) as archive, tempfile.TemporaryDirectory(prefix=".netra-backup-", dir=path.parent) as kept:
            directory, major = Path(kept), None
            if sqlite:
                revision, files = _copy_sqlite(Path(str(url.database)), data_dir, directory)
            else:
                revision, files, major = _dump_postgresql(url, directory)
            for copy in sorted(directory.iterdir()):
                with copy.open("rb") as source:
                    archive.add(copy.name, source)
                copy.unlink()
            missing = []
            for file_id in files:
                try:
                    with (data_dir / FILES / file_id).open("rb") as source:
                        archive.add(f"{FILES}/{file_id}", source)
                except FileNotFoundError:
                    missing.append(file_id)
            manifest = BackupManifest(
                format=FORMAT,
                netra=__version__,
                created_at=rfc3339(now),
                database=url.get_backend_name(),
                revision=revision,
                members=archive.members,
                postgresql=major,
            )
            archive.finish(manifest)
    except OSError as error:
        raise Unavailable(
            f"The backup could not be written: {error}.", hint=f"Nothing was left in {path.parent}."
        ) from error
    return Backup(path, manifest, tuple(missing))


def _copy_sqlite(database: Path, data_dir: Path, into: Path) -> tuple[str, list[str]]:
    """Copy both databases as they are at one moment; returns the schema's revision and the files' ids."""
    if not database.is_file():
        raise ConfigurationError(
            f"There is no database at {database}.", hint="Name the data directory with --data-dir, or --database-url."
        )
    # The engine's first: what the log has and the engine does not is done again; the other way round it would be lost.
    sources = [path for path in (data_dir / ENGINE, database) if path.is_file()]
    try:
        with ExitStack() as stack:
            opened = [stack.enter_context(_sqlite(path)) for path in sources]
            for connection in opened:
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            for path, connection in zip(sources, opened, strict=True):
                copy = into / (ENGINE if path.name == ENGINE else DATABASE)
                copy.touch(mode=0o600)
                with _sqlite(copy) as target:
                    connection.backup(target, pages=_PAGES)
            files = [str(row[0]) for row in opened[-1].execute("SELECT id FROM files ORDER BY id")]
            (revision,) = opened[-1].execute("SELECT version_num FROM alembic_version").fetchone()
            return str(revision), files
    except (sqlite3.Error, TypeError) as error:
        raise Unavailable(f"{database} cannot be read: {error}.", hint="Look at it with: netra doctor") from error


@contextmanager
def _sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    try:
        yield connection
    finally:
        connection.close()


def _dump_postgresql(url: URL, into: Path) -> tuple[str, list[str], int]:
    with dump.connected(url) as connection:
        program = dump.find("pg_dump", dump.major(connection))
        row = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            raise ConfigurationError("There is nothing of Netra in this database.", hint="Check --database-url.")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()").fetchall()
            ((revision,),) = connection.execute("SELECT version_num FROM public.alembic_version").fetchall()
            files = [str(row[0]) for row in connection.execute("SELECT id FROM public.files ORDER BY id")]
            dump.write(url, into / DUMP, str(snapshot), program)
        return str(revision), files, program.major


def verify(archive: Path) -> BackupManifest:
    """Read an archive to its end and check every member.

    Raises:
        InvalidInput: it is damaged, incomplete, or no backup.
        ConfigurationError: it cannot be opened.
    """
    return unpack(archive, None)


@contextmanager
def staged(archive: Path, *, database_url: str, data_dir: Path, force: bool = False) -> Iterator[Staged]:
    """A verified and migrated archive, ready for `put_back`. Nothing is changed before that; what was unpacked is
    deleted at the end.

    Raises:
        InvalidInput: the archive is damaged, incomplete, or no backup.
        ConfigurationError: it does not fit here, or what is there would be replaced and `force` was not given.
        Unavailable: the database or the disk does not do its part.
    """
    url = parse_url(database_url)
    if not force and _occupied(url, data_dir):
        raise ConfigurationError(
            "There is data already where the backup would go.",
            hint="Name another --data-dir or --database-url, or replace what is there with --force.",
        )
    new = [path for path in (data_dir, *data_dir.parents) if not path.exists()]
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".netra-restore-", dir=data_dir) as kept:
            directory = Path(kept)
            manifest = unpack(archive, directory)
            _must_fit(manifest, url)
            if manifest.database == "sqlite":
                migrate(f"sqlite:///{directory / DATABASE}")
            yield Staged(manifest, directory)
    except OSError as error:
        raise Unavailable(f"The archive could not be unpacked: {error}.", hint="Nothing was changed.") from error
    finally:
        for path in new:  # what was made and is empty still
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _must_fit(manifest: BackupManifest, url: URL) -> None:
    if manifest.database != url.get_backend_name():
        raise ConfigurationError(
            f"The backup is one of {_NAMES[manifest.database]}, and this database is {_NAMES[url.get_backend_name()]}.",
            hint="Name a database of the same kind with --database-url.",
        )
    if manifest.revision > newest():
        raise ConfigurationError(
            f"The backup has revision {manifest.revision}, this version of Netra knows up to {newest()}.",
            hint=f"Restore it with Netra {manifest.netra} or a newer version.",
        )
    if (DATABASE if manifest.database == "sqlite" else DUMP) not in manifest.members:
        raise ConfigurationError("There is no database in the backup.")


_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def _occupied(url: URL, data_dir: Path) -> bool:
    """Whether there is any data of a server."""
    files = data_dir / FILES
    if (files.is_dir() and any(files.iterdir())) or (data_dir / ENGINE).exists():
        return True
    if url.get_backend_name() == "sqlite":
        return Path(str(url.database)).exists()
    with dump.connected(url) as connection:
        return dump.occupied(connection)


def put_back(ready: Staged, *, database_url: str, data_dir: Path) -> None:
    """Put what was staged in the place of what is there. The caller owns the database: no server runs.

    When a step fails, what was there comes back.

    Raises:
        ConfigurationError: what an interrupted restore has put aside is in the way.
        Unavailable: the database or the disk does not do its part.
    """
    url = parse_url(database_url)
    try:
        if url.get_backend_name() == "sqlite":
            database = Path(str(url.database))
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _replaced(ready.directory, _places(database, data_dir)):
                flush_directory(database.parent)
            return
        with dump.connected(url) as connection:
            program = dump.find("pg_restore", max(dump.major(connection), ready.manifest.postgresql or 0))
            with dump.set_aside(connection), _replaced(ready.directory, {FILES: data_dir / FILES}):
                dump.read(url, ready.directory / DUMP, program)
                migrate(database_url)
    except OSError as error:
        raise Unavailable(f"The backup could not be restored: {error}.", hint="What was there is back.") from error


def _places(database: Path, data_dir: Path) -> dict[str, Path]:
    places = {DATABASE: database, ENGINE: data_dir / ENGINE, FILES: data_dir / FILES}
    for name in (DATABASE, ENGINE):
        places |= {name + end: places[name].with_name(places[name].name + end) for end in _SIDE_FILES}
    return places


@contextmanager
def _replaced(directory: Path, places: dict[str, Path]) -> Iterator[None]:
    """Move what is in the places into `directory`/before, and what is in `directory` into the places.

    When the block or a move fails, everything is moved back.
    """
    before = directory / "before"
    before.mkdir(mode=0o700)
    taken: list[str] = []
    try:
        for name, place in places.items():
            if place.exists():
                _move(place, before / name)
            taken.append(name)
            if (directory / name).exists():
                _move(directory / name, place)
        for place in _parents(places.values()):
            flush_directory(place)
        yield
    except BaseException:
        for name in taken:
            place = places[name]
            if place.exists():
                _move(place, directory / f"undone-{name}")
            if (before / name).exists():
                _move(before / name, place)
        raise


def _parents(places: Iterable[Path]) -> set[Path]:
    return {place.parent for place in places}


def _move(source: Path, target: Path) -> None:
    """Rename; across file systems, copy under a temporary name and rename that."""
    try:
        source.rename(target)
    except OSError:
        part = target.with_name(f".{target.name}.part")
        if source.is_dir():
            shutil.copytree(source, part)
        else:
            shutil.copy2(source, part)
        os.sync()
        part.rename(target)
        shutil.rmtree(source) if source.is_dir() else source.unlink()
