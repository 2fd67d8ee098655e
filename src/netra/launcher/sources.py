"""Changes of sources: which directories matter, and threads that say when a file there has other contents.

Saving a file without changing it, or another editor's temporary files, restarts nothing.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

ENDINGS = (".py", ".toml", ".mako", ".sql")
_DEBOUNCE_MILLISECONDS = 150


class Sources:
    """What is watched.

    Args:
        trees: directories with everything below them.
        folders: directories without what lies below.
        files: single files, wherever they lie.
    """

    def __init__(self, *, trees: Iterable[Path] = (), folders: Iterable[Path] = (), files: Iterable[Path] = ()) -> None:
        self.trees = tuple(dict.fromkeys(path.resolve() for path in trees))
        flat = {path.resolve() for path in folders} | {path.resolve().parent for path in files}
        self.folders = tuple(sorted(path for path in flat if not any(path.is_relative_to(tree) for tree in self.trees)))

    def __str__(self) -> str:
        return ", ".join(str(path) for path in (*self.trees, *self.folders))


def agent_sources(agents: Iterable[str], directory: Path) -> tuple[list[Path], list[Path]]:
    """Where the modules of agents lie: packages as trees, and the folders of modules that stand alone.

    Modules are looked for as the server will, in `directory` and then on the path of this Python, and not imported.
    """
    trees, folders = [], []
    places = [directory, *(Path(entry) for entry in sys.path if entry)]
    for agent in agents:
        first, *rest = agent.partition(":")[0].split(".")
        for place in places:
            if (place / first / "__init__.py").is_file() or (rest and (place / first).is_dir()):
                trees.append(place / first)
                break
            if (place / f"{first}.py").is_file():
                folders.append(place)
                break
        else:  # not there yet: it may be written while we wait
            folders.append(directory)
    return trees, folders


class SourceWatcher:
    """Says when contents change.

    Args:
        sources: what to watch.
        changed: called from a thread with the files.
    """

    def __init__(self, sources: Sources, changed: Callable[[list[Path]], None]) -> None:
        self._sources = sources
        self._changed = changed
        self._stop = threading.Event()
        self._digests: dict[Path, bytes | None] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Read what is there, and watch."""
        for tree in self._sources.trees:
            self._keep(path for ending in ENDINGS for path in tree.rglob(f"*{ending}"))
        for folder in self._sources.folders:
            self._keep(path for ending in ENDINGS for path in folder.glob(f"*{ending}"))
        for recursive, paths in ((True, self._sources.trees), (False, self._sources.folders)):
            there = [path for path in paths if path.is_dir()]
            if there:
                thread = threading.Thread(
                    target=self._watch, args=(there, recursive), name="source-watcher", daemon=True
                )
                thread.start()
                self._threads.append(thread)

    def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2)

    def _watch(self, paths: list[Path], recursive: bool) -> None:
        changes = watch(
            *paths,
            recursive=recursive,
            watch_filter=_Endings(),
            debounce=_DEBOUNCE_MILLISECONDS,
            step=50,
            stop_event=self._stop,
            rust_timeout=200,
            yield_on_timeout=False,
            raise_interrupt=False,
        )
        for change in changes:
            files = self._other_contents(Path(path) for _, path in change)
            if files:
                self._changed(files)

    def _keep(self, paths: Iterable[Path]) -> None:
        with self._lock:
            self._digests.update((path, _digest(path)) for path in paths)

    def _other_contents(self, paths: Iterable[Path]) -> list[Path]:
        other = []
        with self._lock:
            for path in sorted(set(paths)):
                now = _digest(path)
                if self._digests.get(path) != now:
                    self._digests[path] = now
                    other.append(path)
        return other


class _Endings(DefaultFilter):
    def __call__(self, change: Change, path: str) -> bool:
        return path.endswith(ENDINGS) and super().__call__(change, path)


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None
