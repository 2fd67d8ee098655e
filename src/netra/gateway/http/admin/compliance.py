"""`GET /api/admin/compliance`: what `netra check` says of the running version's source, and said of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

import netra
from netra.errors import NotFound
from netra.gateway.http.api import Require
from netra.gateway.http.models import Moment
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.monitoring.checks import (
    PACKAGED,
    CheckChange,
    CheckedFinding,
    CheckedRun,
    CheckedVersion,
    PackagedCheck,
    change,
    first_runs,
    packaged,
)
from netra.storage.checked_versions import CheckedVersions

COMMAND = "netra check"

Level = Literal["error", "warning", "info"]
Commit = Annotated[str | None, Field(description="Of its source; null when that is not known.")]
Firsts = Mapping[tuple[str, str], CheckedRun]


class CheckedRuleModel(BaseModel):
    id: str
    name: str
    severity: Level
    summary: str
    result: Literal["fail", "waived", "pass"] = Field(description="Waived: all it finds is allowed.")
    findings: int
    waived: int
    exposure: int = Field(description="How many there are of what it looks at.")
    of: str = Field(description="What it looks at.")
    compliance: float = Field(description="Per cent.")


class CheckFindingModel(BaseModel):
    rule: str
    severity: Level
    path: str
    line: int
    message: str
    reason: str | None = Field(description="Why it is allowed; null when it is not.")
    since: Moment | None = Field(description="When the first version with it began to run here; null if not known.")
    since_version: str | None = Field(description="That version.")


class CheckedVersionModel(BaseModel):
    version: str
    commit: Commit
    made_at: Moment = Field(description="When the checker looked at it.")
    since: Moment = Field(description="When it began to run here.")
    score: float
    rule_set: str = Field(description="Scores compare under the same rules only.")
    findings: int
    waived: int


class CheckChangeModel(BaseModel):
    version: str = Field(description="The one that ran before.")
    commit: Commit
    score: float
    same_rules: bool
    came: list[CheckFindingModel]
    went: list[CheckFindingModel]
    waived: list[CheckFindingModel] = Field(description="Those that were not allowed before.")


class CheckModel(BaseModel):
    version: str
    commit: Commit
    made_at: Moment = Field(description="When the checker looked.")
    score: float
    scopes: dict[str, float | None]
    rule_set: str
    rules: list[CheckedRuleModel]
    findings: list[CheckFindingModel]
    waived: list[CheckFindingModel]
    change: CheckChangeModel | None = Field(description="Since the version before; null without one that can be told.")
    runs: list[CheckedVersionModel] = Field(description="Versions that ran here, the oldest first; this is the last.")


class ComplianceModel(BaseModel):
    version: str = Field(description="Of the server.")
    command: str = Field(description="How to check a checkout.")
    check: CheckModel | None = Field(description="Null when the package was made without one.")


def compliance_admin_routes(require_admin: Require, versions: CheckedVersions) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives an administrator's Principal or refuses.
        versions: what ran here.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    administrator = Depends(require_admin)

    @router.get("/compliance", responses=problems(404))
    async def compliance(_: Principal = administrator) -> ComplianceModel:
        """The checker's report on the source of this version, against the versions that ran before it."""
        report = packaged()
        check = None if report is None else _check(report, await versions.until(report.source))
        return ComplianceModel(version=netra.__version__, command=COMMAND, check=check)

    @router.get("/compliance/report", response_class=FileResponse, responses=problems(404))
    def report(_: Principal = administrator) -> FileResponse:
        """The report itself, as `netra check --format json` writes it."""
        if packaged() is None:
            raise NotFound("No check was packaged with this version.", hint=f"Run it in a checkout: {COMMAND}")
        return FileResponse(PACKAGED, media_type="application/json", filename="netra-check.json")

    return router


def _check(report: PackagedCheck, runs: list[CheckedRun]) -> CheckModel:
    firsts, changed = first_runs(runs), change(runs)
    waived = [each.rule for each in report.waived]
    return CheckModel(
        version=report.version,
        commit=report.commit,
        made_at=report.made_at,
        score=report.score,
        scopes={name: scope.score for name, scope in report.scopes.items()},
        rule_set=report.rule_set,
        rules=[
            CheckedRuleModel(
                id=rule.id,
                name=rule.name,
                severity=rule.severity,
                summary=rule.summary,
                result="fail" if rule.findings else "waived" if rule.id in waived else "pass",
                findings=rule.findings,
                waived=waived.count(rule.id),
                exposure=rule.exposure,
                of=rule.of,
                compliance=rule.compliance,
            )
            for rule in report.rules
        ],
        findings=[_finding(each, firsts) for each in report.findings],
        waived=[_finding(each, firsts) for each in report.waived],
        change=None if changed is None else _change(changed, runs[-1].check, firsts),
        runs=[CheckedVersionModel(since=run.since, **_named(run.check)) for run in runs],
    )


def _named(check: CheckedVersion) -> dict[str, object]:
    names = CheckedVersionModel.model_fields.keys() - {"since"}
    return {name: getattr(check, name) for name in names}


def _change(changed: CheckChange, now: CheckedVersion, firsts: Firsts) -> CheckChangeModel:
    before = changed.before.check
    return CheckChangeModel(
        version=before.version,
        commit=before.commit,
        score=before.score,
        same_rules=before.rule_set == now.rule_set,
        came=[_finding(each, firsts) for each in changed.came],
        went=[_finding(each, {}) for each in changed.went],
        waived=[_finding(each, firsts) for each in changed.waived],
    )


def _finding(each: CheckedFinding, firsts: Firsts) -> CheckFindingModel:
    first = firsts.get(each.key)
    return CheckFindingModel(
        rule=each.rule,
        severity=each.severity,
        path=each.path,
        line=each.line,
        message=each.message,
        reason=each.reason,
        since=None if first is None else first.since,
        since_version=None if first is None else first.check.version,
    )
