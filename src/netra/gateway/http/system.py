"""Health and metrics, for machines that watch the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Response

from netra.monitoring.metrics import CONTENT_TYPE, metrics

from .models import Health

Check = Callable[[], Awaitable[dict[str, str]]]


def system_routes(*, version: str, check: Check, started: Callable[[], bool]) -> APIRouter:
    """The routes.

    Args:
        started: whether every part has started.
        check: the state of each part: `ok`, or what is wrong.
    """
    router = APIRouter(tags=["system"])

    async def health(response: Response) -> Health:
        parts = await check()
        failing = any(state != "ok" for state in parts.values())
        response.status_code = 503 if failing else 200
        response.headers["Cache-Control"] = "no-store"
        return Health(status="failing" if failing else "ok", version=version, parts=parts)

    router.get("/health", responses={503: {"model": Health}})(health)
    router.get("/health/ready", responses={503: {"model": Health}}, operation_id="ready")(health)

    @router.get("/health/live")
    async def live() -> Health:
        """The process answers; nothing else is asked."""
        return Health(status="ok", version=version, parts={})

    @router.get("/health/startup", responses={503: {"model": Health}}, operation_id="startup")
    async def startup(response: Response) -> Health:
        """Whether every part has started. Asks no part, so a database that goes away later changes nothing here."""
        up = started()
        response.status_code = 200 if up else 503
        response.headers["Cache-Control"] = "no-store"
        return Health(status="ok" if up else "failing", version=version, parts={} if up else {"server": "not started"})

    @router.get("/metrics", response_class=Response)
    async def expose() -> Response:
        """The server's metrics, in Prometheus' text format."""
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return router
