"""`GET /ops/report`: the weekly report as a page, the same as `netra report` prints, for administrators."""

from __future__ import annotations

from base64 import b64encode
from datetime import date, timedelta
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from netra.clock import Clock
from netra.gateway.http.api import Require
from netra.identity import Principal
from netra.monitoring.report import DAYS, STYLE, as_page, weekly
from netra.storage.checked_versions import CheckedVersions
from netra.storage.figures import DailyFigures

EARLIEST = date(1970, 1, 15)
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def report_routes(require_admin: Require, figures: DailyFigures, versions: CheckedVersions, clock: Clock) -> APIRouter:
    """The route.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
        versions: what ran here, for the checker's score.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/ops/report")
    async def weekly_report(
        _: Principal = Depends(require_admin), until: Annotated[date | None, Query(ge=EARLIEST)] = None
    ) -> Response:
        last = until or clock.now().date()
        stored = await figures.between(last - timedelta(days=2 * DAYS - 1), last)
        page = as_page(weekly(stored, last, await versions.weekly_scores(last)))
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
        return Response(page, media_type="text/html", headers=headers)

    return router
