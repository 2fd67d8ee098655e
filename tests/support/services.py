"""What tests may use of the real world: servers and logins, each only when its flag is given.

The gate stands where a server is started and where somebody signs in (`support.server`, `support.postgres`,
`support.accounts`, the browser of `tests/conftest.py`), so whoever writes a test need not say what it uses. Without the
flag the test is skipped there, and the reason names the flag. Outside of pytest everything is allowed.
"""

from __future__ import annotations

REAL_SERVICES = "--real-services"
AUTHENTICATED = "--authenticated"
MEANINGS = {
    REAL_SERVICES: "run tests that need servers: Netra, PostgreSQL, Chromium; without it they are skipped",
    AUTHENTICATED: "run tests in which somebody signs in at a server; without it they are skipped",
}
_refused: set[str] = set()


def allow(flag: str, allowed: bool) -> None:
    """Say whether tests may use what a flag stands for."""
    if allowed:
        _refused.discard(flag)
    else:
        _refused.add(flag)


def need(flag: str, what: str) -> None:
    """Skip the running test unless `flag` was given.

    Args:
        what: what the test is about to use, for the reason of the skip.
    """
    if flag in _refused:
        import pytest

        pytest.skip(f"needs {what}: add {flag}")
