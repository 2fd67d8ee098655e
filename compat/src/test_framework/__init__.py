"""First part of old import paths; what lies below is in `tests/support`, so it is there in a checkout only."""

import sys
from pathlib import Path

import netra_compat  # noqa: F401  (brings the finder in)

_TESTS = str(Path(__file__).resolve().parents[3] / "tests")
if _TESTS not in sys.path:
    sys.path.append(_TESTS)
