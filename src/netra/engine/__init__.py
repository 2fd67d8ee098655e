"""Durable execution of runs. `netra.engine.engine.Engine` does the work; this package's face is its interface."""

from .interface import EndedRun, OnEnded, RunEngine

__all__ = ["EndedRun", "OnEnded", "RunEngine"]
