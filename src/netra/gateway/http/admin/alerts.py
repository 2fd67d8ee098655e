"""`/api/admin/alerts` and `/silences`: incidents, the rules that find them, and what is silenced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from netra.clock import rfc3339
from netra.errors import NotFound
from netra.gateway.http.api import Require
from netra.gateway.http.body import JsonRoute
from netra.gateway.http.models import Body, Moment
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.monitoring.alerts import AlertManager
from netra.monitoring.incidents import Incident
from netra.monitoring.rules import AlertRule
from netra.storage.audit import AuditLog
from netra.storage.silences import MOST_MINUTES, NAME_CHARS, NOTE_CHARS, Silences
from netra.text import clean_id, clean_text

from .accounts import actor_of


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
    acknowledged_at: str | None = Field(description="RFC 3339, UTC; null until somebody looks at it.")
    acknowledged_by: str | None
    note: str | None = Field(description="Of who acknowledged it.")


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


class AcknowledgeBody(Body):
    note: str = Field("", max_length=NOTE_CHARS)


class SilenceBody(Body):
    rule: str = Field(min_length=1, max_length=NAME_CHARS)
    key: str | None = Field(None, max_length=NAME_CHARS, description="Only about this; null for whatever it is about.")
    minutes: int = Field(ge=1, le=MOST_MINUTES)
    note: str = Field(min_length=1, max_length=NOTE_CHARS, description="Why.")


class SilenceModel(BaseModel):
    id: str
    rule: str
    key: str | None
    note: str
    made_by: str
    made_at: Moment
    until: Moment


class SilenceList(BaseModel):
    items: list[SilenceModel]


def alerts_admin_routes(
    require_admin: Require, manager: Callable[[], AlertManager], silences: Silences, audit: AuditLog
) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
        manager: the started server's manager.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"], route_class=JsonRoute)
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

    @router.post("/alerts/{incident_id}/acknowledge", responses=problems(404, 422))
    async def acknowledge(incident_id: str, body: AcknowledgeBody, caller: Principal = administrator) -> IncidentModel:
        """Show others that somebody looks at an open alert."""
        name, actor = clean_id(incident_id), actor_of(caller)
        note = clean_text(body.note, field="note", max_chars=NOTE_CHARS)
        if name not in {each.id for each in await manager().open_incidents()}:
            raise NotFound("There is no such open alert.")
        await audit.note(actor, "alert.acknowledge", name, note=note)
        return _incident(await manager().acknowledge(name, actor.name, note))

    @router.get("/silences", responses=problems(404))
    async def list_silences(_: Principal = administrator) -> SilenceList:
        """Silences that have not ended, the one that ends first first."""
        found = await silences.current()
        return SilenceList(items=[SilenceModel.model_validate(each, from_attributes=True) for each in found])

    @router.post("/silences", status_code=201, responses=problems(404, 422))
    async def silence(body: SilenceBody, caller: Principal = administrator) -> SilenceModel:
        """Send no notices about something for a while. Incidents are stored and shown all the same."""
        made = await silences.add(actor_of(caller), body.rule, body.key, body.minutes, body.note)
        return SilenceModel.model_validate(made, from_attributes=True)

    @router.delete("/silences/{silence_id}", status_code=204, responses=problems(404))
    async def end_silence(silence_id: str, caller: Principal = administrator) -> None:
        """End a silence before its time: what it kept back is sent."""
        await silences.end(actor_of(caller), clean_id(silence_id))

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
        acknowledged_at=None if incident.acknowledged_at is None else rfc3339(incident.acknowledged_at),
        acknowledged_by=incident.acknowledged_by,
        note=incident.note,
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
