"""`GET /api/admin/quality`: how good every agent's answers were, for administrators, as JSON or as Markdown.

With the words that users gave with their thumbs, which the page tells them administrators see; never with a question or
an answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from netra.clock import Clock, rfc3339
from netra.gateway.http.api import Require
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.quality.measures import MOST_COMMENTS, Measures, step_of
from netra.quality.report import markdown
from netra.text import clean_text

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


class CommentModel(BaseModel):
    run_id: str
    agent: str
    rating: Literal[1, -1]
    text: str = Field(description="In the user's words.")
    given_at: str = Field(description="RFC 3339, UTC")


class QualityReportModel(BaseModel):
    days: int
    step: Literal["hour", "day"]
    made_at: str = Field(description="RFC 3339, UTC")
    agents: list[AgentQualityModel]
    comments: list[CommentModel] = Field(description=f"The newest first, at most {MOST_COMMENTS}.")


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
        """How good every agent's answers were, and what users said; as a report with `Accept: text/markdown`."""
        if agent is not None:
            agent = clean_text(agent, field="agent", max_chars=128)
        agents, comments = await measures.of_everybody(days, agent), await measures.comments(days, agent)
        made_at = rfc3339(clock.now())
        if _MARKDOWN in accept:
            text = markdown(agents, days=days, made_at=made_at, everybody=True, comments=comments)
            return Response(text, media_type=f"{_MARKDOWN}; charset=utf-8")
        body = {"days": days, "step": step_of(days), "made_at": made_at, "agents": agents, "comments": comments}
        return Response(msgspec.json.encode(body), media_type="application/json")

    return router
