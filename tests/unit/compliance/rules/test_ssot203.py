"""SSOT203 always-fallback: the import behind a guard can never succeed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

IMPORTS = {"select": ["SSOT201", "SSOT202", "SSOT203"]}
APP = {
    "app/__init__.py": "",
    "app/limits.py": "class RateLimiter:\n    def allow(self, user):\n        return user.ok\n",
}
HOLLOW = """
    try:
        from app.rate_limits import RateLimiter
    except ImportError:
        class RateLimiter:
            def allow(self, user):
                return True
"""


def test_a_fallback_that_only_gives_constants_is_an_error(tmp_path: Path) -> None:
    found = one(check(tmp_path, {**APP, "app/main.py": HOLLOW}, IMPORTS), "SSOT203")
    assert found.severity == "error"
    assert found.place.line == 2
    assert "there is no app.rate_limits" in found.message
    assert "RateLimiter only ever gives constants" in found.message
    assert found.hint == "Import it from app.limits, and remove the fallback."


@pytest.mark.parametrize(
    "fallback", ["RateLimiter = None", "pass", "class RateLimiter:\n        def a(self, x): return x + 1"]
)
def test_other_fallbacks_are_warnings(tmp_path: Path, fallback: str) -> None:
    text = f"try:\n    from app.limits import Limiter\nexcept (ImportError, OSError):\n    {fallback}\n"
    found = one(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS), "SSOT203")
    assert found.severity == "warning"
    assert "app.limits has no Limiter" in found.message


def test_one_attempt_with_several_broken_imports_is_one_finding(tmp_path: Path) -> None:
    text = "try:\n    from app.a import x\n    from app.b import y\nexcept ImportError:\n    x = y = None\n"
    one(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS), "SSOT203")


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("from ujson import loads", id="another distribution"),
        pytest.param("from app.limits import RateLimiter", id="succeeds"),
        pytest.param("from app._speedups import fast", id="compiled somewhere else"),
        pytest.param("from app.local_settings import *", id="a file users add"),
        pytest.param("from app.hooks.after_answer import after_answer", id="a hook users add"),
    ],
)
def test_a_fallback_that_may_not_run_is_none(tmp_path: Path, attempt: str) -> None:
    text = f"try:\n    {attempt}\nexcept ImportError:\n    pass\n"
    assert ids(check(tmp_path, {**APP, "app/main.py": text}, IMPORTS)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_module_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**APP, "app/main.py": text}, IMPORTS), "SSOT203").fingerprint

    text = "try:\n    import app.a\nexcept ImportError:\n    pass\n"
    assert fingerprint("a", text) == fingerprint("b", "import os\n\n" + text)
    assert fingerprint("c", text.replace("app.a", "app.b")) != fingerprint("d", text)
