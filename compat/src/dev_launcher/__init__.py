"""First part of old import paths; what lies below is made from `netra_compat.table` when it is imported."""

import netra_compat  # noqa: F401  (brings the finder in)
