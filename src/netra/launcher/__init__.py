"""`netra dev`: everything a developer of Netra or of an agent needs, started and stopped together.

`launcher.Launcher` puts the parts together: `locks` (one launcher per checkout), `ownership` (what a launcher that was
killed left behind), `ports`, `preparations` over a `cache`, `processes` and their `windows` form, `services` (what to
start), `supervisor` (states, restarts), `sources` (what to watch) and `logs`. It starts the server as a process and
imports nothing of it but the settings.
"""

from __future__ import annotations

from .cache import CacheEntry, CacheWarmer, ContentCache
from .config import LauncherConfig
from .launcher import Launcher
from .locks import NamedLocks
from .logs import LogBuffer, LogFilter, LogStreamer
from .processes import ProcessManager
from .windows import WindowsProcessManager

__all__ = [
    "CacheEntry",
    "CacheWarmer",
    "ContentCache",
    "Launcher",
    "LauncherConfig",
    "LogBuffer",
    "LogFilter",
    "LogStreamer",
    "NamedLocks",
    "ProcessManager",
    "WindowsProcessManager",
]
