"""`python -m netra` is the same as `netra`."""

from __future__ import annotations

import sys

CHECKER = ("check", "ssot")
"""Commands that start without the server and its settings."""


def main() -> None:
    """Run the command named in `sys.argv`."""
    if sys.argv[1:2] and sys.argv[1] in CHECKER:
        from netra.compliance.command import main as run
    else:
        from netra.cli import main as run
    run()


if __name__ == "__main__":
    main()
