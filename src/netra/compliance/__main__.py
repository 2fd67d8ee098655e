"""`python -m netra.compliance check` is `netra check`, without the server's commands beside it."""

from __future__ import annotations

from netra.compliance.command import main

if __name__ == "__main__":
    main()
