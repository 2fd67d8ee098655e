"""What `netra dev` is told, as one immutable value. Building it touches nothing: no file, no port, no process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from netra.errors import ConfigurationError

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
SERVICES = ("server", "page", "postgres", "nats")
"""Names of the children, as they stand before their log lines and after `--only`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherConfig:
    """What to start, where, and what to show of it.

    Args:
        directory: where the server runs: agent modules are found there, and relative paths begin there.
        agents: import strings, `module:name`; none means those of the settings.
        host: address the server listens on.
        port: port the server listens on when it is free.
        insist_on_port: fail when `port` is taken, instead of taking the next free one.
        data_dir: the server's data directory.
        database_url: another database than SQLite in the data directory.
        page: whether to start the page's development server; None means when it can be.
        postgres: start PostgreSQL from its wheel and use it.
        nats: start NATS from its wheel.
        only: children whose log lines are shown; none means all.
        level: least level of log lines that are shown.
        browser: open the page when everything is ready.
        reload: restart the server when its sources or the agents' change.
        cache: believe results that were remembered for the same contents.
        ready_seconds: how long a child may take to be ready before this is said.
        stop_seconds: how long everything together may take to stop.

    Raises:
        ConfigurationError: a value that cannot work; says which can.
    """

    directory: Path
    agents: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8000
    insist_on_port: bool = False
    data_dir: Path = Path("netra-data")
    database_url: str | None = None
    page: bool | None = None
    postgres: bool = False
    nats: bool = False
    only: tuple[str, ...] = ()
    level: Level = "info"
    browser: bool = True
    reload: bool = True
    cache: bool = True
    ready_seconds: float = 60
    stop_seconds: float = 5

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"{self.port} is no port.", hint="Ports go from 1 to 65535; 0 takes a free one.")
        if self.level not in LEVELS:
            raise ConfigurationError(f"There is no level {self.level!r}.", hint=f"Levels: {', '.join(LEVELS)}.")
        unknown = [name for name in self.only if name not in SERVICES]
        if unknown:
            raise ConfigurationError(
                f"There is no process named {unknown[0]!r}.", hint=f"--only takes {', '.join(SERVICES)}."
            )
        for agent in self.agents:
            module, _, name = agent.partition(":")
            if not module or not name:
                raise ConfigurationError(f"{agent!r} names no agent.", hint="Write module:name, as my_agents:counter.")
        if self.postgres and self.database_url:
            raise ConfigurationError("--postgres and a database_url exclude each other.", hint="Leave one of them out.")
        if self.stop_seconds < 1:
            raise ConfigurationError("stop_seconds is too short for anything to stop.", hint="Allow a second or more.")

    @property
    def root(self) -> Path:
        """The checkout or project that `directory` belongs to: the nearest directory above with a project file."""
        directory = self.directory.absolute()
        for place in (directory, *directory.parents):
            if any((place / name).exists() for name in ("pyproject.toml", ".git", "netra.toml")):
                return place
        return directory

    @property
    def state_dir(self) -> Path:
        """Where the launcher keeps its lock, its records and its cache."""
        return self.root / ".netra-dev"

    @property
    def checkout(self) -> Path | None:
        """The root, if it is a checkout of Netra itself."""
        marks = (self.root / "pyproject.toml", self.root / "src" / "netra" / "__init__.py")
        return self.root if all(mark.is_file() for mark in marks) else None
