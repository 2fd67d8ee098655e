"""Rules for browser tests: where Chromium is, how it starts, and that a clean console is part of every test."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, WebError

ARGUMENTS = [
    "--no-sandbox",  # tests may run as root
    "--disable-background-networking",  # no calls of its own to hosts outside
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    "--no-first-run",
]
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_REPORT_VIOLATIONS = (
    "document.addEventListener('securitypolicyviolation', event =>"
    " console.error(`CSP violation: ${event.effectiveDirective} ${event.blockedURI}`))"
)


def chromium() -> str | None:
    """The path of a Chromium: `NETRA_CHROMIUM`, or one on PATH."""
    named = os.environ.get("NETRA_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass  # without slots: Playwright keeps its own note on whoever listens
class Console:
    """What pages complained about. A complaint that no `allow` pattern matches fails the test."""

    complaints: list[str] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)

    def allow(self, pattern: str) -> None:
        """Expect complaints that match, such as the browser's own line about a refused sign-in."""
        self.allowed.append(re.compile(pattern))

    def watch(self, context: BrowserContext) -> None:
        """Collect errors, warnings, uncaught exceptions and CSP violations of every page of `context`."""
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)

    @property
    def unexpected(self) -> list[str]:
        """The complaints nobody allowed."""
        return [text for text in self.complaints if not any(pattern.search(text) for pattern in self.allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")


def accessibility_violations(page: Page) -> list[Any]:
    """What axe finds against WCAG 2.2 AA and its best practices: rule, impact, and where."""
    return _axe(page, {"type": "tag", "values": AXE_RULES})


def colour_violations(page: Page) -> list[Any]:
    """What of it depends on colours alone, once they have changed."""
    page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
    return _axe(page, {"type": "rule", "values": ["color-contrast", "link-in-text-block"]})


def _axe(page: Page, rules: dict[str, Any]) -> list[Any]:
    from axe_playwright_python.sync_playwright import Axe

    response = Axe().run(page, options={"runOnly": rules}).response
    return [(v["id"], v["impact"], [node["target"] for node in v["nodes"]][:5]) for v in response["violations"]]
