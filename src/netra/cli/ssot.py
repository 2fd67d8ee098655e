"""`netra ssot`: the baseline of `netra check`, and questions about a code base. It is all part of the checker."""

from __future__ import annotations

from netra.compliance.ssot import app

__all__ = ["app"]
