"""SSOT302 wrong-twin-attribute: the class of one module is held, and what only its namesake has is read."""

from __future__ import annotations

from pathlib import Path

from support.code_base import check, ids, one

TWINS = {
    "app/__init__.py": "",
    "app/sessions.py": """
        class SessionMetrics:
            def __init__(self) -> None:
                self.last_activity_at = 0.0
                self.query_count = 0
                self.error_count = 0

            def __enter__(self) -> "SessionMetrics":
                return self

            def __exit__(self, *failure: object) -> None:
                pass


        def make_metrics() -> SessionMetrics:
            return SessionMetrics()
    """,
    "app/workers.py": """
        class SessionMetrics:
            def __init__(self) -> None:
                self.last_activity = 0.0
                self.operations_count = 0
                self.errors = 0
    """,
}
HANDLER = """
    import logging

    from app.sessions import SessionMetrics, make_metrics

    log = logging.getLogger(__name__)


    class Worker:
        def __init__(self) -> None:
            self.metrics = SessionMetrics()

        def run(self) -> None:
            try:
                work()
            except Exception:
                log.error("failed after %s", self.metrics.operations_count)


    def parameter(metrics: SessionMetrics) -> None:
        try:
            work()
        except Exception:
            log.error("failed at %s", metrics.last_activity)


    def local_variable() -> None:
        metrics = SessionMetrics()
        try:
            work()
        except Exception:
            log.error("failed: %s", metrics.errors)


    def factory() -> None:
        metrics = make_metrics()
        try:
            work()
        except Exception:
            metrics.errors += 1


    def entered() -> None:
        with SessionMetrics() as metrics:
            try:
                work()
            finally:
                log.info("last %s", metrics.last_activity)


    def work() -> None:
        raise RuntimeError
"""


def test_every_read_of_the_other_class_in_an_error_path_is_reported_at_its_line(tmp_path: Path) -> None:
    report = check(tmp_path, {**TWINS, "app/worker.py": HANDLER}, {"select": ["SSOT3"]})
    source = (tmp_path / "app/worker.py").read_text("utf-8").splitlines()
    found = {(each.rule, source[each.place.line - 1].strip()) for each in report.findings}
    assert found == {
        ("SSOT303", 'log.error("failed after %s", self.metrics.operations_count)'),
        ("SSOT303", 'log.error("failed at %s", metrics.last_activity)'),
        ("SSOT303", 'log.error("failed: %s", metrics.errors)'),
        ("SSOT303", "metrics.errors += 1"),
        ("SSOT303", 'log.info("last %s", metrics.last_activity)'),
    }
    assert len(report.findings) == 5
    for each in report.findings:
        assert "an instance of app.sessions.SessionMetrics" in each.message
        assert "is on app.workers.SessionMetrics" in each.message
        assert [place.path for place in each.related] == ["app/sessions.py", "app/workers.py"]


def test_outside_an_error_path_it_is_a_wrong_twin(tmp_path: Path) -> None:
    reader = """
        from app.sessions import SessionMetrics


        def show(metrics: SessionMetrics) -> float:
            return metrics.last_activity
    """
    found = one(check(tmp_path, {**TWINS, "app/reader.py": reader}, {"select": ["SSOT3"]}), "SSOT302")
    assert (found.place.path, found.place.line) == ("app/reader.py", 5)
    assert "did you mean `last_activity_at`" in found.hint


def test_what_the_held_class_has_is_right(tmp_path: Path) -> None:
    reader = """
        from app.sessions import SessionMetrics


        def show(metrics: SessionMetrics) -> float:
            return metrics.last_activity_at + metrics.query_count
    """
    assert ids(check(tmp_path, {**TWINS, "app/reader.py": reader}, {"select": ["SSOT3"]})) == []


def test_moving_lines_keeps_the_fingerprint_and_another_attribute_changes_it(tmp_path: Path) -> None:
    reader = "from app.sessions import SessionMetrics\n\n\ndef show(m: SessionMetrics):\n    return m.{}\n"

    def fingerprint(name: str, text: str) -> str:
        report = check(tmp_path / name, {**TWINS, "app/reader.py": text}, {"select": ["SSOT3"]})
        return one(report, "SSOT302").fingerprint

    first = fingerprint("a", reader.format("errors"))
    assert fingerprint("b", "# a line\n\n\n" + reader.format("errors").replace("m:", "m :")) == first
    assert fingerprint("c", reader.format("operations_count")) != first
