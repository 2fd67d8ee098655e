"""`GET /api/admin/sessions`: the sessions of the database and of users, for administrators.

What the figures mean is in `netra.sessions.activity` and docs/guides/sessions.md.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from netra.gateway.http.api import Limit, Require
from netra.gateway.http.models import Moment
from netra.gateway.http.problems import problems
from netra.identity import Principal
from netra.sessions.activity import WINDOW_DAYS, Stage, Summary, UserActivity
from netra.sessions.identifiers import UserID
from netra.sessions.metrics import DatabaseSessionMetrics
from netra.sessions.provider import DatabaseSessions, OpenSession, SessionReport, UnifiedSessionMetricsProvider
from netra.storage.audit import AuditLog
from netra.text import clean_id

from .accounts import actor_of


class PoolModel(BaseModel):
    size: int = Field(description="Connections at most.")
    checked_out: int = Field(description="In use at this moment.")
    checkouts: int
    waits: int = Field(description="Times somebody had to wait for a connection.")
    exhausted: int = Field(description="Times somebody waited in vain.")
    invalidated: int = Field(description="Connections that were lost or taken back.")
    wait_seconds: float


class DatabaseSessionModel(BaseModel):
    session_id: str
    request_id: str
    user_id: str = Field(description="Empty for the server's own work.")
    state: str
    created_at: Moment
    last_activity: Moment
    queries: int
    transactions: int
    errors: int
    age_seconds: float

    @classmethod
    def of(cls, session: DatabaseSessionMetrics) -> DatabaseSessionModel:
        return cls(
            session_id=session.session_id,
            request_id=session.request_id,
            user_id=session.user_id,
            state=session.state.value,
            created_at=session.created_at,
            last_activity=session.last_activity,
            queries=session.query_count,
            transactions=session.transaction_count,
            errors=session.error_count,
            age_seconds=session.get_age_seconds(),
        )


class DatabaseSessionsModel(BaseModel):
    health: Literal["healthy", "degraded", "unhealthy"]
    reasons: list[str] = Field(description="Why the health is not better.")
    open: int
    by_state: dict[str, int] = Field(description="Open sessions by state.")
    peak: int = Field(description="The most that were open at once.")
    attempted: int
    succeeded: int
    failed: int
    ended: int
    average_seconds: float | None
    longest_seconds: float | None
    commits: int
    rollbacks: int
    errors: dict[str, int] = Field(description="Failures by kind.")
    leaks: int = Field(description="Connections that were held too long and taken back.")
    exhausted: int
    breaker_trips: int
    pools: dict[str, PoolModel]
    oldest_open: DatabaseSessionModel | None

    @classmethod
    def of(cls, found: DatabaseSessions) -> DatabaseSessionsModel:
        pools = {name: PoolModel.model_validate(pool, from_attributes=True) for name, pool in found.pools.items()}
        return cls(
            health=found.health,
            reasons=list(found.reasons),
            pools=pools,
            oldest_open=DatabaseSessionModel.of(found.oldest) if found.oldest is not None else None,
            **found.figures.to_dict(),
        )


class LiveModel(BaseModel):
    total_sessions: int = Field(description="Sessions since the server began.")
    active_sessions: int = Field(description="Those that have not ended.")
    expired_sessions_cleaned: int
    sessions_created_today: int
    sessions_reused_today: int
    average_session_duration_minutes: float | None
    memory_usage_mb: float | None
    last_activity: Moment


class RetentionModel(BaseModel):
    day: int = Field(description="Days after a user was first seen.")
    users: int = Field(description="First seen long enough ago to tell.")
    returned: int = Field(description="Those of them who were active on that day.")
    share: float | None


class UsersSummaryModel(BaseModel):
    users: int
    last_activity: Moment | None
    active_users: dict[int, int] = Field(description="Users active in the last days, by number of days.")
    sessions: int
    messages: int
    runs: int
    runs_succeeded: int
    minutes_per_session: float | None
    features: dict[str, int] = Field(description="Uses of each feature.")
    quality: float | None = Field(description="Of the answers, 0 to 100; null when none was judged.")
    engagement: float | None = Field(
        description=f"Mean over the users active in {WINDOW_DAYS} days, 0 to 100; null without any."
    )
    conversion: dict[Stage, int] = Field(description="Users that came at least as far as each stage.")
    retention: list[RetentionModel]

    @classmethod
    def of(cls, found: Summary) -> UsersSummaryModel:
        return cls.model_validate(found, from_attributes=True)


class SessionsModel(BaseModel):
    at: Moment
    last_activity: Moment = Field(description="Of anybody; or when the server began.")
    database: DatabaseSessionsModel
    live: LiveModel
    users: UsersSummaryModel

    @classmethod
    def of(cls, report: SessionReport) -> SessionsModel:
        return cls(
            at=report.at,
            last_activity=report.last_activity,
            database=DatabaseSessionsModel.of(report.database),
            live=LiveModel.model_validate(report.live, from_attributes=True),
            users=UsersSummaryModel.of(report.users),
        )


class UserActivityModel(BaseModel):
    user_id: str
    email: str
    signed_up_at: Moment
    first_seen_at: Moment | None
    last_activity: Moment | None
    sessions: int
    messages: int
    runs: int
    runs_succeeded: int
    active_days: int
    features: dict[str, int]
    quality: float | None = Field(description="Of the answers they got, 0 to 100; null when none was judged.")
    engagement: float = Field(description="0 to 100.")
    stage: Stage = Field(description="How far they came.")

    @classmethod
    def of(cls, found: UserActivity) -> UserActivityModel:
        return cls.model_validate(found, from_attributes=True)


class UserActivityList(BaseModel):
    items: list[UserActivityModel]
    next_cursor: str | None


class OpenSessionModel(BaseModel):
    id: str
    request_id: str
    user_id: str = Field(description="Empty for the server's own work.")
    run_id: str | None
    state: str
    opened_at: Moment
    age_seconds: float
    held_seconds: float | None = Field(description="For how long it has had its oldest connection; null without one.")
    last_statement_kind: str | None = Field(description="SELECT, INSERT and so on.")
    leaked: bool = Field(description="A connection of it is held for longer than allowed, or was taken back.")

    @classmethod
    def of(cls, found: OpenSession) -> OpenSessionModel:
        one = found.metrics
        return cls(
            id=one.session_id,
            request_id=one.request_id,
            user_id=one.user_id,
            run_id=found.run_id,
            state=one.state.value,
            opened_at=one.created_at,
            age_seconds=one.get_age_seconds(),
            held_seconds=found.held_seconds,
            last_statement_kind=found.statement_kind,
            leaked=found.leaked,
        )


class OpenSessionList(BaseModel):
    items: list[OpenSessionModel]


def sessions_admin_routes(
    require_admin: Require, sessions: UnifiedSessionMetricsProvider, audit: AuditLog
) -> APIRouter:
    """The routes.

    Args:
        require_admin: the dependency that gives the administrator's Principal or refuses.
        sessions: where the figures come from.
        audit: told when one is ended.
    """
    router = APIRouter(prefix="/api/admin", tags=["admin"])
    admin = Depends(require_admin)

    @router.get("/sessions", responses=problems(404))
    async def session_figures(caller: Principal = admin) -> SessionsModel:
        """The sessions of the database at this moment, and what all users do."""
        return SessionsModel.of(await sessions.report())

    @router.get("/sessions/database", responses=problems(404))
    async def open_sessions(caller: Principal = admin) -> OpenSessionList:
        """The database sessions of this process that are open at this moment, the oldest first."""
        return OpenSessionList(items=[OpenSessionModel.of(each) for each in sessions.open_sessions()])

    @router.post("/sessions/database/{session_id}/end", status_code=204, responses=problems(404))
    async def end_session(session_id: str, caller: Principal = admin) -> None:
        """Take a database session's connections back. Whoever works with it gets an error."""
        name = clean_id(session_id)
        await audit.note(actor_of(caller), "database_session.end", name)
        await sessions.end_session(name)

    @router.get("/sessions/users", responses=problems(404, 422))
    async def user_sessions(
        caller: Principal = admin, limit: Limit = 50, cursor: Annotated[str | None, Query()] = None
    ) -> UserActivityList:
        """Users one by one, the newest first."""
        after = clean_id(cursor, field="cursor") if cursor else None
        found, more = await sessions.users(limit=limit, cursor=after)
        return UserActivityList(items=[UserActivityModel.of(user) for user in found], next_cursor=more)

    @router.get("/sessions/users/{user_id}", responses=problems(404, 422))
    async def sessions_of_user(user_id: str, caller: Principal = admin) -> UserActivityModel:
        """One user."""
        return UserActivityModel.of(await sessions.user(UserID(clean_id(user_id))))

    return router
