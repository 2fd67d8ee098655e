"""The interpreter for scripts of the checkout that are started with any Python: theirs, or the one of `.venv`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def ensure(*modules: str) -> None:
    """Return when all `modules` can be imported; otherwise run the same command with the Python of `.venv`, and say so.

    Raises:
        SystemExit: that Python is not there, or lacks them too.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if not missing:
        return
    own = ROOT / ".venv" / "bin" / "python"
    lacking = f"{sys.executable} has no {', '.join(missing)}"
    if not own.exists() or Path(sys.prefix) == own.parents[1]:
        raise SystemExit(f"{lacking}. Run `make test` once, or: python -m pip install -e '.[test]'")
    print(f"{lacking}; going on with {own}", file=sys.stderr, flush=True)
    os.execv(own, [str(own), *sys.argv])
