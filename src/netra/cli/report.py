"""`netra report`: the weekly report, for the terminal, for programs, as a page, or sent through the alert channels."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from netra.cli.output import err, out, print_table
from netra.cli.records import read_records
from netra.cli.settings import DATA, with_settings
from netra.config import Settings

if TYPE_CHECKING:
    from netra.monitoring.report import WeeklyReport
    from netra.sessions import RequestScopedSessionFactory

EARLIEST = 1970


@with_settings(*DATA, "alert_urls")
def command(
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Last day of the week, in UTC. Default: today."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    page: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page.")] = None,
    checks: Annotated[
        Path | None,
        typer.Option(
            "--checks",
            metavar="FILE",
            help="Take its score from a history of `netra check`.",
        ),
    ] = None,
    send: Annotated[bool, typer.Option("--send", help="Send it through the alert channels.")] = False,
    *,
    settings: Settings,
) -> None:
    """Report on a week of this server against the week before, from its own records."""
    from netra.clock import SystemClock
    from netra.errors import ConfigurationError, InvalidInput
    from netra.monitoring.report import as_json as json_of
    from netra.monitoring.report import as_page, as_rows, title

    last = SystemClock().now().date() if until is None else until.date()
    if last.year < EARLIEST:
        raise InvalidInput(f"There are no records of {last}.", hint=f"Name a day of {EARLIEST} or later.")
    if send and not settings.alert_urls:
        raise ConfigurationError("There is no channel to send it through.", hint="Set alert_urls; see: netra alerts")
    report = _read(settings, last, None if checks is None else _scores(checks, last))
    if page is not None:
        try:
            page.write_text(as_page(report), encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{page} cannot be written: {error.strerror}.", hint="Name another file.") from None
    if as_json:
        out.print_json(data=json_of(report))
    elif page is None and not send:
        out.print(title(report), style="bold")
        print_table(("figure", "this week", "week before", "change"), as_rows(report))
    if send and not _send(settings, report):
        raise typer.Exit(1)


def _scores(checks: Path, last: date) -> tuple[float | None, float | None]:
    from netra.compliance.history import weekly_scores
    from netra.errors import InvalidInput

    if not checks.is_file():
        raise InvalidInput(f"There is no file {checks}.", hint=f"Write one: netra check --history {checks}")
    return weekly_scores(checks, last)


def _read(settings: Settings, last: date, scores: tuple[float | None, float | None] | None) -> WeeklyReport:
    from netra.clock import SystemClock
    from netra.monitoring.report import DAYS, weekly
    from netra.storage.checked_versions import CheckedVersions
    from netra.storage.figures import DailyFigures

    async def read(database: RequestScopedSessionFactory) -> WeeklyReport:
        compliance = scores or await CheckedVersions(database, SystemClock()).weekly_scores(last)
        stored = await DailyFigures(database).between(last - timedelta(days=2 * DAYS - 1), last)
        return weekly(stored, last, compliance)

    return read_records(settings, read)


def _send(settings: Settings, report: WeeklyReport) -> bool:
    """Send the report as text, with the page attached where a channel takes files. Whether every channel took it."""
    from netra.monitoring.channels import Channels
    from netra.monitoring.report import as_page, as_text, title

    async def send(attachment: Path) -> dict[str, str | None]:
        channels = Channels(settings.alert_urls)
        try:
            outcome = await channels.send(title(report), as_text(report), attachment=attachment)
        finally:
            await channels.stop()
        return {name: None if failure is None else failure.message for name, failure in outcome.items()}

    with TemporaryDirectory(prefix="netra-report-") as directory:
        attachment = Path(directory) / f"netra-report-{report.last}.html"
        attachment.write_text(as_page(report), encoding="utf-8")
        outcome = asyncio.run(send(attachment))
    for name, failure in outcome.items():
        if failure is None:
            err.print(f"sent to {name}", markup=False)
        else:
            err.print(f"not sent: {failure}", markup=False)
    return not any(outcome.values())
