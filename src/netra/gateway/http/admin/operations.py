"""`GET /api/admin/overview` and `GET /api/admin/history`: what goes on on the server, and what went on."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from netra.errors import InvalidInput
from netra.events import Operations
from netra.gateway.http.api import Require
from netra.gateway.http.models import Moment
from netra.gateway.http.problems import problems
from netra.gateway.http.structs import answer, declared
from netra.gateway.operations import OperationsDesk
from netra.identity import Principal
from netra.monitoring.history import BY_NAME, KEPT, LONG, History

MOST_MINUTES = KEPT[LONG] // timedelta(minutes=1)


class SeriesModel(BaseModel):
    name: str
    unit: Literal["", "s", "bytes"]
    kind: Literal["gauge", "count", "quantile"] = Field(
        description="What a value is: the mean within its step, how many within it, or a quantile of what it counted."
    )
    meaning: str
    values: list[float | None] = Field(description="One for each time; null where nothing was measured.")


class HistoryModel(BaseModel):
    step_seconds: int
    times: list[Moment] = Field(description="The end of each step.")
    series: list[SeriesModel]


def operations_admin_routes(require_admin: Require, desk: OperationsDesk, history: History) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get("/overview", responses={200: declared(Operations), **problems(404)})
    async def overview(_: Principal = administrator) -> Response:
        """What goes on at this moment. A socket gets it once a second after `watch_operations`."""
        return answer(await desk.now())

    @router.get("/history", responses=problems(404, 422), response_model=HistoryModel)
    async def server_history(
        _: Principal = administrator,
        minutes: Annotated[int, Query(ge=1, le=MOST_MINUTES, description="How far back.")] = 60,
        series: Annotated[list[str] | None, Query(description="Names; all of them without any.")] = None,
    ) -> Response:
        """What went on, all processes together: in steps of 10 seconds up to six hours, beyond that of 5 minutes."""
        unknown = [name for name in series or () if name not in BY_NAME]
        if unknown:
            raise InvalidInput(
                f"There is no series {unknown[0][:64]!r}.", hint=f"Series: {', '.join(BY_NAME)}.", field="series"
            )
        picture = await history.picture(minutes, tuple(dict.fromkeys(series or ())))
        shown = HistoryModel(
            step_seconds=picture.step,
            times=picture.times,
            series=[
                SeriesModel(
                    name=name,
                    unit=BY_NAME[name].unit,
                    kind=BY_NAME[name].kind,
                    meaning=BY_NAME[name].meaning,
                    values=values,
                )
                for name, values in picture.values.items()
            ],
        )
        # A month of all series is 5 MB, which a thread writes.
        return Response(await asyncio.to_thread(shown.model_dump_json), media_type="application/json")

    return router
