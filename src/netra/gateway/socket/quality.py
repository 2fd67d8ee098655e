"""The quality messages of a socket: handlers on the one router, and alerts to who subscribed.

Users see figures of their own runs and hear of findings in their own answers. Administrators see everybody's figures,
which carry no text of anybody, and hear of agents that got worse; of answers, they too hear of their own only.
"""

from __future__ import annotations

import asyncio

from netra.clock import Clock, rfc3339
from netra.events import (
    Ack,
    AgentQuality,
    ContentValidation,
    GenerateQualityReport,
    GetQualityMetrics,
    QualityAlert,
    QualityFinding,
    QualityMetrics,
    QualityReport,
    SubscribeQualityAlerts,
    ValidateContent,
)
from netra.identity.principal import ADMIN
from netra.quality import check_answer, score
from netra.quality.course import CourseTurn
from netra.quality.measures import Measures, step_of
from netra.quality.monitor import Checked
from netra.quality.report import markdown
from netra.routing import MessageRouter
from netra.text import clean_text

from .hub import Connection, Hub

UNSENT_BYTES = 256 * 1024
"""A reader with more than this to read gets no alert: alerts are news, and the figures can be asked for."""


class QualityCommands:
    """The handlers. `register` puts them into the router; `checked` and `turned` are told by the quality monitor."""

    def __init__(self, hub: Hub, measures: Measures, clock: Clock) -> None:
        self._hub = hub
        self._measures = measures
        self._clock = clock
        self._subscribers: set[str] = set()

    def register(self, router: MessageRouter[Connection]) -> None:
        """Add every command to the router."""
        router.register(GetQualityMetrics, self.get_quality_metrics)
        router.register(SubscribeQualityAlerts, self.subscribe_quality_alerts)
        router.register(ValidateContent, self.validate_content)
        router.register(GenerateQualityReport, self.generate_quality_report)

    async def get_quality_metrics(self, connection: Connection, command: GetQualityMetrics) -> QualityMetrics:
        agent = None
        if command.agent is not None:
            agent = clean_text(command.agent, field="agent", max_chars=128, min_chars=1)
        return QualityMetrics(
            id=command.id,
            everybody=_is_admin(connection),
            days=command.days,
            step=step_of(command.days),
            agents=await self._figures(connection, command.days, agent),
        )

    async def subscribe_quality_alerts(self, connection: Connection, command: SubscribeQualityAlerts) -> Ack:
        # Forget those that have gone, so that no more are kept than there are connections.
        self._subscribers &= {each.id for each in self._hub.connections()}
        if command.on:
            self._subscribers.add(connection.id)
        else:
            self._subscribers.discard(connection.id)
        return Ack(id=command.id)

    async def validate_content(self, connection: Connection, command: ValidateContent) -> ContentValidation:
        found = await asyncio.to_thread(
            check_answer,
            command.content,
            tool_results=[(each.name, each.result) for each in command.tool_results],
            previous=command.previous,
            plain=command.kind == "plain",
        )
        findings = [QualityFinding(kind=each.kind, detail=each.detail) for each in found]
        return ContentValidation(id=command.id, score=score(found), findings=findings)

    async def generate_quality_report(self, connection: Connection, command: GenerateQualityReport) -> QualityReport:
        agents = await self._figures(connection, command.days, None)
        made_at, everybody = rfc3339(self._clock.now()), _is_admin(connection)
        return QualityReport(
            id=command.id,
            everybody=everybody,
            days=command.days,
            made_at=made_at,
            agents=agents,
            markdown=markdown(agents, days=command.days, made_at=made_at, everybody=everybody),
        )

    def checked(self, checked: Checked) -> None:
        """An answer was checked: tell its owner's subscribed connections what is wrong with it, if anything is."""
        if not checked.findings:
            return
        alert = QualityAlert(
            alert="finding",
            agent=checked.agent,
            summary=checked.findings[0].detail,
            score=checked.score,
            run_id=checked.run_id,
            thread_id=checked.thread_id,
            findings=[QualityFinding(kind=each.kind, detail=each.detail) for each in checked.findings],
        )
        for connection in self._listening():
            if connection.principal.scope.user_id == checked.user_id:
                connection.send(alert)

    def turned(self, agent: str, turn: CourseTurn) -> None:
        """An agent got worse or is back: tell the administrators' subscribed connections."""
        alert = QualityAlert(
            alert=turn.kind,
            agent=agent,
            summary=turn.words(agent),
            score=round(turn.recent, 1),
            before=round(turn.before, 1),
        )
        for connection in self._listening():
            if _is_admin(connection):
                connection.send(alert)

    def _listening(self) -> list[Connection]:
        if not self._subscribers:
            return []
        return [
            each
            for each in self._hub.connections()
            if each.id in self._subscribers and each.transport.unsent <= UNSENT_BYTES
        ]

    async def _figures(self, connection: Connection, days: int, agent: str | None) -> list[AgentQuality]:
        if _is_admin(connection):
            return await self._measures.of_everybody(days, agent)
        return await self._measures.of_user(connection.principal.scope, days, agent)


def _is_admin(connection: Connection) -> bool:
    return ADMIN in connection.principal.scope.roles
