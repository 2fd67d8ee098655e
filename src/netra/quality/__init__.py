"""How good answers are: checks of every run's answer, their course over time, and an alert when an agent gets worse."""

from .checks import check_answer
from .findings import KINDS, WEIGHTS, Finding, FindingKind, score

__all__ = ["KINDS", "WEIGHTS", "Finding", "FindingKind", "check_answer", "score"]
