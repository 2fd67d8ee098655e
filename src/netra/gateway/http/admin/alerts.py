"""`GET /api/admin/alerts`: the incidents of this installation and the rules that find them, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from netra.clock import rfc3339
from netra.gateway.http.api import Require
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.monitoring.alerts import AlertManager
from netra.monitoring.incidents import Incident
from netra.monitoring.rules import AlertRule


class IncidentModel(BaseModel):
    id: str
    rule: str
    key: str = Field(description="What it is about, such as a server or a thread; empty when there is only one.")
    severity: Literal["info", "warning", "critical"]
    summary: str
    details: dict[str, Any]
    opened_at: str = Field(description="RFC 3339, UTC")
    last_seen_at: str = Field(description="RFC 3339, UTC")
    resolved_at: str | None = Field(description="RFC 3339, UTC; null while it is open.")


class RuleModel(BaseModel):
    name: str
    severity: Literal["info", "warning", "critical"]
    meaning: str
    unit: Literal["", "share", "s", "bytes"]
    fires_at: float
    resolves_at: float
    falling: bool = Field(description="Whether low values are the bad ones.")
    for_seconds: float
    cooldown_seconds: float
    values: dict[str, float] = Field(description="What this server read last, by key; unknown ones are missing.")


class AlertsModel(BaseModel):
    open: list[IncidentModel] = Field(description="The oldest first.")
    recent: list[IncidentModel] = Field(description="Open or not, the newest first.")
    rules: list[RuleModel]


def alerts_admin_routes(require_admin: Require, manager: Callable[[], AlertManager]) -> APIRouter:
    """The route.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
        manager: the started server's manager.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get("/alerts", responses=problems(401, 404, 422))
    async def alerts(
        _: Principal = administrator,
        limit: Annotated[int, Query(ge=1, le=1000, description="Of the recent ones.")] = 100,
    ) -> AlertsModel:
        """What is wrong now, what was, and what is watched."""
        current = manager()
        still_open, recent = await current.incidents(limit)
        return AlertsModel(
            open=[_incident(incident) for incident in still_open],
            recent=[_incident(incident) for incident in recent],
            rules=[_rule(rule, current.values(rule.name)) for rule in current.rules],
        )

    return router


def _incident(incident: Incident) -> IncidentModel:
    return IncidentModel(
        id=incident.id,
        rule=incident.rule,
        key=incident.key,
        severity=incident.severity.value,
        summary=incident.summary,
        details=dict(incident.details),
        opened_at=rfc3339(incident.opened_at),
        last_seen_at=rfc3339(incident.last_seen_at),
        resolved_at=None if incident.resolved_at is None else rfc3339(incident.resolved_at),
    )


def _rule(rule: AlertRule, values: dict[str, float]) -> RuleModel:
    return RuleModel(
        name=rule.name,
        severity=rule.severity.value,
        meaning=rule.meaning,
        unit=rule.unit,
        fires_at=rule.fires_at,
        resolves_at=rule.resolves_at,
        falling=rule.falling,
        for_seconds=rule.for_seconds,
        cooldown_seconds=rule.cooldown_seconds,
        values=values,
    )
