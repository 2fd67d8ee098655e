"""What goes on on the server at one moment, gathered for administrators who watch.

`GET /api/admin/overview` answers with it, and `netra.gateway.socket.operations` pushes it. The figures are this
process's, except those read from the database: queued and failed runs, and alerts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from netra.clock import Clock, rfc3339
from netra.events import LiveExecution, OpenAlert, Operations, OperationsTile
from netra.executions import AgentExecutionTracker, ExecutionRecord
from netra.monitoring.alerts import AlertManager
from netra.monitoring.history import History, Values
from netra.monitoring.incidents import Incident, Severity
from netra.storage.run_health import RunHealth

MOST_EXECUTIONS = 200
HIGH_SHARE = 0.7
"""Of the database's connections in use, from which on the tile says so."""
HIGH_WAIT_SECONDS = 30.0
"""For which a run may wait without anything that keeps it from beginning."""

Word = Literal["ok", "high", "full", "alert"]


class OperationsDesk:
    """See the module.

    Args:
        alerts: the started server's manager.
    """

    def __init__(
        self,
        history: History,
        tracker: AgentExecutionTracker,
        health: RunHealth,
        alerts: Callable[[], AlertManager],
        clock: Clock,
    ) -> None:
        self._history = history
        self._tracker = tracker
        self._health = health
        self._alerts = alerts
        self._clock = clock

    async def now(self) -> Operations:
        """The picture of this moment.

        Raises:
            Unavailable: the database is away.
        """
        incidents = await self._alerts().open_incidents()
        failures, waited = await self._health.failures(), await self._health.queue_age()
        values = self._history.now()
        records = sorted(self._tracker.get_active_executions(), key=lambda each: each.created_at)
        return Operations(
            at=rfc3339(self._clock.now()),
            tiles=_tiles(values, failures, waited, incidents),
            values=dict(values),
            executions=[_execution(each) for each in records[:MOST_EXECUTIONS]],
            left_out=max(0, len(records) - MOST_EXECUTIONS),
            alerts=[_alert(each) for each in incidents],
        )


def _tiles(values: Values, failures: int, waited: float, incidents: list[Incident]) -> list[OperationsTile]:
    in_use, free = values["db_in_use"] or 0.0, values["db_free"] or 0.0
    size = in_use + free
    pool: Word = "full" if size and not free else "high" if in_use > HIGH_SHARE * size else "ok"
    worst: Word = "alert" if any(each.severity is Severity.CRITICAL for each in incidents) else "high"
    return [
        OperationsTile(name="active_users", value=values["active_users"]),
        OperationsTile(name="user_sessions", value=values["user_sessions"]),
        OperationsTile(name="db_in_use", value=in_use, of=size, word=pool),
        OperationsTile(name="runs_running", value=values["runs_running"]),
        OperationsTile(
            name="runs_queued", value=values["runs_queued"], word="high" if waited >= HIGH_WAIT_SECONDS else "ok"
        ),
        OperationsTile(name="failures", value=float(failures), word="high" if failures else "ok"),
        OperationsTile(name="alerts_open", value=float(len(incidents)), word=worst if incidents else "ok"),
    ]


def _execution(record: ExecutionRecord) -> LiveExecution:
    return LiveExecution(
        id=record.execution_id,
        user_id=record.user_id,
        thread_id=record.thread_id,
        agent=record.agent_name,
        state=record.state.value,
        phase=record.phase.value,
        attempt=record.attempt,
        created_at=rfc3339(record.created_at),
        started_at=None if record.started_at is None else rfc3339(record.started_at),
        worked_seconds=record.worked_seconds,
        heartbeat_age_seconds=record.heartbeat_age,
        progress_age_seconds=record.progress_age,
        paused=record.paused,
    )


def _alert(incident: Incident) -> OpenAlert:
    return OpenAlert(
        id=incident.id,
        rule=incident.rule,
        key=incident.key,
        severity=incident.severity.value,
        summary=incident.summary,
        opened_at=rfc3339(incident.opened_at),
        acknowledged=incident.acknowledged_at is not None,
    )
