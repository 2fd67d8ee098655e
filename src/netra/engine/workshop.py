"""What every attempt at a run works with: one set for each engine, made by it and handed to each execution."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netra.agents.spec import AgentSpec
from netra.clock import Clock
from netra.config import Settings
from netra.executions import Breakers
from netra.log import ThreadLog
from netra.sessions import RequestScopedSessionFactory

from .approvals import ApprovalDesk
from .durable import Durable
from .tool_processes import ToolProcesses
from .tool_threads import ToolThreads


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every execution uses."""

    settings: Settings
    agents: dict[str, AgentSpec]
    database: RequestScopedSessionFactory
    log: ThreadLog
    durable: Durable
    threads: ToolThreads
    processes: ToolProcesses
    breakers: Breakers
    desk: ApprovalDesk
    clock: Clock

    @property
    def files_dir(self) -> Path:
        """Where the files of messages lie, named by their ids."""
        return self.settings.data_dir / "files"
