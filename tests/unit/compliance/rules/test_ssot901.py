"""SSOT901 unparsable: what could not be read is said, and the rest is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from netra.compliance.check import run
from netra.compliance.config import parse
from support.code_base import check, ids, one

RULE = {"select": ["SSOT901"]}
BROKEN = "import os\n\n\nclass Order:\n    pass\n\n\ndef total(:\n    return 1\n"


def test_a_file_with_a_syntax_error_is_a_warning_at_the_line_of_the_error(tmp_path: Path) -> None:
    found = one(check(tmp_path, {"app/a.py": BROKEN}, RULE), "SSOT901")
    assert (found.place.path, found.place.line, found.severity) == ("app/a.py", 8, "warning")
    assert "could be read" in found.message
    assert "a newer Python" in found.hint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("type Pair[T] = tuple[T, T]\ntype Name = str\n", id="a name of a type"),
        pytest.param("def first[T: (int, str)](rows: list[T]) -> T:\n    return rows[0]\n", id="a generic function"),
        pytest.param("class Box[T]:\n    async def get[S](self): ...\n", id="a generic class"),
        pytest.param("class Box[\n    T = int,\n]:\n    x = 1\n", id="over several lines"),
        pytest.param("def f():\n    try:\n        g()\n    except KeyError, os.Missing:\n        pass\n", id="except"),
    ],
)
def test_syntax_that_is_newer_than_the_python_that_runs_is_read(tmp_path: Path, text: str) -> None:
    report = check(tmp_path, {"app/a.py": f"{text}\n\nclass Last:\n    pass\n"}, RULE)
    assert ids(report) == []
    (last,) = [each for file in report.project.files for each in file.facts.classes if each.name == "Last"]
    assert last.line == text.count("\n") + 3


def test_a_file_that_is_no_text_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/binary.py").write_bytes(b"\x00\x01\xff\xfe\x00 not python (")
    found = one(check(tmp_path, {"app/a.py": "x = 1\n"}, RULE), "SSOT901")
    assert found.place.path == "app/binary.py"


@pytest.mark.parametrize("path", ["templates/{{name}}.py", "tests/data/invalid/a.py"])
def test_what_is_no_python_on_purpose_is_only_counted(tmp_path: Path, path: str) -> None:
    report = check(tmp_path, {path: BROKEN}, RULE)
    assert ids(report) == []
    assert any(file.facts.trouble for file in report.project.files)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"# only a comment", id="a comment"),
        pytest.param("name = 'Zo\u00eb'\n".encode(), id="UTF-8"),
        pytest.param(b"\xef\xbb\xbfx = 1\n", id="with a byte order mark"),
        pytest.param(b"# -*- coding: latin-1 -*-\nname = 'Zo\xeb'\n", id="a declared encoding"),
        pytest.param(b"x = 1\r\ny = 2\r\n", id="line ends of Windows"),
    ],
)
def test_what_python_reads_is_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.py").write_bytes(data)
    assert ids(run(tmp_path, parse(dict(RULE)))) == []


def test_moving_lines_keeps_the_fingerprint_and_another_file_changes_it(tmp_path: Path) -> None:
    first = one(check(tmp_path / "a", {"app/a.py": BROKEN}, RULE), "SSOT901").fingerprint
    moved = one(check(tmp_path / "b", {"app/a.py": "\n\nother = 1\n" + BROKEN}, RULE), "SSOT901")
    assert moved.fingerprint == first
    assert one(check(tmp_path / "c", {"app/b.py": BROKEN}, RULE), "SSOT901").fingerprint != first
