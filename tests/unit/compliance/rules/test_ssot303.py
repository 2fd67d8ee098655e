"""SSOT303 missing-in-error-path, and the case that the checker exists for: an error handler reads the wrong twin."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULES = {"select": ["SSOT301", "SSOT302", "SSOT303"]}
TWINS = {
    "app/__init__.py": "",
    "app/a.py": """
        from __future__ import annotations

        from collections.abc import Iterator
        from contextlib import contextmanager
        from dataclasses import dataclass


        @dataclass
        class SessionMetrics:
            last_activity_at: float
            query_count: int
            error_count: int


        def make_metrics() -> SessionMetrics:
            return SessionMetrics(0.0, 0, 0)


        @contextmanager
        def measured() -> Iterator[SessionMetrics]:
            yield make_metrics()
    """,
    "app/b.py": """
        from dataclasses import dataclass


        @dataclass
        class SessionMetrics:
            last_activity: float
            operations_count: int
            errors: int
    """,
}
THIRD = """
    from app.a import SessionMetrics, make_metrics, measured


    def parameter(metrics: SessionMetrics) -> None:
        try:
            work()
        except Exception:
            print(metrics.last_activity)  # wrong


    def local_variable() -> None:
        metrics = SessionMetrics(0.0, 0, 0)
        try:
            work()
        except Exception:
            print(metrics.operations_count)  # wrong


    class Worker:
        def __init__(self) -> None:
            self.metrics = SessionMetrics(0.0, 0, 0)

        def run(self) -> None:
            try:
                work()
            except Exception:
                print(self.metrics.errors)  # wrong


    def factory() -> None:
        metrics = make_metrics()
        try:
            work()
        except Exception:
            print(metrics.last_activity)  # wrong


    def entered() -> None:
        try:
            work()
        except Exception:
            with measured() as metrics:
                print(metrics.operations_count)  # wrong


    def work() -> None:
        raise RuntimeError
"""


def wrong_lines(path: Path) -> list[int]:
    return [number for number, line in enumerate(path.read_text("utf-8").splitlines(), 1) if line.endswith("# wrong")]


def test_every_read_of_the_wrong_twin_in_an_error_path_is_reported_with_the_module_of_the_right_one(
    tmp_path: Path,
) -> None:
    report = check(tmp_path, {**TWINS, "app/c.py": THIRD}, RULES)
    assert [each.place.line for each in report.findings] == wrong_lines(tmp_path / "app/c.py")
    assert len(report.findings) == 5
    for each in report.findings:
        assert each.rule == "SSOT303"
        assert each.severity == "error"
        assert "an instance of app.a.SessionMetrics; `" in each.message
        assert each.message.endswith("` is on app.b.SessionMetrics")
        assert ("app/b.py", 5) in [(place.path, place.line) for place in each.related]


def test_the_same_reads_outside_of_error_paths_are_wrong_twins(tmp_path: Path) -> None:
    calm = THIRD.replace("    try:\n", "    if work:\n").replace("    except Exception:\n", "    else:\n")
    report = check(tmp_path, {**TWINS, "app/c.py": calm}, RULES)
    assert [each.place.line for each in report.findings] == wrong_lines(tmp_path / "app/c.py")
    assert set(ids(report)) == {"SSOT302"}


def test_the_twins_exchanged_every_read_is_right(tmp_path: Path) -> None:
    exchanged = {**TWINS, "app/a.py": TWINS["app/a.py"].replace("last_activity_at: float", "last_activity: float")}
    exchanged["app/a.py"] = (
        exchanged["app/a.py"].replace("query_count", "operations_count").replace("error_count", "errors")
    )
    assert ids(check(tmp_path, {**exchanged, "app/c.py": THIRD}, RULES)) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("try:\n        work()\n    except OSError:\n        print(thing.nam)", id="in a handler"),
        pytest.param("try:\n        work()\n    finally:\n        print(thing.nam)", id="in finally"),
    ],
)
def test_what_no_class_has_is_one_too_where_an_error_is_handled(tmp_path: Path, body: str) -> None:
    text = f"class Thing:\n    name = 'x'\n\n\ndef use(thing: Thing) -> None:\n    {body}\n"
    found = one(check(tmp_path, {"app/__init__.py": "", "app/a.py": text}, RULES), "SSOT303")
    assert "neither that nor a base class has it" in found.message
    assert any("takes the place of the error" in line for line in found.details)


def test_a_handler_that_expects_the_attribute_to_be_missing_is_right(tmp_path: Path) -> None:
    text = """
        class Thing:
            name = "x"


        def use(thing: Thing) -> None:
            try:
                thing.close()
            except AttributeError:
                pass
    """
    assert ids(check(tmp_path, {"app/__init__.py": "", "app/a.py": text}, RULES)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_attribute_changes_it(tmp_path: Path) -> None:
    text = """
        from app.a import SessionMetrics


        def show(m: SessionMetrics) -> None:
            try:
                print(1)
            except ValueError:
                print(m.errors)
    """

    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, {**TWINS, "app/c.py": text}, RULES), "SSOT303").fingerprint

    first = fingerprint("a", text)
    assert fingerprint("b", text.replace("print(1)", "failed = 1\n                print(failed)")) == first
    assert fingerprint("c", text.replace("m.errors", "m.last_activity")) != first
