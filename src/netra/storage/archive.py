"""The archive of a backup: one tar file whose last member says what the others are.

`netra.storage.backup` writes and reads it. `manifest.json` comes last, with the size and SHA-256 of every member before
it, so an archive that was cut off anywhere has none and is refused. Nothing of an archive is believed before all of it
was read: members have the few names that a backup gives them and are plain files, whatever the tar file says.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import msgspec

from netra.errors import ConfigurationError, InvalidInput

FORMAT = 1
MANIFEST = "manifest.json"
SUFFIXES = (".tar.gz", ".tgz", ".tar.zst", ".tar")
MANIFEST_BYTES = 256 * 1024 * 1024
"""Room for some two million files."""
_NAME = re.compile(r"netra\.db|engine\.db|netra\.dump|files/[A-Za-z0-9_-]{1,200}")
_PIECE = 1024 * 1024
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class ArchiveMember(msgspec.Struct, frozen=True):
    """One file of the backup: bytes and SHA-256 (hexadecimal)."""

    size: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True):
    """What an archive holds.

    Args:
        format: of the archive.
        netra: the version that wrote it.
        created_at: when it was begun, ISO 8601.
        database: `sqlite` or `postgresql`.
        revision: the schema's.
        members: by name, every file but the manifest.
        postgresql: the major version of the pg_dump that was used.
    """

    format: int
    netra: str
    created_at: str
    database: str
    revision: str
    members: dict[str, ArchiveMember]
    postgresql: int | None = None

    @property
    def files(self) -> list[str]:
        """The ids of uploaded files."""
        return [name.removeprefix("files/") for name in self.members if name.startswith("files/")]

    @property
    def size(self) -> int:
        """Bytes of all members together, as they are outside of the archive."""
        return sum(member.size for member in self.members.values())


class ArchiveWriter:
    """Members on their way into an archive. `writing` makes it."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, ArchiveMember] = {}

    def add(self, name: str, source: IO[bytes]) -> None:
        """Add an open file as it is at this moment.

        Raises:
            OSError: it got shorter while it was read.
        """
        member = _header(name, os.fstat(source.fileno()).st_size)
        hashed = _HashedReader(source)
        self._tar.addfile(member, hashed)  # type: ignore[arg-type]  # it only reads
        self.members[name] = ArchiveMember(member.size, hashed.digest.hexdigest())

    def finish(self, manifest: BackupManifest) -> None:
        """Add the manifest: the archive is complete."""
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._tar.addfile(_header(MANIFEST, len(content)), io.BytesIO(content))


class _HashedReader:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


def _header(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive, compressed as its name says: under a temporary name first, 0600, and flushed to the disk.

    Raises:
        ConfigurationError: the name is no archive's, or `zstd` is missing.
        OSError: the disk does not take it; nothing is left there.
    """
    if not path.name.endswith(SUFFIXES):
        raise ConfigurationError(f"{path.name} is no name of a backup.", hint=f"End it with {', '.join(SUFFIXES)}.")
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600, exist_ok=False)
    try:
        with part.open("wb") as raw:
            with _compressed(path.name, raw) as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
                yield ArchiveWriter(tar)
            raw.flush()
            os.fsync(raw.fileno())
        part.rename(path)
        flush_directory(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def flush_directory(path: Path) -> None:
    """Let the names in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _compressed(name: str, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if name.endswith((".gz", ".tgz")):
        with gzip.GzipFile(fileobj=raw, filename="", mode="wb", compresslevel=6, mtime=0) as stream:
            yield stream  # type: ignore[misc]  # a GzipFile is what an IO[bytes] does
    elif name.endswith(".zst"):
        with subprocess.Popen([_zstd(), "-q", "-c"], stdin=subprocess.PIPE, stdout=raw) as process:
            assert process.stdin is not None
            yield process.stdin
        if process.returncode:
            raise OSError(f"zstd ended with {process.returncode}")
    else:
        yield raw


def _zstd() -> str:
    found = shutil.which("zstd")
    if found is None:
        raise ConfigurationError("There is no zstd on PATH.", hint="Install it, or name the archive .tar.gz.")
    return found


def unpack(archive: Path, into: Path | None) -> BackupManifest:
    """Read an archive from the first byte to the last, and verify every member.

    Args:
        into: an empty directory that gets the members; None verifies only.

    Raises:
        InvalidInput: it is no complete and unharmed backup of a format this version knows.
        ConfigurationError: it cannot be opened, or `zstd` is missing.
    """
    found: dict[str, ArchiveMember] = {}
    manifest: BackupManifest | None = None
    try:
        with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                if manifest is not None:
                    raise InvalidInput("The archive has something after its manifest.")
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise InvalidInput(f"{member.name!r} in the archive is no plain file.")
                if member.name == MANIFEST:
                    manifest = _manifest(content.read(MANIFEST_BYTES))
                elif not _NAME.fullmatch(member.name) or member.name in found:
                    raise InvalidInput(f"{member.name!r} does not belong into a backup.")
                else:
                    found[member.name] = _take(content, None if into is None else into / member.name)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(f"The archive is damaged: {error}.", hint=_ANOTHER) from error
    if manifest is None:
        raise InvalidInput("The archive is not complete: its end is missing.", hint=_ANOTHER)
    for name in manifest.members.keys() | found.keys():
        if manifest.members.get(name) != found.get(name):
            raise InvalidInput(f"{name} in the archive is not what was backed up.", hint=_ANOTHER)
    return manifest


_ANOTHER = "Nothing was changed. Take another backup."


def _manifest(content: bytes) -> BackupManifest:
    try:
        manifest = msgspec.json.decode(content, type=BackupManifest)
    except msgspec.DecodeError as error:
        raise InvalidInput("The archive's manifest cannot be read.", hint=_ANOTHER) from error
    if manifest.format != FORMAT:
        raise InvalidInput(
            f"The archive has format {manifest.format}, this version of Netra knows {FORMAT}.",
            hint=f"Netra {manifest.netra} wrote it: restore it with that version or a newer one.",
        )
    return manifest


def _take(content: IO[bytes], path: Path | None) -> ArchiveMember:
    """Hash a member, and write it to the disk."""
    digest, size = hashlib.sha256(), 0
    with ExitStack() as stack:
        target = None
        if path is not None:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600, exist_ok=False)
            target = stack.enter_context(path.open("wb"))
        while piece := content.read(_PIECE):
            digest.update(piece)
            size += len(piece)
            if target is not None:
                target.write(piece)
        if target is not None:
            target.flush()
            os.fsync(target.fileno())
    return ArchiveMember(size, digest.hexdigest())


@contextmanager
def _decompressed(archive: Path) -> Iterator[IO[bytes]]:
    try:
        raw = archive.open("rb", buffering=0)  # zstd reads on from where this stands
    except OSError as error:
        raise ConfigurationError(f"{archive} cannot be opened: {error.strerror}.") from error
    with raw:
        magic = raw.read(4)
        raw.seek(0)
        if magic.startswith(_GZIP):
            with gzip.GzipFile(fileobj=raw, mode="rb") as stream:
                yield stream  # type: ignore[misc]  # a GzipFile is what an IO[bytes] does
                _drain(stream)  # type: ignore[arg-type]
        elif magic == _ZSTD:
            command = [_zstd(), "-q", "-d", "-c"]
            with subprocess.Popen(command, stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
                assert process.stdout is not None
                yield process.stdout
                _drain(process.stdout)
            if process.returncode:
                raise EOFError("zstd cannot read it to its end")
        else:
            yield raw


def _drain(stream: IO[bytes]) -> None:
    """Read on to the end, where the compression's own checksum is."""
    while stream.read(_PIECE):
        pass
