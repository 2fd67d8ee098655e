"""The plugins of pytest that a pytest in a process of its own needs, for tests that start one.

Loading all that are installed, with the browser's and the API tester's libraries behind them, takes ten times as long
as everything such a test wants to see.
"""

from __future__ import annotations

ONLY_NEEDED = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_asyncio.plugin,pytest_timeout"}
"""Variables of the environment: the plugins whose settings are in pyproject.toml, and no other."""
