"""The import paths that the specification of Netra uses, served from one table (`netra_compat.table`).

Each package named like the first part of an old path (`netra_backend`, `shared`, …) imports this module, which adds the
finder. The finder makes the modules below from the table when they are imported, and every name in them is the object
of `netra` itself. Netra never imports any of this.
"""

from __future__ import annotations

import sys

from .finder import OldPaths

__version__ = "0.1.0"

# Last, so that whatever else is installed under these names is found first.
sys.meta_path.append(OldPaths())
