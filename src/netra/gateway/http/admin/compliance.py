"""`GET /api/admin/compliance`: what `netra check` says of the running version's source, made when it was packaged."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

import netra
from netra.gateway.http.api import Require
from netra.gateway.http.problems import problems
from netra.identity import Principal

VERDICT = Path(netra.__file__).with_name("_compliance.json")
"""Written by hatch_build.py."""
COMMAND = "netra check"

Level = Literal["error", "warning", "info"]


class CheckedRuleModel(BaseModel):
    id: str
    name: str
    severity: Level
    summary: str
    findings: int
    exposure: int = Field(description="How many there are of what it looks at.")
    compliance: float = Field(description="Per cent.")


class CheckFindingModel(BaseModel):
    rule: str
    severity: Level
    path: str
    line: int
    message: str


class ComplianceModel(BaseModel):
    available: bool = Field(description="False when the package was made without a check.")
    command: str = Field(description="How to make one in a checkout.")
    version: str
    score: float | None
    scopes: dict[str, float]
    rules: list[CheckedRuleModel]
    findings: list[CheckFindingModel]


def compliance_admin_routes(require_admin: Require) -> APIRouter:
    """The route.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])

    @router.get("/compliance", responses=problems(404))
    def compliance(_: Principal = Depends(require_admin)) -> ComplianceModel:
        """The checker's report on the source of this version."""
        return packaged_verdict()

    return router


@cache
def packaged_verdict() -> ComplianceModel:
    """The report that came with the package."""
    try:
        found: dict[str, Any] = json.loads(VERDICT.read_text("utf-8"))
        return ComplianceModel(
            available=True,
            command=COMMAND,
            version=netra.__version__,
            score=found["score"],
            scopes={name: scope["score"] for name, scope in found["scopes"].items()},
            rules=[CheckedRuleModel.model_validate(each) for each in found["rules"]],
            findings=[CheckFindingModel.model_validate(each) for each in found["findings"]],
        )
    except (OSError, ValueError, KeyError):
        return ComplianceModel(
            available=False, command=COMMAND, version=netra.__version__, score=None, scopes={}, rules=[], findings=[]
        )
