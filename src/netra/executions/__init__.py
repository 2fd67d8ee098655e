"""Executions: which agents work for whom, in which state, whether they still live, and when to stop asking them."""

from .breaker import Breaker, BreakerRules, Breakers
from .records import ExecutionRecord, TrackerLimits, TrackerMetrics, UserContext, Verdict
from .states import ExecutionState, Phase, state_of_run
from .tracker import (
    AgentExecutionTracker,
    blocked_constructions,
    configure_execution_tracker,
    get_execution_tracker,
)

__all__ = [
    "AgentExecutionTracker",
    "Breaker",
    "BreakerRules",
    "Breakers",
    "ExecutionRecord",
    "ExecutionState",
    "Phase",
    "TrackerLimits",
    "TrackerMetrics",
    "UserContext",
    "Verdict",
    "blocked_constructions",
    "configure_execution_tracker",
    "get_execution_tracker",
    "state_of_run",
]
