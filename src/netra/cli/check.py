"""`netra check`: find a code base's second truths. The command itself is part of the checker."""

from __future__ import annotations

from netra.compliance.command import check as command

__all__ = ["command"]
