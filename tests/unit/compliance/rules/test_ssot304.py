"""SSOT304 wrong-constructor-argument: a keyword of the class that is not called."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULE = {"select": ["SSOT304"]}
TWINS = {
    "app/__init__.py": "",
    "app/sessions.py": "class SessionMetrics:\n    def __init__(self, last_activity_at=0, queries=0):\n        pass\n",
    "app/workers.py": """
        from dataclasses import dataclass


        @dataclass
        class SessionMetrics:
            last_activity: float = 0.0
    """,
}


def test_a_keyword_of_the_namesake_is_reported_at_the_call(tmp_path: Path) -> None:
    text = "from app.sessions import SessionMetrics as Metrics\n\nmetrics = Metrics(last_activity=1)\n"
    found = one(check(tmp_path, {**TWINS, "app/main.py": text}, RULE), "SSOT304")
    assert (found.place.path, found.place.line) == ("app/main.py", 3)
    assert "app.sessions.SessionMetrics takes no `last_activity`" in found.message
    assert "app.workers.SessionMetrics does" in found.message


def test_what_a_dataclass_takes_is_known_from_its_fields(tmp_path: Path) -> None:
    text = "from app import workers\n\nmetrics = workers.SessionMetrics(queries=1)\n"
    found = one(check(tmp_path, {**TWINS, "app/main.py": text}, RULE), "SSOT304")
    assert "app.workers.SessionMetrics takes no `queries`" in found.message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("SessionMetrics(last_activity_at=1)", id="its own"),
        pytest.param("SessionMetrics(nothing=1)", id="nobody's, which a type checker says"),
        pytest.param("SessionMetrics(**{'last_activity': 1})", id="unpacked"),
    ],
)
def test_is_right(tmp_path: Path, text: str) -> None:
    files = {**TWINS, "app/main.py": f"from app.sessions import SessionMetrics\n\n{text}\n"}
    assert ids(check(tmp_path, files, RULE)) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("class SessionMetrics:\n    def __init__(self, **more):\n        pass\n", id="takes everything"),
        pytest.param("import other\n\n\nclass SessionMetrics(other.Base):\n    pass\n", id="an unseen base"),
        pytest.param(
            "class SessionMetrics:\n    def __new__(cls, **k):\n        ...\n    def __init__(self):\n        ...\n",
            id="has __new__",
        ),
        pytest.param(
            "import attr\n\n\n@attr.s\nclass SessionMetrics:\n    last_activity_at = attr.ib()\n", id="made by attrs"
        ),
    ],
)
def test_is_silent_where_the_truth_is_unknown(tmp_path: Path, body: str) -> None:
    text = "from app.sessions import SessionMetrics\n\nSessionMetrics(last_activity=1)\n"
    assert ids(check(tmp_path, {**TWINS, "app/sessions.py": body, "app/main.py": text}, RULE)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_keyword_changes_it(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        files = {**TWINS, "app/main.py": f"from app import workers\n{text}\n"}
        return one(check(tmp_path / name, files, RULE), "SSOT304").fingerprint

    first = fingerprint("a", "workers.SessionMetrics(queries=1)")
    assert fingerprint("b", "\n\nx = workers.SessionMetrics(queries=2)") == first
    assert fingerprint("c", "workers.SessionMetrics(last_activity_at=1)") != first
