"""`GET /api/admin/quality`: how good every agent's answers were, for administrators, as JSON or as Markdown.

With the words that users gave with their thumbs, which the page tells them administrators see; never with a question or
an answer.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from msgspec import Meta, Struct

from netra.clock import Clock, rfc3339
from netra.events import AgentQuality, Timestamp
from netra.gateway.http.api import Require
from netra.gateway.http.problems import problems
from netra.gateway.http.structs import answer, declared
from netra.identity import Principal
from netra.quality.measures import MOST_COMMENTS, Comment, Measures, step_of
from netra.quality.report import markdown
from netra.text import clean_text

_MARKDOWN = "text/markdown"


class QualityOfEverybody(Struct, frozen=True, kw_only=True):
    """How good every agent's answers were, and what users said."""

    days: int
    step: Literal["hour", "day"]
    made_at: Timestamp
    agents: list[AgentQuality]
    comments: Annotated[list[Comment], Meta(description=f"The newest first, at most {MOST_COMMENTS}")]


def quality_admin_routes(require_admin: Require, measures: Measures, clock: Clock) -> APIRouter:
    """The route.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get(
        "/quality",
        responses={
            200: {"content": {**declared(QualityOfEverybody)["content"], _MARKDOWN: {"schema": {"type": "string"}}}},
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
        return answer(
            QualityOfEverybody(days=days, step=step_of(days), made_at=made_at, agents=agents, comments=comments)
        )

    return router
