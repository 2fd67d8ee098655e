"""Channels: a real mail server, a real webhook, and no word of what their URLs hold."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from netra.errors import ConfigurationError
from netra.monitoring import logs
from netra.monitoring.channels import Channel, Channels, DeliveryFailed
from support.alerting import MailServer, Webhook, mail_server, webhook


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def hook() -> AsyncIterator[Webhook]:
    async with webhook() as server:
        yield server


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, at the level that logs the most."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", "json", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def mail_url(mail: MailServer) -> str:
    return (
        f"mailto://robot:hunter2secret@127.0.0.1:{mail.port}/?smtp=127.0.0.1&mode=insecure"
        "&from=netra@example.com&to=ops@example.com"
    )


@pytest.mark.spec("alerts.channels")
async def test_mail_and_webhook_get_the_message(mail: MailServer, hook: Webhook) -> None:
    channels = Channels([mail_url(mail), hook.url])
    outcome = await channels.send("[critical] runs fail", "80% of the runs fail.", "failure")
    await channels.stop()
    assert outcome == {"mailto 1": None, "json 2": None}
    (message,) = mail.mails
    assert message["Subject"] == "[critical] runs fail"
    assert "ops@example.com" in message["To"]
    assert "80% of the runs fail." in message.as_string()
    (posted,) = hook.received
    assert (posted["title"], posted["message"], posted["type"]) == (
        "[critical] runs fail",
        "80% of the runs fail.",
        "failure",
    )


@pytest.mark.spec("report.mailed")
async def test_mail_carries_the_attachment(mail: MailServer, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<h1>A week</h1>")
    channels = Channels([mail_url(mail)])
    assert await channels.send("A week", "As attached.", attachment=page) == {"mailto 1": None}
    await channels.stop()
    (message,) = mail.mails
    (attachment,) = list(message.iter_attachments())
    assert attachment.get_filename() == "report.html"
    assert "A week" in str(attachment.get_content())


@pytest.mark.spec("alerts.channels")
async def test_one_channel_that_fails_does_not_hold_up_the_other(mail: MailServer, hook: Webhook) -> None:
    mail.refusing = True
    channels = Channels([mail_url(mail), hook.url])
    outcome = await channels.send("title", "body")
    await channels.stop()
    assert isinstance(outcome["mailto 1"], DeliveryFailed)
    assert outcome["json 2"] is None
    assert len(hook.received) == 1


async def test_no_secret_of_a_url_is_logged_or_told(mail: MailServer, hook: Webhook, logged: io.StringIO) -> None:
    mail.refusing, hook.status = True, 500
    dead = "json://user:topsecretpass@127.0.0.1:9/services/T0SECRET/B0SECRET"
    channels = Channels([mail_url(mail), hook.url, dead])
    outcome = await channels.send("title", "body")
    hook.status = 200
    await channels.send("title", "body")
    await channels.stop()
    told = "".join(failure.message for failure in outcome.values() if failure is not None) + logged.getvalue()
    assert all(failure is not None for failure in outcome.values())
    for secret in ("hunter2secret", "s3cretsecret", "topsecretpass", "T0SECRET", "B0SECRET"):
        assert secret not in told
        assert secret not in repr(channels.__dict__)


def test_a_url_nobody_knows_is_refused_without_being_shown() -> None:
    for url in ("nosuchkind://hunter2secret", "slack://hunter2secret/x", "mailto://"):
        with pytest.raises(ConfigurationError) as refused:
            Channel(url, 3)
        assert "hunter2secret" not in refused.value.message
        assert " 3 " in refused.value.message


async def test_no_channel_sends_nothing_and_imports_nothing() -> None:
    code = (
        "import asyncio, sys; from netra.monitoring.channels import Channels;"
        "asyncio.run(Channels([]).send('a', 'b')); sys.exit('apprise' in sys.modules)"
    )
    import sys

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0
