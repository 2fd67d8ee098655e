"""The HTTP API over feedback: a thumb and a few words on an answer, given, read and taken back by who asked."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, field_validator

from netra.chat.feedback import TEXT_CHARS, Feedback, Rating
from netra.identity import Principal
from netra.text import clean_id

from .api import Require
from .body import JsonRoute
from .models import Body, Moment
from .problems import problems


class FeedbackBody(Body):
    rating: Literal[1, -1] = Field(description="1 for a thumb up, -1 for a thumb down.")
    text: str | None = Field(None, description=f"In the user's words, at most {TEXT_CHARS:,} characters.")

    @field_validator("rating", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return None if isinstance(value, bool) else value  # to Python, true equals 1


class FeedbackModel(BaseModel):
    run_id: str
    rating: Literal[1, -1]
    text: str = Field(description="Empty when there were no words with it.")
    created_at: Moment
    updated_at: Moment

    @classmethod
    def of(cls, rating: Rating) -> FeedbackModel:
        return cls.model_validate(rating, from_attributes=True)


class FeedbackList(BaseModel):
    items: list[FeedbackModel]


def feedback_routes(require: Require, feedback: Feedback) -> APIRouter:
    """The routes.

    Args:
        require: the dependency that gives the caller's Principal or refuses.
    """
    router = APIRouter(prefix="/api", route_class=JsonRoute, tags=["feedback"])
    signed_in = Depends(require)

    @router.put("/runs/{run_id}/feedback", responses=problems(401, 403, 404, 409, 413, 422))
    async def give_feedback(run_id: str, body: FeedbackBody, caller: Principal = signed_in) -> FeedbackModel:
        """Say what an answer was worth. What was said of it before is replaced; 409 while the run goes on."""
        return FeedbackModel.of(await feedback.give(caller.scope, clean_id(run_id), body.rating, body.text or ""))

    @router.get("/runs/{run_id}/feedback", responses=problems(401, 404, 422))
    async def read_feedback(run_id: str, caller: Principal = signed_in) -> FeedbackModel:
        """What the caller said of one answer; 404 when that was nothing."""
        return FeedbackModel.of(await feedback.of_run(caller.scope, clean_id(run_id)))

    @router.delete("/runs/{run_id}/feedback", status_code=204, responses=problems(401, 403, 404, 422))
    async def take_back_feedback(run_id: str, caller: Principal = signed_in) -> None:
        """Forget what the caller said of an answer."""
        await feedback.take_back(caller.scope, clean_id(run_id))

    @router.get("/threads/{thread_id}/feedback", responses=problems(401, 404, 422))
    async def list_feedback(thread_id: str, caller: Principal = signed_in) -> FeedbackList:
        """What the caller said of the answers of a thread, the newest first."""
        found = await feedback.of_thread(caller.scope, clean_id(thread_id))
        return FeedbackList(items=[FeedbackModel.of(rating) for rating in found])

    return router
