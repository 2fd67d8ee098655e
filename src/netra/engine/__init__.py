"""Durable execution of runs. `netra.engine.engine.Engine` does the work; this package's face is its interface."""

from .interface import RunEngine

__all__ = ["RunEngine"]
