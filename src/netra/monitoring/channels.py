"""The channels that notices go out through: mail, chat, webhooks and a hundred more, each an Apprise URL.

Such a URL holds passwords and tokens. It is therefore never logged, printed or put into an error: a channel is named
by its kind and its position (`mailto 1`), and what the library says about a failure has every part of the URL removed.
Sending happens in a few threads, each try bounded by the time limits of the library.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from urllib.parse import unquote

import structlog

from netra.errors import ConfigurationError, NetraError

from .logs import REDACTED, redact

log = structlog.get_logger(__name__)

Kind = Literal["info", "success", "warning", "failure"]
"""The colour of a message, for channels that show one."""

SENDERS = 4
CONNECT_SECONDS = 10
"""For a channel whose URL says nothing else (`cto`, `rto`)."""
_URL = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PIECES = re.compile(r"[\w.~+-]{4,}")


class DeliveryFailed(NetraError):
    """A channel did not take a message; says why as far as that is known."""

    code = "delivery_failed"


class Channel:
    """One place that messages go to.

    Args:
        url: as Apprise reads it.
        number: its position in the settings, from 1.

    Raises:
        ConfigurationError: Apprise does not know such a URL.
    """

    def __init__(self, url: str, number: int) -> None:
        apprise = _library()
        match = _URL.match(url)
        self.name = f"{match[1].lower() if match else 'channel'} {number}"
        self._secrets = _pieces(url, match[1] if match else "")
        asset = apprise.AppriseAsset(app_id="Netra", app_desc="Netra", app_url="", async_mode=False)
        limits = "".join(f"&{name}={CONNECT_SECONDS}" for name in ("cto", "rto") if f"{name}=" not in url)
        limited = url + (limits if "?" in url else f"?{limits[1:]}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # plugins, loaded here, import imghdr where it is left
            plugin = apprise.Apprise.instantiate(limited, asset=asset)
        if plugin is None:
            raise ConfigurationError(
                f"The alert channel {self.name} cannot be used: its URL is not one that Apprise reads.",
                hint="Correct it in alert_urls. The forms of each kind are in Apprise's documentation.",
            )
        self._plugin: Any = plugin

    def send(self, title: str, body: str, kind: Kind = "info", attachment: Path | None = None) -> None:
        """Send one message. Blocks.

        Args:
            attachment: a file, for channels that take one; the others send the text alone.

        Raises:
            DeliveryFailed: it did not go out.
        """
        options: dict[str, Any] = {"body": body, "title": title, "notify_type": kind}
        if attachment is not None and self._plugin.attachment_support:
            options["attach"] = _library().AppriseAttachment(str(attachment))
        _collector.begin()
        try:
            sent = self._plugin.notify(**options)
        except Exception as error:  # noqa: BLE001  # whatever a plugin of the library raises
            raise DeliveryFailed(self.clean(f"{self.name}: {type(error).__name__}: {error}")) from None
        if not sent:
            said = "; ".join(_collector.end()) or "the other side did not take it"
            raise DeliveryFailed(self.clean(f"{self.name}: {said}"))

    def clean(self, text: str) -> str:
        """`text` without any part of the URL."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return redact(text)[:500]


class Channels:
    """All channels, and the threads that send. `stop` ends the threads.

    Args:
        urls: the setting `alert_urls`.

    Raises:
        ConfigurationError: one of them cannot be used.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._channels = tuple(Channel(url, number) for number, url in enumerate(urls, 1))
        self._threads = ThreadPoolExecutor(min(SENDERS, len(urls)), thread_name_prefix="netra-alerts") if urls else None

    @property
    def names(self) -> tuple[str, ...]:
        """How the channels are called."""
        return tuple(channel.name for channel in self._channels)

    async def send(
        self,
        title: str,
        body: str,
        kind: Kind = "info",
        attachment: Path | None = None,
        *,
        only: Sequence[str] | None = None,
    ) -> dict[str, DeliveryFailed | None]:
        """Send through all channels at once, or those named in `only`; by name, None or why it failed."""
        chosen = [channel for channel in self._channels if only is None or channel.name in only]
        if not chosen:
            return {}
        assert self._threads is not None
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(
            *(loop.run_in_executor(self._threads, channel.send, title, body, kind, attachment) for channel in chosen),
            return_exceptions=True,
        )
        outcome: dict[str, DeliveryFailed | None] = {}
        for channel, result in zip(chosen, results, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, DeliveryFailed):
                raise result
            outcome[channel.name] = result
        return outcome

    async def stop(self) -> None:
        """Wait for what is being sent. Safe to call twice."""
        threads, self._threads = self._threads, None
        self._channels = ()
        if threads is not None:
            await asyncio.to_thread(threads.shutdown)


def _pieces(url: str, scheme: str) -> list[str]:
    """Every part of a URL that could tell a secret, the longest first, as written and as meant."""
    rest = url[len(scheme) :]
    found = {piece for form in (rest, unquote(rest)) for piece in _PIECES.findall(form)}
    found |= {part for form in (rest, unquote(rest)) for part in re.split(r"[/:@?&=]+", form) if len(part) >= 4}
    return sorted(found, key=len, reverse=True)


class _Collector(logging.Handler):
    """Keeps what the library says while a thread sends, and lets nothing of it into the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said = threading.local()

    def begin(self) -> None:
        """Forget what was said before in this thread."""
        self._said.lines = []

    def end(self) -> list[str]:
        """What was said since."""
        lines: list[str] = getattr(self._said, "lines", [])
        return lines

    def emit(self, record: logging.LogRecord) -> None:
        getattr(self._said, "lines", []).append(record.getMessage())


_collector = _Collector()


def _library() -> ModuleType:
    """Apprise, imported when a channel is made; it costs a fifth of a second.

    Its lines, and those of its HTTP client, which name the URL, are kept out of the log.
    """
    import apprise

    for name, level in (("apprise", logging.WARNING), ("urllib3", logging.ERROR), ("requests", logging.ERROR)):
        logging.getLogger(name).setLevel(level)
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [_collector]
    logger.propagate = False
    return apprise
