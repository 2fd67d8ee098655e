"""`netra alerts`: what is wrong and was wrong, and whether the channels work."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from netra.cli.output import err, out, print_table
from netra.cli.records import read_records
from netra.cli.settings import DATA, with_settings
from netra.config import Settings

if TYPE_CHECKING:
    from netra.monitoring.incidents import Incident
    from netra.sessions import RequestScopedSessionFactory

app = typer.Typer(
    help="Alerts: list them and their rules, silence some for a while, test the channels.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
@with_settings(*DATA)
def list_alerts(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many with --all.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    *,
    settings: Settings,
) -> None:
    """List what is wrong now, the oldest first; with --all also what was, the newest first."""
    from netra.clock import rfc3339
    from netra.storage.alerts import Alerts

    async def read(database: RequestScopedSessionFactory) -> list[Incident]:
        store = Alerts(database)
        return await (store.recent(limit) if every else store.open_incidents())

    found = read_records(settings, read)

    def time(moment: datetime | None) -> str | None:
        return None if moment is None else rfc3339(moment)

    if as_json:
        shown = [
            {
                "id": incident.id,
                "rule": incident.rule,
                "key": incident.key,
                "severity": incident.severity.value,
                "summary": incident.summary,
                "details": dict(incident.details),
                "opened_at": time(incident.opened_at),
                "resolved_at": time(incident.resolved_at),
            }
            for incident in found
        ]
        out.print_json(data=shown)
        return
    if not found:
        out.print("No alert is open." if not every else "There has been no alert.")
        return
    print_table(
        ("severity", "rule", "about", "since", "over", "summary"),
        [
            (
                incident.severity.value,
                incident.rule,
                incident.key,
                f"{incident.opened_at:%Y-%m-%d %H:%M}",
                f"{incident.resolved_at:%Y-%m-%d %H:%M}" if incident.resolved_at else "",
                incident.summary,
            )
            for incident in found
        ],
    )


@app.command("rules")
@with_settings(*DATA, "alert_rules", "alert_run_failure_share", "alert_event_latency_seconds", "alert_disk_free_bytes")
def list_rules(*, settings: Settings) -> None:
    """List what a server with these settings watches, and when it fires."""
    from netra.clock import SystemClock
    from netra.monitoring.daily import Daily
    from netra.monitoring.rules import shown
    from netra.monitoring.standard import standard_rules
    from netra.sessions import RequestScopedSessionFactory
    from netra.storage import Database
    from netra.storage.run_health import RunHealth

    clock = SystemClock()
    database = RequestScopedSessionFactory(Database(settings.database), clock)  # never started: rules are only listed
    health = RunHealth(database, clock, run_seconds=settings.run_seconds, runs_running=settings.runs_running)
    print_table(
        ("rule", "severity", "fires at", "resolves at", "for", "what it watches"),
        [
            (
                rule.name,
                rule.severity.value,
                shown(rule.fires_at, rule.unit),
                shown(rule.resolves_at, rule.unit),
                f"{rule.for_seconds:g} s" if rule.for_seconds else "",
                rule.meaning,
            )
            for rule in standard_rules(settings, clock, Daily(), health)
        ],
    )


@app.command("test")
@with_settings("alert_urls", "public_url")
def test_channels(*, settings: Settings) -> None:
    """Send a test message through every channel and say what happened. Exit code 1 when one failed."""
    from netra.errors import ConfigurationError
    from netra.monitoring.channels import Channels

    if not settings.alert_urls:
        raise ConfigurationError(
            "There is no channel to test.", hint="Set alert_urls, such as mailto://user:password@example.com."
        )
    text = f"This is a test of Netra's alerts. Nothing is wrong.\n\nServer: {settings.origin}"

    async def send() -> dict[str, Any]:
        channels = Channels(settings.alert_urls)
        try:
            return dict(await channels.send("[test] Netra", text))
        finally:
            await channels.stop()

    outcome = asyncio.run(send())
    for name, failure in outcome.items():
        if failure is None:
            out.print(f"[green]sent[/]  {escape(name)}")
        else:
            err.print(f"[bold red]FAIL[/]  {escape(failure.message)}")
    if any(outcome.values()):
        raise typer.Exit(1)


@app.command("silence")
@with_settings(*DATA)
def silence(
    rule: Annotated[str, typer.Argument(help="The rule whose notices are not wanted; `netra alerts list` shows them.")],
    minutes: Annotated[int, typer.Option(min=1, max=43_200, help="For how long.")] = 60,
    note: Annotated[str, typer.Option(help="Why, for others to see.")] = "",
    key: Annotated[str | None, typer.Option(help="Only about this, as `netra alerts list` shows it.")] = None,
    *,
    settings: Settings,
) -> None:
    """Send no notices of a rule for a while. Incidents are stored and shown all the same."""
    from netra.clock import SystemClock
    from netra.errors import InvalidInput
    from netra.storage.audit import OPERATOR, AuditLog
    from netra.storage.silences import Silence, Silences

    if not note.strip():
        raise InvalidInput("Say why.", hint='Add --note "what is being done".')

    async def add(database: RequestScopedSessionFactory) -> Silence:
        clock = SystemClock()
        silences = Silences(database, clock, AuditLog(database, clock))
        return await silences.add(OPERATOR, rule, key, minutes, note)

    made = read_records(settings, add)
    about = "" if key is None else f" about {escape(key)}"
    out.print(f"No notices of {escape(rule)}{about} are sent until {made.until:%Y-%m-%d %H:%M} UTC.")
