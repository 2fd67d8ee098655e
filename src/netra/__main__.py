"""`python -m netra` is the same as `netra`."""

from __future__ import annotations

from netra.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
