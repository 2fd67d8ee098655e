"""The architecture check under its old name and flags; see `netra check --help` and docs/guides/checking.md."""

import sys

from netra.compliance.command import door

door(sys.argv[1:])
