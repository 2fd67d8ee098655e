"""`GET /api/admin/quality`: how good every agent's answers were, for administrators, as JSON or as Markdown."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from netra.clock import Clock, rfc3339
from netra.gateway.http.api import Require
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.quality.measures import Measures, step_of
from netra.quality.report import markdown

_MARKDOWN = "text/markdown"


class QualityPointModel(BaseModel):
    start: str = Field(description="RFC 3339, UTC")
    checked: int
    score: float | None = Field(description="Mean, 0 to 100; null without a check.")
    failed: int
    thumbs_up: int
    thumbs_down: int


class AgentQualityModel(BaseModel):
    agent: str
    checked: int = Field(description="Answers that were checked; runs that were cancelled are not.")
    score: float | None = Field(description="Mean, 0 to 100; null without a check.")
    change: float | None = Field(description="Mean of the period's second half less that of its first.")
    failed_share: float | None = Field(description="Of the checked runs, 0 to 1.")
    thumbs_up: int
    thumbs_down: int
    comments: int = Field(description="Thumbs that came with words.")
    findings: dict[str, int] = Field(description="Answers by kind of finding.")
    points: list[QualityPointModel] = Field(description="Those with anything in them, oldest first.")


class QualityReportModel(BaseModel):
    days: int
    step: Literal["hour", "day"]
    made_at: str = Field(description="RFC 3339, UTC")
    agents: list[AgentQualityModel]


def quality_admin_routes(require_admin: Require, measures: Measures, clock: Clock) -> APIRouter:
    """The route.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get(
        "/quality",
        response_model=QualityReportModel,
        responses={
            200: {"content": {_MARKDOWN: {"schema": {"type": "string"}}}, "description": "The report."},
            **problems(404, 422),
        },
    )
    async def quality_report(
        caller: Principal = administrator,
        days: Annotated[int, Query(ge=1, le=90, description="How far back.")] = 7,
        agent: Annotated[str | None, Query(max_length=128, description="Only this one.")] = None,
        accept: Annotated[str, Header()] = "*/*",
    ) -> Response:
        """How good every agent's answers were. With `Accept: text/markdown`, as a report to read."""
        agents = await measures.of_everybody(days, agent)
        made_at = rfc3339(clock.now())
        if _MARKDOWN in accept:
            text = markdown(agents, days=days, made_at=made_at, everybody=True)
            return Response(text, media_type=f"{_MARKDOWN}; charset=utf-8")
        body = {"days": days, "step": step_of(days), "made_at": made_at, "agents": agents}
        return Response(msgspec.json.encode(body), media_type="application/json")

    return router
